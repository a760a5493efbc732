/** A man page in the man(7) language. */

export interface Section {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** A paragraph, a term with its explanation, literal lines, or a heading within the section. */
export type Block =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "term"; readonly term: string; readonly text: string }
  | { readonly kind: "literal"; readonly lines: readonly string[] }
  | { readonly kind: "heading"; readonly text: string };

export interface ManPage {
  readonly name: string;
  readonly section: number;
  /** one line for the index of man pages */
  readonly summary: string;
  readonly sections: readonly Section[];
}

export const text = (content: string): Block => ({ kind: "text", text: content });
export const term = (name: string, content: string): Block => ({ kind: "term", term: name, text: content });
export const literal = (...lines: readonly string[]): Block => ({ kind: "literal", lines });
export const heading = (content: string): Block => ({ kind: "heading", text: content });

/** Text longer than this is broken between words; a line of roff is a source line, not one of the page. */
const LINE_WIDTH = 72;

/** Of the last revision of the text that is not from tables. */
const DATE = "2026-11-20";

export function renderManPage(page: ManPage): string {
  const lines = [
    '.\\" Written by scripts/generate from the tables of the programs: do not edit.',
    // No version: the page changes when the program does, not with every release.
    `.TH ${page.name.toUpperCase()} ${page.section} ${DATE} "clusteripd"`,
    ".SH NAME",
    `${escaped(page.name)} \\- ${escaped(page.summary)}`,
    ...page.sections.flatMap(({ title, blocks }) => [
      `.SH ${title.toUpperCase()}`,
      ...blocks.flatMap((block, index) => renderBlock(block, blocks[index - 1])),
    ]),
  ];
  return `${lines.join("\n")}\n`;
}

function renderBlock(block: Block, previous: Block | undefined): string[] {
  // A paragraph break is what follows another block; at the start of a section it is there already.
  const breaks = previous === undefined || previous.kind === "heading" ? [] : [".PP"];
  switch (block.kind) {
    case "text":
      return [...breaks, ...wrapped(block.text)];
    case "term":
      return [".TP", `.B ${escaped(block.term)}`, ...wrapped(block.text)];
    case "literal":
      return [...breaks, ".nf", ".RS 4", ...block.lines.map(escapedLine), ".RE", ".fi"];
    case "heading":
      return [`.SS ${escaped(block.text)}`];
    default:
      return block satisfies never;
  }
}

function wrapped(content: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of content.split(/\s+/).filter((part) => part !== "")) {
    if (line !== "" && line.length + 1 + word.length > LINE_WIDTH) {
      lines.push(line);
      line = "";
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "") lines.push(line);
  return lines.map(escapedLine);
}

/** Backslashes, and hyphens that must be copied as such. */
function escaped(content: string): string {
  return content.replaceAll("\\", "\\e").replaceAll("-", "\\-");
}

/** Also a leading dot or quote, which would start a request. */
function escapedLine(line: string): string {
  return escaped(line).replace(/^(?=[.'])/, "\\&");
}
