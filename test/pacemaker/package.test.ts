/** The Debian package as lintian sees it: clean, but for the runtime that it brings. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { projectRoot } from "../support/lab/paths.ts";
import { run, runChecked } from "../support/lab/processes.ts";

/** It compresses a Node.js, on a machine that may be busy. */
const WITHIN_MS = 1_200_000;

const hasLintian = spawnSync("lintian", ["--version"]).status === 0;

describe("Debian package", () => {
  if (!hasLintian) {
    if (process.env["CI"] === "true") it("can be checked here", () => expect.fail("needs lintian"));
    else it.skip("skipped: needs lintian", () => {});
    return;
  }
  let directory: string;
  let file: string;

  beforeAll(async () => {
    directory = mkdtempSync(path.join(tmpdir(), "clusteripd-package-"));
    const argv = [path.join(projectRoot, "scripts/package"), directory];
    file = (await runChecked(argv, { timeoutMs: WITHIN_MS })).trim();
  }, WITHIN_MS);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("lintian has nothing to say beyond what is overridden", { timeout: WITHIN_MS }, async () => {
    const lintian = ["lintian", "--allow-root", "--fail-on", "error,warning"];
    expect(await run([...lintian, file], { timeoutMs: WITHIN_MS })).toEqual({
      status: 0,
      stdout: "",
      stderr: "",
    });
  });

  it("what is overridden is the runtime, the BPF programs and the address of who builds it", async () => {
    const overrides = await runChecked([
      ...[
        "sh",
        "-c",
        'dpkg-deb --fsys-tarfile "$0" | tar -xO ./usr/share/lintian/overrides/clusteripd',
        file,
      ],
    ]);
    const tags = overrides.split("\n").flatMap((line) => /^clusteripd: (\S+)/.exec(line)?.[1] ?? []);
    expect(tags.sort()).toEqual([
      "binary-from-other-architecture",
      "bogus-mail-host",
      "bogus-mail-host-in-debian-changelog",
      "embedded-library",
      "hardening-no-pie",
    ]);
  });
});
