/** Configuration files of any size, kind and shape: an answer in the end, and one that can be read. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseConfig, readConfigFile } from "../../src/settings/config-file.ts";
import { MAX_CONFIG_BYTES, MAX_MESSAGES, MAX_VIRTUAL_IPS } from "../../src/settings/limits.ts";

/** No test here is about time; a machine under load must not fail it. */
const UNHURRIED = { timeout: 600_000 };

const entry = (index: number, more = ""): string =>
  `  - {vip: 10.0.${1 + Math.floor(index / 250)}.${1 + (index % 250)}, nic: eth0, total-nodes: 2, local-node: 1${more}}\n`;
const entries = (count: number, more = ""): string =>
  `virtual-ips:\n${Array.from({ length: count }, (_, index) => entry(index, more)).join("")}`;

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    expect(error).toMatchObject({ code: "CLUSTERIP_CONFIG" });
    return error instanceof Error ? error.message : "";
  }
  return expect.fail("it is not refused");
}

describe("a configuration", UNHURRIED, () => {
  it(`has ${MAX_VIRTUAL_IPS} virtual IPs and not one more`, () => {
    expect(parseConfig(entries(MAX_VIRTUAL_IPS), "f").virtualIps).toHaveLength(MAX_VIRTUAL_IPS);
    expect(refusal(() => parseConfig(entries(MAX_VIRTUAL_IPS + 1), "f"))).toBe(
      "f: virtual-ips has 1,025 entries: one host serves 1,024 at most.",
    );
  });

  it("says the first of many errors, and how many there are", () => {
    const lines = refusal(() => parseConfig(entries(1000, ", hashmode: x, engine: y"), "f")).split("\n");
    expect(lines).toHaveLength(MAX_MESSAGES + 1);
    expect(lines[0]).toMatch(/^f:2: virtual-ips\[0\]\.hashmode: 'x' is not a hash mode/);
    expect(lines.at(-1)).toBe("and 1,980 more like these.");
  });

  it.each<[name: string, text: string, says: RegExp]>([
    ["wrong YAML", 'virtual-ips:\n  - "\\q\n'.repeat(2000), /^f:2: .*escape/],
    [
      "keys that are there twice",
      "a: 1\n".repeat(50_000),
      /^f:2: Map keys must be unique\n[\s\S]*\nand 49,979 more/,
    ],
    [
      "unknown keys",
      Array.from({ length: 40_000 }, (_, i) => `a${i}: 1\n`).join(""),
      /'a0' is not a setting/,
    ],
    ["lists in lists", "[".repeat(100_000), /nested too deeply/],
    ["mappings in mappings", "{a: ".repeat(50_000), /nested too deeply/],
    ["aliases of aliases", bomb(), /alias/],
    ["a key that is very long", `? ${"k".repeat(100_000)}\n: 1\n`, /'k{40}…' is not a setting/],
    [
      "a value that is very long",
      entries(1).replace("eth0", "e".repeat(100_000)),
      /'e{40}…' is not an interface/,
    ],
  ])("%s without end", (_, text, says) => {
    const message = refusal(() => parseConfig(text, "f"));
    expect(message).toMatch(says);
    expect(message.length).toBeLessThan(10_000);
  });

  it("finds a key that is there twice where the parser found it", () => {
    expect(refusal(() => parseConfig("workers: 1\nlog-level: info\nworkers: 2\n", "f"))).toBe(
      "f:3: Map keys must be unique",
    );
    expect(refusal(() => parseConfig(entries(1, ", vip: 10.0.0.9"), "f"))).toMatch(/^f:2: Map keys must be/);
  });
});

describe("a configuration file", UNHURRIED, () => {
  let directory = "";
  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), "clusteripd-config-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("may be a link to one", () => {
    const file = path.join(directory, "good.yaml");
    writeFileSync(file, entries(1));
    symlinkSync(file, path.join(directory, "link.yaml"));
    expect(readConfigFile(path.join(directory, "link.yaml")).virtualIps).toHaveLength(1);
  });

  it("is refused when it is none: nothing is waited for, and nothing read without end", () => {
    const fifo = path.join(directory, "fifo");
    execFileSync("mkfifo", [fifo]);
    expect(refusal(() => readConfigFile(fifo))).toContain(`${fifo} is a FIFO, not a regular file`);
    expect(refusal(() => readConfigFile("/dev/zero"))).toContain("/dev/zero is a device, not a regular file");
    expect(refusal(() => readConfigFile(directory))).toContain("is a directory, not a regular file");
    expect(refusal(() => readConfigFile("/nowhere.yaml"))).toContain("ENOENT");
  });

  it("is refused when it is larger than any can be", () => {
    const file = path.join(directory, "large.yaml");
    writeFileSync(file, "#".repeat(MAX_CONFIG_BYTES + 1));
    expect(refusal(() => readConfigFile(file))).toContain(`${file} is larger than 524,288 bytes`);
    writeFileSync(file, "#".repeat(MAX_CONFIG_BYTES));
    expect(readConfigFile(file).virtualIps).toEqual([]);
  });
});

/** Nine lists of nine of the one before: 387 million elements in some 400 octets. */
function bomb(): string {
  const lists = Array.from({ length: 9 }, (_, i) =>
    i === 0
      ? "a0: &a0 [x, x, x]"
      : `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(", ")}]`,
  );
  return `${lists.join("\n")}\nvirtual-ips: *a8\n`;
}
