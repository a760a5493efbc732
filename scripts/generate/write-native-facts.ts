/**
 * Writes native/generated from the facts in src/core. The files are checked in, because the addon is
 * built before any TypeScript is; a unit test says when they have to be written again:
 *
 *     npm run build:ts && node dist/scripts/generate/write-native-facts.js
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "../../src/package.ts";
import { nativeFacts } from "./native-facts.ts";

for (const [name, content] of nativeFacts()) {
  writeFileSync(path.join(packageRoot(), name), content);
  console.log(name);
}
