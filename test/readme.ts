/** README.md's blocks and commands; see document.ts. */
import { Document } from "./document.ts";

const readme = new Document("README.md");

export function readmeBlocks(language: string): readonly string[] {
  return readme.blocks(language);
}

export function readmeCommands(prompt: "$" | "#"): readonly string[] {
  return readme.commands(prompt);
}
