import { existsSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** This file runs from the source tree (vitest) and from dist/ (demo): only the root has a package.json. */
function findProjectRoot(): string {
  let directory = path.dirname(fileURLToPath(import.meta.url));
  while (!existsSync(path.join(directory, "package.json"))) {
    const parent = path.dirname(directory);
    if (parent === directory) throw new Error("no package.json above test/support");
    directory = parent;
  }
  return directory;
}

export const projectRoot = findProjectRoot();
export const daemonProgram = path.join(projectRoot, "bin/clusteripd");
export const clientProgram = path.join(projectRoot, "bin/clusterip");

/** A compiled program of test/support/programs. */
export function supportProgram(name: string): string {
  const file = path.join(projectRoot, "dist/test/support/programs", `${name}.js`);
  if (!existsSync(file)) throw new Error(`${file} is missing: run "npm run build:ts" first`);
  return file;
}
