/** The fenced blocks of README.md, so that tests can run its examples. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "../src/native.ts";

const text = readFileSync(path.join(packageRoot(), "README.md"), "utf8");

/** The contents of all blocks of a language, in order. */
export function readmeBlocks(language: string): readonly string[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, name, body = ""]) =>
    name === language ? [body] : [],
  );
}

/** The commands of the console blocks behind `$` (anybody) or `#` (root). */
export function readmeCommands(prompt: "$" | "#"): readonly string[] {
  return readmeBlocks("console").flatMap((block) =>
    block
      .split("\n")
      .filter((line) => line.startsWith(`${prompt} `))
      .map((line) => line.slice(2)),
  );
}
