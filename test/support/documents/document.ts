/** The fenced blocks of README.md and docs/*.md, so that tests can run what the documents show. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { packageRoot } from "../../../src/package.ts";

export interface Block {
  language: string;
  text: string;
}

export class Document {
  readonly text: string;
  readonly #blocks: readonly Block[];

  /** @param file below the root of the project: "docs/network.md" */
  constructor(file: string) {
    this.text = readFileSync(path.join(packageRoot(), file), "utf8");
    this.#blocks = [...this.text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(
      ([, language = "", text = ""]) => ({ language, text }),
    );
  }

  /** The contents of all blocks of a language, in order. */
  blocks(language: string): readonly string[] {
    return this.#blocks.filter((block) => block.language === language).map(({ text }) => text);
  }

  /** The only block of a language. */
  block(language: string): string {
    const [first, ...others] = this.blocks(language);
    if (first === undefined || others.length > 0) {
      throw new Error(`${others.length + (first === undefined ? 0 : 1)} blocks of ${language}, not one`);
    }
    return first;
  }

  /** The commands of the console blocks behind `$` (anybody) or `#` (root). */
  commands(prompt: "$" | "#"): readonly string[] {
    return this.blocks("console").flatMap((block) =>
      block
        .split("\n")
        .filter((line) => line.startsWith(`${prompt} `))
        .map((line) => line.slice(2)),
    );
  }

  /** The only command that holds the text, behind `#` or `$`. */
  command(text: string): string {
    const found = [...this.commands("#"), ...this.commands("$")].filter((line) => line.includes(text));
    if (found.length !== 1) throw new Error(`${found.length} commands with "${text}", not one`);
    return found[0] ?? "";
  }
}
