/** What `test/support` promises: one way to wait, and helpers apart from tests. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { projectRoot } from "../support/lab/paths.ts";
import { Hopeless, until, untilSteady } from "../support/wait.ts";

const filesOf = (folder: string): string[] =>
  readdirSync(path.join(projectRoot, folder), { recursive: true, encoding: "utf8" })
    .map((name) => path.posix.join(folder, name))
    .filter((name) => /\.\w+$/.test(name));
const isTest = (name: string): boolean => name.endsWith(".test.ts");

describe("until", () => {
  it("asks again while the check fails, and resolves with what it returns", async () => {
    let asked = 0;
    const answer = until(() => {
      asked += 1;
      if (asked < 3) throw new Error("not yet");
      return "now";
    }, 1);
    expect(await answer).toBe("now");
    expect(asked).toBe(3);
  });

  it("asks no more when it will never hold", async () => {
    let asked = 0;
    const check = async (): Promise<void> => {
      asked += 1;
      throw new Hopeless("the process has ended");
    };
    await expect(until(check, 1)).rejects.toThrow("the process has ended");
    expect(asked).toBe(1);
  });
});

it("untilSteady begins to count anew with each change", async () => {
  const seen = [1, 1, 2, 2, 2, 2, 3];
  const left = seen.values();
  expect(await untilSteady(() => left.next().value, 3, 1)).toBe(2);
  expect(left.next().value).toBe(3);
});

it("nothing else in tests and benchmarks waits in a way of its own", () => {
  const own = /expect\s*\.poll\(|\bvi\.wait(?:For|Until)\(|[<>] deadline\b/;
  const others = ["test", "bench"]
    .flatMap(filesOf)
    .filter((name) => name.endsWith(".ts") && name !== "test/unit/support.test.ts");
  expect(others.length).toBeGreaterThan(100);
  const found = others.filter((name) => own.test(readFileSync(path.join(projectRoot, name), "utf8")));
  expect(found).toEqual(["test/support/wait.ts"]);
});

it("helpers are in test/support, and tests are not", () => {
  const ofTests = ["test/unit", "test/net", "test/pacemaker"].flatMap(filesOf);
  expect(ofTests.filter((name) => !isTest(name) && !name.endsWith("/README.md"))).toEqual([]);
  expect(filesOf("test/support").filter(isTest)).toEqual([]);
});
