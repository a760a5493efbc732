/** Imports point one way: the command line and API, the daemon, engines and host, the pure core. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const source = fileURLToPath(new URL("../../src", import.meta.url));

/** A layer may import itself and those listed; a file directly in src/ is a layer by its name. */
const mayImport: Record<string, readonly string[]> = {
  core: [],
  model: ["core"],
  pcap: ["core"],
  settings: ["core", "model"],
  "package.ts": [],
  "native.ts": ["core", "package.ts"],
  tools: ["core", "model", "pcap"],
  reference: ["core", "model"],
  "verdict-table": ["core", "model"],
  engine: ["core", "model", "native.ts"],
  host: ["core", "model"],
  daemon: ["core", "model", "settings", "engine", "host", "package.ts", "native.ts"],
  api: ["core", "model", "settings", "daemon"],
  cli: [
    "core",
    "model",
    "settings",
    "pcap",
    "tools",
    "verdict-table",
    "engine",
    "host",
    "package.ts",
    "native.ts",
    "daemon",
    "api",
  ],
  "index.ts": ["core", "model"],
};

const layerOf = (file: string): string => relative(source, file).split("/")[0] ?? "";

const files = readdirSync(source, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".ts"))
  .map((name) => join(source, name));

test("there are files to look at", () => {
  expect(files.length).toBeGreaterThan(20);
});

test.each(files.map((file) => relative(source, file)))("%s imports only from below", (name) => {
  const file = join(source, name);
  const allowed = mayImport[layerOf(file)];
  expect(allowed, `${layerOf(file)} is no known layer`).toBeDefined();
  const imports = [...readFileSync(file, "utf8").matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g)];
  for (const [, target = ""] of imports) {
    const layer = layerOf(resolve(dirname(file), target));
    expect(layer === layerOf(file) || allowed?.includes(layer), `${name} imports ${target}`).toBe(true);
  }
});

test("native.ts alone loads the addon", () => {
  const loaders = files.filter((file) => /clusteripd\.node|createRequire/.test(readFileSync(file, "utf8")));
  expect(loaders.map((file) => relative(source, file))).toEqual(["native.ts"]);
});

test("the client loads no library but its parser: an operator waits for it, and so does the resource agent", () => {
  const seen = new Set<string>();
  const libraries = new Set<string>();
  const follow = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const source = readFileSync(file, "utf8");
    for (const [, target = ""] of source.matchAll(
      /^(?:import|export) (?!type )(?:[^;"=]* from )?"([^"]+)";$/gm,
    )) {
      if (target.startsWith(".")) follow(resolve(dirname(file), target));
      else if (!target.startsWith("node:")) libraries.add(target);
    }
  };
  follow(join(source, "cli/clusterip.ts"));
  expect([...libraries]).toEqual(["commander"]);
  expect(seen.size).toBeGreaterThan(20);
});
