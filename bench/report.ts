/** Writes docs/benchmarks.md and its drawings: `npm run bench:report -- FILE.json ...`. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../src/core/errors.ts";
import { packageRoot } from "../src/package.ts";
import { readReport } from "./lib/results.ts";
import { renderPage } from "./report/page.ts";

function main(files: readonly string[]): void {
  if (files.length === 0) throw new Error("give the JSON files of the benchmarks");
  const { markdown, drawings } = renderPage(files.map(readReport));
  const docs = join(packageRoot(), "docs");
  const directory = join(docs, "benchmarks");
  mkdirSync(directory, { recursive: true });
  for (const old of readdirSync(directory)) if (old.endsWith(".svg")) rmSync(join(directory, old));
  for (const [name, drawing] of drawings) writeFileSync(join(directory, name), drawing);
  writeFileSync(join(docs, "benchmarks.md"), markdown);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`bench:report: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
