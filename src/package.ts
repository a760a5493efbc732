/** The package that this program is part of: where it lies, and its version. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The directory that holds package.json: one up from src/, two up from dist/src/. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json"))) {
    const parent = dirname(directory);
    if (parent === directory) return directory;
    directory = parent;
  }
  return directory;
}

let knownVersion: string | undefined;

/** The version of the package. */
export function packageVersion(): string {
  if (knownVersion === undefined) {
    const raw: unknown = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
    const version: unknown =
      typeof raw === "object" && raw !== null && "version" in raw ? raw.version : undefined;
    knownVersion = typeof version === "string" ? version : "unknown";
  }
  return knownVersion;
}
