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

export interface ReadmeCommand {
  /** `host2` of the prompt `host2#`; undefined where it does not matter */
  readonly host: string | undefined;
  readonly command: string;
}

/** The commands of the console blocks behind `$` (anybody) or `#` (root). */
export function readmeCommands(prompt: "$" | "#"): readonly ReadmeCommand[] {
  const lines = readmeBlocks("console").flatMap((block) => block.split("\n"));
  return lines.flatMap((line) => {
    const match = /^(\w*)([$#]) (.*)$/.exec(line);
    if (match?.[2] !== prompt) return [];
    return [{ host: match[1] === "" ? undefined : match[1], command: match[3] ?? "" }];
  });
}
