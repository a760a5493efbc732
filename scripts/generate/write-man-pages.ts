/**
 * Writes the man pages and the shell completion below packaging/ from the programs' own tables. They are checked in,
 * so that installing needs nothing; a unit test says when they have to be written again:
 *
 *     npm run build:ts && node dist/scripts/generate/write-man-pages.js
 */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "../../src/package.ts";
import { generatedFiles } from "./man/pages.ts";

const root = packageRoot();
for (const [name, content] of generatedFiles(root)) {
  const file = path.join(root, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  console.log(name);
}
