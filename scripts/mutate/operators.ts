/** The mutations: small mistakes that a person could make, found by patterns in formatted code. */

export interface Mutant {
  /** the whole file with the mistake in it */
  readonly text: string;
  readonly line: number;
  readonly from: string;
  readonly to: string;
}

/** Operators stand between blanks in formatted code. */
const operators: Readonly<Record<string, readonly string[]>> = {
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "<<": [">>"],
  ">>": ["<<"],
  ">>>": ["<<"],
  "&": ["|"],
  "|": ["&"],
  "^": ["&"],
  "+=": ["-="],
  "-=": ["+="],
  "^=": ["+="],
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "===": ["!=="],
  "!==": ["==="],
  "==": ["!="],
  "!=": ["=="],
  "&&": ["||"],
  "||": ["&&"],
};

/** Lines that only speak to the compiler. */
const DECLARATION =
  /^\s*(export )?(import|type|interface|readonly|declare|namespace|#include|using|enum)\b|^\s*(#|static_assert)/;
const STATEMENT =
  /^\s+(?!return |const |let |throw |constexpr |std::\w+ )[\w.[\]#>-]+( [\^+-]?= .*|\(.*\))?;$/;
const CASE = /^\s+case .*:$/;

/** All mutants of a source file. `names` are reasons (or the like) to be taken for one another. */
export function mutantsOf(source: string, names: readonly string[]): readonly Mutant[] {
  const lines = source.split("\n");
  const code = blankComments(source).split("\n");
  const mutants: Mutant[] = [];
  const seen = new Set<string>();
  for (const [index, line] of lines.entries()) {
    const bare = code[index] ?? "";
    if (bare.trim() === "" || DECLARATION.test(line)) continue;
    for (const to of mutationsOf(line, bare, names)) {
      const key = `${index}:${to}`;
      if (to === line || seen.has(key)) continue;
      seen.add(key);
      const text = [...lines.slice(0, index), to, ...lines.slice(index + 1)].join("\n");
      mutants.push({ text, line: index + 1, from: line.trim(), to: to.trim() });
    }
  }
  return mutants;
}

type Mutator = (line: string, bare: string, names: readonly string[]) => Generator<string>;

/** `bare` is the line without comments and without what is in strings, column by column. */
function* mutationsOf(line: string, bare: string, names: readonly string[]): Generator<string> {
  for (const mutator of mutators) yield* mutator(line, bare, names);
}

function replaced(line: string, at: number, length: number, by: string): string {
  return line.slice(0, at) + by + line.slice(at + length);
}

const mutators: readonly Mutator[] = [
  function* otherOperator(line, bare) {
    for (const match of bare.matchAll(/(?<= )[-+*/<>&|^=!]+(?= |$)/g)) {
      if (/^\| undefined/.test(bare.slice(match.index))) continue; // a type
      for (const other of operators[match[0]] ?? [])
        yield replaced(line, match.index, match[0].length, other);
    }
  },
  function* neighbouringNumber(line, bare) {
    for (const match of bare.matchAll(/(?<![\w.#])(0x[0-9a-f_]+|\d[\d_]*)(u?)(?![\w.])/gi)) {
      const value = Number((match[1] ?? "").replaceAll("_", ""));
      for (const other of value === 0 ? [1] : [value + 1, value - 1])
        yield replaced(line, match.index, match[0].length, `${other}${match[2]}`);
    }
  },
  function* withoutNot(line, bare) {
    for (const match of bare.matchAll(/!(?=[\w(])/g)) yield replaced(line, match.index, 1, "");
  },
  function* constantCondition(line, bare) {
    const [, keyword = "", condition = ""] = /\b(if|while) \((.*)\)( .*|)$/.exec(bare) ?? [];
    const at = bare.indexOf(`${keyword} (`) + keyword.length + 2;
    if (keyword === "") return;
    for (const constant of keyword === "if" ? ["true", "false"] : ["false"])
      yield replaced(line, at, condition.length, constant);
  },
  /** The neighbour in the catalogue is the likeliest mistake. */
  function* otherName(line, _bare, names) {
    for (const [at, name] of names.entries()) {
      const found = new RegExp(`(?<![\\w-])${name}(?![\\w-])`).exec(line);
      if (found !== null)
        yield replaced(line, found.index, name.length, names[(at + 1) % names.length] ?? name);
    }
  },
  function* deletion(_line, bare) {
    if (STATEMENT.test(bare) || CASE.test(bare)) yield "";
  },
];

/** Blanks of the same length in place of comments and of what is between quotes. */
function blankComments(source: string): string {
  const blank = (text: string): string => text.replace(/[^\n]/g, " ");
  return source.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g, (found) =>
    found.startsWith("/") ? blank(found) : found[0] + blank(found.slice(1, -1)) + found[0],
  );
}
