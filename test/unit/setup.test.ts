/** scripts/setup.sh: what each level installs, and what it says at its end; test/net/setup-refusals.test.ts has a refusal. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { packageRoot } from "../../src/package.ts";

let clone: string;

beforeAll(() => {
  clone = mkdtempSync(path.join(tmpdir(), "clusteripd-setup-"));
  for (const part of ["scripts/setup.sh", "native/bpf/toolchain.cjs"]) {
    cpSync(path.join(packageRoot(), part), path.join(clone, part));
  }
});
afterAll(() => rmSync(clone, { recursive: true, force: true }));

/** Calls functions of it without its running: a level that it does not know ends it after the definitions. */
function call(level: string, script: string, env: Record<string, string> = {}): string {
  const { stdout, stderr, status } = spawnSync(
    "bash",
    ["-c", `. scripts/setup.sh none 2>/dev/null; setup_level=${level}; ${script}`],
    { cwd: clone, encoding: "utf8", env: { ...process.env, ...env } },
  );
  expect(status, stderr).toBe(0);
  return stdout + stderr;
}

function packagesOf(level: string): Set<string> {
  const script = "setup_has() { false; }; { setup_needs; setup_wants; } | setup_missing_packages 2>/dev/null";
  return new Set(call(level, script).trim().split("\n"));
}

test("level quick installs what it uses, and nothing else", () => {
  const build = ["g++", "make", "python3", "libpcap-dev"];
  expect(packagesOf("quick")).toEqual(new Set([...build, "clang-format"]));
});

test("level quick needs root for nothing but the compiler", () => {
  const missing = "setup_has() { false; }; setup_needs | setup_missing_packages 2>/dev/null";
  expect(call("quick", missing).trim().split("\n")).not.toContain("clang-format");
});

test("level test has what the other levels have", () => {
  const all = packagesOf("test");
  for (const level of ["run", "quick"])
    expect([...packagesOf(level)].filter((one) => !all.has(one))).toEqual([]);
});

test("what a test names as its tools is installed by level test, or belongs to every Debian", () => {
  const table = call("test", "setup_needs | cut -d: -f1").split(/\s+/);
  // Packages that no installation is without, and what else is in packages of the table.
  const always = [
    "hostname",
    "unshare",
    "nsenter",
    "mount",
    "taskset",
    "flock",
    "perl",
    "md5sum",
    "bridge",
    "tc",
  ];
  const files = readdirSync(path.join(packageRoot(), "test"), { recursive: true, encoding: "utf8" });
  const named = files
    .filter((file) => file.endsWith(".test.ts"))
    .flatMap((file) => [
      ...readFileSync(path.join(packageRoot(), "test", file), "utf8").matchAll(/\{ tools: \[([^\]]*)\]/g),
    ])
    .flatMap(([, list = ""]) => [...list.matchAll(/"([^"]+)"/g)].map(([, tool = ""]) => tool));
  expect(named.length).toBeGreaterThan(20);
  expect([...new Set(named)].filter((tool) => ![...table, ...always].includes(tool))).toEqual([]);
});

/** A compiler whose libbpf has this version, and another one that has none. */
function compiler(name: string, body: string): { CXX: string } {
  const file = path.join(clone, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return { CXX: file };
}

test("where engine bpf is left out, one line at the end says so, and why", () => {
  const old = compiler("g++-22.04", "echo 'libbpf_major 0'");
  expect(call("run", "setup_say_engines", old)).toBe(
    "setup: built without the engine bpf: libbpf is older than 1.0, as before Debian 12 and Ubuntu 24.04; the engine userspace serves\n",
  );
  const none = compiler("g++-without", "exit 1");
  expect(call("run", "setup_say_engines", none)).toBe(
    "setup: built without the engine bpf: the headers of libbpf are missing (package libbpf-dev); the engine userspace serves\n",
  );
});

test("where it is built, nothing is said", () => {
  const release = path.join(clone, "native/build/Release");
  mkdirSync(release, { recursive: true });
  writeFileSync(path.join(release, "clusteripd_bpf.node"), "");
  expect(call("run", "setup_say_engines")).toBe("");
});
