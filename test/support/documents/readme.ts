/** README.md's blocks and commands; see document.ts. */
import { Document } from "./document.ts";

const readme = new Document("README.md");

export function readmeBlocks(language: string): readonly string[] {
  return readme.blocks(language);
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
