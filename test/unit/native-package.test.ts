/** What of native/ users get: the engines, and nothing that only tests and benchmarks load. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { projectRoot } from "../support/lab/paths.ts";

const native = path.join(projectRoot, "native");
const release = path.join(native, "build/Release");
const root = mkdtempSync(path.join(tmpdir(), "clusteripd-native-package-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const addons = createRequire(import.meta.url);

test("the addon has what the programs call, and no more", () => {
  const addon = addons(path.join(release, "clusteripd.node")) as object;
  expect(Object.keys(addon).sort()).toEqual([
    "Dataplane",
    "lockDevice",
    "sendDatagram",
    "sendFrame",
    "tryLockFile",
    "watchNft",
  ]);
});

test.runIf(existsSync(path.join(release, "clusteripd_bpf.node")))("so has that of engine bpf", () => {
  const addon = addons(path.join(release, "clusteripd_bpf.node")) as {
    BpfDataplane: { prototype: object };
  };
  expect(Object.keys(addon).sort()).toEqual(["BpfDataplane", "driverOf", "probe", "removePrograms"]);
  expect(Object.getOwnPropertyNames(addon.BpfDataplane.prototype)).not.toContain("testRun");
});

test("scripts/install puts the engines where they are looked for, and nothing else", () => {
  execFileSync(path.join(projectRoot, "scripts/install"), ["--prefix", "/usr"], {
    env: { ...process.env, DESTDIR: root },
    stdio: "pipe",
  });
  const installed = readdirSync(path.join(root, "usr/lib/clusteripd/native"), {
    recursive: true,
    withFileTypes: true,
  });
  const names = installed.filter((entry) => entry.isFile()).map(({ name }) => name);
  const engines = ["clusterip.bpf.o", "clusteripd.node", "clusteripd_bpf.node"];
  expect(names.sort()).toEqual(engines.filter((name) => existsSync(path.join(release, name))));
});

test("the npm package has every source that the addons are built from, and no test", () => {
  const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: projectRoot,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [pack] = JSON.parse(output) as [{ files: { path: string }[] }];
  const files = new Set(pack.files.map((file) => file.path));
  expect([...files].filter((file) => /^native\/(trial|test|fuzz|build)\//.test(file))).toEqual([]);
  const sources = [...readFileSync(path.join(native, "binding.gyp"), "utf8").matchAll(/"([a-z_/]+\.cc)"/g)]
    .map(([, source]) => source ?? "")
    .filter((source) => !source.startsWith("trial/"));
  expect(sources.length).toBeGreaterThan(15);
  expect(sources.filter((source) => !files.has(`native/${source}`))).toEqual([]);
  const included = [...files]
    .filter((file) => /^native\/.*\.(cc|h|c)$/.test(file))
    .flatMap((file) => [
      ...readFileSync(path.join(projectRoot, file), "utf8").matchAll(/#include "([^"]+)"/g),
    ])
    .map(([, header]) => `native/${header}`);
  expect(included.filter((header) => !files.has(header))).toEqual([]);
});
