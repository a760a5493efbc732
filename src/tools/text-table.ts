/** Columns and bars for a terminal: ASCII only, so that no locale spoils them. */

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

/** Lines of aligned columns under their titles, two blanks between columns, none at the end. */
export function textTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
): readonly string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? "";
        const width = widths[index] ?? 0;
        return align === "right" ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map(({ title }) => title)), ...rows.map(line)];
}

/**
 * A bar of `share` on a scale where `scale` fills `width`; a `|` marks `mark` on the same scale,
 * so that bars can be compared with what was expected.
 */
export function bar(share: number, scale: number, width: number, mark?: number): string {
  const cells = Array.from("#".repeat(cellsOf(share, scale, width)).padEnd(width));
  // The mark stands on the last cell that a bar of exactly this share fills.
  if (mark !== undefined) cells[Math.max(0, cellsOf(mark, scale, width) - 1)] = "|";
  return cells.join("").trimEnd();
}

function cellsOf(share: number, scale: number, width: number): number {
  if (scale <= 0) return 0;
  return Math.min(width, Math.round((share / scale) * width));
}

/** Breaks a paragraph into lines of at most `width` characters, each after the given indent. */
export function wrap(
  paragraph: string,
  width: number,
  firstIndent: string,
  indent: string,
): readonly string[] {
  const lines: string[] = [];
  let line = firstIndent;
  let isEmpty = true;
  for (const word of paragraph.split(" ")) {
    if (!isEmpty && line.length + 1 + word.length > width) {
      lines.push(line);
      line = indent;
      isEmpty = true;
    }
    line += isEmpty ? word : ` ${word}`;
    isEmpty = false;
  }
  return [...lines, line];
}
