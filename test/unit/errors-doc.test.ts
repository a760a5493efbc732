/** docs/errors.md and the code say the same. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type ErrorCode, errorCatalogue, exitStatuses, httpStatuses } from "../../src/core/errors.ts";
import { problemCodes } from "../../src/daemon/problems.ts";

const errorsDoc = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
const apiDoc = readFileSync(new URL("../../docs/api.md", import.meta.url), "utf8");

it("docs/errors.md has every code of the catalogue in its order, with its meaning and exit status", () => {
  const rows = [...errorsDoc.matchAll(/^\| `(CLUSTERIP_\w+)` \| (.*) \| (\d) \|$/gm)];
  const exitStatus: Partial<Record<ErrorCode, number>> = { CLUSTERIP_USAGE: 2, CLUSTERIP_UNREACHABLE: 3 };
  expect(rows.map(([, code, meaning, status]) => [code, meaning, Number(status)])).toEqual(
    Object.entries(errorCatalogue).map(([code, meaning]) => [
      code,
      meaning,
      exitStatus[code as ErrorCode] ?? 1,
    ]),
  );
  expect(exitStatuses).toEqual(
    Object.fromEntries(rows.map(([, code = "", , status]) => [code, Number(status)])),
  );
});

it("docs/errors.md has every problem that the daemon reports", () => {
  const rows = [...errorsDoc.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, code]) => code);
  expect(rows).toEqual(Object.keys(problemCodes));
});

it("docs/api.md has the HTTP status of every code that is not 400", () => {
  const rows = [...apiDoc.matchAll(/^\| (\d{3}) \| (`CLUSTERIP_.*) \|$/gm)];
  const documented = rows.flatMap(([, status, codes = ""]) =>
    codes.split(", ").map((code) => [code.replaceAll("`", ""), Number(status)] as const),
  );
  const others = Object.entries(httpStatuses).filter(([, status]) => status !== 400);
  expect(Object.fromEntries(documented)).toEqual(Object.fromEntries(others));
});
