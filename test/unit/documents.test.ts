/** What documents say of the example address and of this checkout holds; what they tell to run is run by test/net. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { deriveClusterMac, parseIpv4 } from "../../src/index.ts";
import { packageRoot } from "../../src/package.ts";
import settings from "../../vitest.config.ts";
import { Document } from "../support/documents/document.ts";

const root = packageRoot();
const isThere = (file: string): boolean => existsSync(path.join(root, file));

const manuals = filesBelow("docs").filter((file) => file.endsWith(".md"));
const described = ["src", "native", "bench", "scripts", "test"];
const readmes = described.flatMap(filesBelow).filter((file) => file.endsWith("README.md"));
const documents = ["README.md", "CONTRIBUTING.md", ...manuals, ...readmes];

function filesBelow(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map((name) =>
    path.posix.join(folder, name),
  );
}

test("docs/network.md: every MAC in it is the cluster MAC of 192.0.2.10/24, in whatever notation", () => {
  const { text } = new Document("docs/network.md");
  const notations =
    /\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b|\b(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}\b|\b[0-9a-f]{12}\b/g;
  const macs = [...text.matchAll(notations)].map(([mac]) => mac.replaceAll(/[:.-]/g, ""));
  expect(macs.length).toBeGreaterThan(8);
  const clusterMac = deriveClusterMac(parseIpv4("192.0.2.10"), 24).replaceAll(":", "");
  expect([...new Set(macs)]).toEqual([clusterMac]);
});

test.each(documents)("%s: every link leads to a place", (file) => {
  const { text } = new Document(file);
  for (const [, target = "", anchor] of text.matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g)) {
    const linked = target === "" ? file : path.posix.join(path.posix.dirname(file), target);
    expect(isThere(linked), linked).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(linked), `${linked}#${anchor}`).toContain(anchor);
  }
});

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  return [...new Document(file).text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}

/** What a build or a run makes, and .gitignore has. */
const MADE = /^native\/(?:build|fuzz\/crashes)/;
const FILE =
  /(?<![\w/.~-])((?:\.ci|bench|dist\/scripts|docs|native|packaging|scripts|src|test)\/[\w./*-]*\w)/g;

/** The sources of this checkout that a document names, for a compiled script its source. */
function filesNamedIn(document: string): string[] {
  return [...new Document(document).text.matchAll(FILE)]
    .map(([, name = ""]) => name.replace(/^dist\/(scripts\/.*)\.js$/, "$1.ts"))
    .filter((name) => !MADE.test(name));
}

test.each(documents)("%s: every file of this checkout that it names is there", (document) => {
  expect(filesNamedIn(document).filter((name) => !isThere(name) && !matchesSome(name))).toEqual([]);
});

/** `test/net/recipe-*.test.ts` */
function matchesSome(pattern: string): boolean {
  const folder = path.posix.dirname(pattern);
  if (!pattern.includes("*") || !isThere(folder)) return false;
  const escaped = path.posix.basename(pattern).replaceAll(".", "\\.").replaceAll("*", ".*");
  return readdirSync(path.join(root, folder)).some((name) => new RegExp(`^${escaped}$`).test(name));
}

const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")) as {
  readonly scripts: Readonly<Record<string, string>>;
};
const projects = (settings.test?.projects ?? []).map((project) =>
  typeof project === "object" && "test" in project ? project.test?.name : undefined,
);

const commandsIn = (document: string, command: RegExp): string[] =>
  [...new Document(document).text.matchAll(command)].map(([, name = ""]) => name);
const NPM_SCRIPT = /\bnpm run ([\w:-]+)/g;
const PROJECT = /--project ([\w-]+)/g;
const SCRIPT_OPTION = /(scripts\/[\w/-]+ --[\w-]+)/g;

test.each(documents)("%s: every command on this checkout that it names is there", (document) => {
  expect(Object.keys(manifest.scripts)).toEqual(expect.arrayContaining(commandsIn(document, NPM_SCRIPT)));
  expect(projects).toEqual(expect.arrayContaining(commandsIn(document, PROJECT)));
  for (const command of commandsIn(document, SCRIPT_OPTION)) {
    const [script = "", option = ""] = command.split(" ");
    expect(readFileSync(path.join(root, script), "utf8"), script).toContain(option);
  }
});

test("CONTRIBUTING.md has files and commands to look for, and they are seen", () => {
  const document = "CONTRIBUTING.md";
  expect(filesNamedIn(document).length).toBeGreaterThan(40);
  expect(new Set(commandsIn(document, PROJECT))).toEqual(new Set(projects));
  expect(commandsIn(document, NPM_SCRIPT)).toEqual(expect.arrayContaining(["build:ts", "mutate", "bench"]));
  expect(commandsIn(document, SCRIPT_OPTION)).toContain("scripts/dev/fuzz --seconds");
});

test("the mutation run knows the files that CONTRIBUTING.md and docs/testing.md name for it", () => {
  const mutate = readFileSync(path.join(root, "scripts/mutate/mutate.ts"), "utf8");
  const named = ["CONTRIBUTING.md", "docs/testing.md"].flatMap((file) => [
    ...new Document(file).text.matchAll(/npm run mutate -- \w+ ([\w./]+)/g),
  ]);
  expect(named.length).toBeGreaterThan(1);
  for (const [, file] of named) expect(mutate).toContain(`"${file}"`);
});

const written = described.flatMap(filesBelow).filter((name) => !/\/(?:build|corpus)/.test(name));
const folders = [...described, ...written].filter((name) => {
  const entries = readdirSync(path.join(root, path.posix.dirname(name)), { withFileTypes: true });
  return entries.some((entry) => entry.isDirectory() && entry.name === path.posix.basename(name));
});

test.each(folders)("%s: with more than five files it says what it is for", (folder) => {
  const entries = readdirSync(path.join(root, folder), { withFileTypes: true });
  const sources = entries.filter((entry) => entry.isFile() && entry.name !== "README.md");
  if (sources.length > 5) expect(entries.map(({ name }) => name)).toContain("README.md");
});
