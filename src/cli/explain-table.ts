/** `clusterip explain --table`: the verdict table, for a terminal, for programs and for the documentation. */
import type { ClassifyTarget } from "../core/classify.ts";
import { type InKernelWords, inKernelWords } from "../model/kernel-words.ts";
import { type Column, textTable } from "../tools/text-table.ts";
import { type VerdictRow, verdictTable } from "../verdict-table/rows.ts";

/** One row as `clusterip explain --table --json` prints it. */
export interface VerdictRowJson extends InKernelWords<Omit<ClassifyTarget, "address">> {
  readonly section: string;
  readonly frame: string;
  readonly sentence: string;
  readonly verdict: string;
  readonly reason: string;
  readonly bucket?: number;
}

/** The rows for `--json`. */
export function verdictTableJson(): readonly VerdictRowJson[] {
  return verdictTable().map(({ section, target, frame, sentence, verdict, reason, bucket }) => ({
    section,
    ...settingsJson(target),
    frame,
    sentence,
    verdict,
    reason,
    ...(bucket === undefined ? {} : { bucket }),
  }));
}

function settingsJson({ hashMode, bucketCount, hashInit, localBuckets }: ClassifyTarget) {
  return inKernelWords({ hashMode, bucketCount, hashInit, localBuckets });
}

const columns: readonly Column[] = [
  { title: "VERDICT", align: "left" },
  { title: "BUCKET", align: "right" },
  { title: "REASON", align: "left" },
  { title: "WHY, AND FOR WHICH FRAME", align: "left" },
];

/**
 * The table for a terminal: verdict, bucket, reason and sentence in columns, and the frame on a
 * line of its own, because it is the longest part.
 */
export function renderVerdictTable(): string {
  const rows = verdictTable();
  // One table for all sections, so that their columns are the same.
  const [titles = "", ...lines] = textTable(
    columns,
    rows.map(({ verdict, bucket, reason, sentence }) => [verdict, String(bucket ?? ""), reason, sentence]),
  );
  const indent = " ".repeat(titles.indexOf("WHY"));
  const out = [titles];
  for (const [index, row] of rows.entries()) {
    const previous = rows[index - 1];
    if (row.section !== previous?.section) out.push("", row.section);
    if (row.settings !== previous?.settings) out.push(`with ${row.settings}`);
    out.push(lines[index] ?? "", `${indent}${row.frame}`);
  }
  return `${out.join("\n")}\n`;
}

/** The table as docs/semantics.md has it: a table a section and settings. */
export function verdictTableMarkdown(): string {
  const out: string[] = [];
  let previous: VerdictRow | undefined;
  for (const row of verdictTable()) {
    if (row.section !== previous?.section) out.push("", `### ${row.section}`);
    if (row.section !== previous?.section || row.settings !== previous.settings) {
      out.push("", `With ${row.settings}:`, "", "| frame | verdict | why |", "|---|---|---|");
    }
    const bucket = row.bucket === undefined ? "" : ` (bucket ${row.bucket})`;
    out.push(`| \`${row.frame}\` | ${row.verdict}${bucket}: \`${row.reason}\` | ${row.sentence} |`);
    previous = row;
  }
  return `${out.join("\n").trim()}\n`;
}
