/** How programs of the host are fed: test/net/tool-versions.test.ts shows the daemon with an nft that is particular. */
import { closeSync, fstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { run } from "../../src/host/exec.ts";
import { openInput } from "../../src/host/input-file.ts";

/** The kind of its standard input as stat(1) calls it, then what it reads. */
const look = ["-c", "stat -L -c %F /proc/self/fd/0 && cat && cat /dev/stdin | wc -c"];

test("a program's standard input is a file with the text, which it may open once more", async () => {
  // More than a pipe holds, and octets that are not characters one by one.
  const text = "äöü".repeat(100_000);
  const output = await run("sh", look, text);
  expect(output).toBe(`regular file\n${text}600000\n`);
});

test("without a text there is nothing to read, and nothing to wait for", async () => {
  expect(await run("sh", ["-c", "cat | wc -c"])).toBe("0\n");
});

test("a program that does not read its input is told by its exit status", async () => {
  expect(await run("true", [], "x".repeat(1_000_000))).toBe("");
  await expect(run("sh", ["-c", "echo no >&2; exit 3"], "x".repeat(1_000_000))).rejects.toThrow(
    /failed \(exit status 3\): no/,
  );
});

test("descriptors do not gather", async () => {
  for (let round = 0; round < 5; round += 1) await run("cat", [], "text");
  await expect(run("/no/such/program", [], "text")).rejects.toThrow("cannot be run");
  const links = readdirSync("/proc/self/fd").map((name) => linkIfOpen(`/proc/self/fd/${name}`));
  expect(links.filter((link) => link.includes("(deleted)"))).toEqual([]);
});

/** The directory is read by a descriptor of its own, which is closed by now. */
function linkIfOpen(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return "";
  }
}

test("the file has no name, is nobody else's, and is in the first directory that will do", () => {
  const directory = mkdtempSync(path.join(tmpdir(), "clusteripd-input-"));
  try {
    const descriptor = openInput("text", ["/no/such/directory", "/proc", directory]);
    if (descriptor === undefined) expect.fail("no directory would do");
    const { nlink, mode } = fstatSync(descriptor);
    expect({ nlink, mode: mode & 0o777 }).toEqual({ nlink: 0, mode: 0o600 });
    expect(readdirSync(directory)).toEqual([]);
    // Its position is at the start, where a program begins to read.
    expect(readFileSync(descriptor, "utf8")).toBe("text");
    closeSync(descriptor);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  expect(openInput("text", ["/no/such/directory", "/proc"])).toBeUndefined();
});
