/** What README.md shows runs as it stands there; test/net/readme.test.ts runs what needs root. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { packageRoot } from "../../src/package.ts";
import { parseConfig } from "../../src/settings/config-file.ts";
import { readmeBlocks, readmeCommands } from "../support/documents/readme.ts";

const root = packageRoot();
const env = { ...process.env, PATH: `${path.join(root, "bin")}:${process.env["PATH"] ?? ""}` };
// Inside the package, so that `import "clusteripd"` finds it by its own name.
const directory = mkdtempSync(path.join(root, "dist", "readme-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("the configuration is good", () => {
  const [yaml = ""] = readmeBlocks("yaml");
  expect(parseConfig(yaml, "README.md").virtualIps).toMatchObject([
    {
      ...{ address: "192.0.2.10", nic: "eth0", bucketCount: 3, localBuckets: [1] },
      hash: { words: "sourceip-sourceport" },
    },
  ]);
});

test("the library example computes what the kernel computes", () => {
  const [example = ""] = readmeBlocks("ts");
  const file = path.join(directory, "example.mjs");
  writeFileSync(file, `${example}\nconsole.log(bucket);\n`);
  expect(execFileSync(process.execPath, [file], { encoding: "utf8" })).toBe("2\n");
});

const commands = readmeCommands("$").map(({ command }) => command);

test("there are commands to run", () => {
  expect(commands.length).toBeGreaterThan(3);
});

test.each(commands)("$ %s", (command) => {
  const script = /^sudo (scripts\/\w+)$/.exec(command)?.[1];
  // The demo and the tests themselves run elsewhere; here it is enough that they are there.
  if (script !== undefined) expect(existsSync(path.join(root, script))).toBe(true);
  else expect(execFileSync("sh", ["-c", command], { env, encoding: "utf8" })).not.toBe("");
});

test("it is shown and tested first, and installed before it is used", () => {
  const text = readFileSync(path.join(root, "README.md"), "utf8");
  // The second section: the title begins the first.
  expect(text.split(/^##? /m)[2]?.match(/^\$ .*$/gm)).toEqual(["$ sudo scripts/demo", "$ sudo scripts/test"]);
  const everything: readonly string[] = text.match(/^[$#] .*$/gm) ?? [];
  const isUse = (command: string): boolean => /^[$#] (clusteripd?|systemctl) /.test(command);
  expect(everything.indexOf("$ sudo scripts/install")).toBe(everything.findIndex(isUse) - 1);
});

test("the steps of the demo are those that it prints", () => {
  const demo = readFileSync(path.join(root, "scripts", "demo.ts"), "utf8");
  const steps = [...readFileSync(path.join(root, "README.md"), "utf8").matchAll(/^\[\d\/8\] (.*)$/gm)];
  expect(steps.length).toBe(4);
  // Numbers stand in the program as constants.
  for (const [, step = ""] of steps) expect(demo.replaceAll(/\$\{CURLS\}/g, "300")).toContain(step);
});

test("every document that README.md names is there", () => {
  const links = readFileSync(path.join(root, "README.md"), "utf8").matchAll(/\]\((docs\/[^)#]+)/g);
  for (const [, file = ""] of links) expect(existsSync(path.join(root, file)), file).toBe(true);
});
