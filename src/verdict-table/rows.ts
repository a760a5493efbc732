/** The rows of the verdict table, read from its text. */
import { type HashMode, hashModes } from "../core/bucket.ts";
import type { ClassifyTarget } from "../core/classify.ts";
import { ClusterIpError } from "../core/errors.ts";
import { formatIpv4, parseIpv4 } from "../core/ipv4.ts";
import { type Reason, reasonCatalogue, type Verdict } from "../core/verdict.ts";
import { formatBuckets } from "../model/bucket-set.ts";
import { tableText } from "./table.ts";

/** The virtual IP of the table (RFC 5737: an address for documentation). */
export const TABLE_VIP = "192.0.2.100";

export interface VerdictRow {
  readonly section: string;
  /** the virtual IP's settings as the table says them */
  readonly settings: string;
  readonly target: ClassifyTarget;
  /** in the frame language */
  readonly frame: string;
  readonly sentence: string;
  readonly verdict: Verdict;
  readonly reason: Reason;
  readonly bucket: number | undefined;
  /** `proto,saddr,sport,dport` of the kernel's vector that has this bucket */
  readonly kernelFlow: string | undefined;
}

const OUTCOME = /^= (\S+) (\S+)(?: (\d+))?(?:, kernel (\S+))?$/;
const SETTINGS =
  /^with (\S+), (\d+) nodes, seed (\d+), local (none|\d+(?:,\d+)*)(?:, address (\d+(?:\.\d+){3}))?$/;

/** The table as it ships. */
export function verdictTable(): readonly VerdictRow[] {
  return parseTable(tableText);
}

/** Reads a text such as {@link tableText}; throws CLUSTERIP_BAD_FLOW for what cannot be understood. */
export function parseTable(text: string): readonly VerdictRow[] {
  const rows: VerdictRow[] = [];
  let section = "";
  let settings = "";
  let target: ClassifyTarget | undefined;
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    if (line === "") continue;
    if (line.startsWith("# ")) section = line.slice(2);
    else if (line.startsWith("with ")) {
      target = parseSettings(line, at);
      settings = line.slice(5);
    } else {
      if (target === undefined) refuse(at, "a row needs a 'with' line before it");
      rows.push({ section, settings, target, frame: line, ...parseOutcome(lines, at + 1) });
      at += 2;
    }
  }
  return rows;
}

/** The three lines of a row: what {@link parseTable} reads. */
export function formatRow(row: Omit<VerdictRow, "section" | "settings" | "target">): string {
  const bucket = row.bucket === undefined ? "" : ` ${row.bucket}`;
  const kernel = row.kernelFlow === undefined ? "" : `, kernel ${row.kernelFlow}`;
  return `${row.frame}\n= ${row.verdict} ${row.reason}${bucket}${kernel}\n${row.sentence}\n`;
}

/** The `with` line of settings. */
export function formatSettings(target: ClassifyTarget): string {
  const local = target.localBuckets.length === 0 ? "none" : formatBuckets(target.localBuckets);
  const address = formatIpv4(target.address);
  const other = address === TABLE_VIP ? "" : `, address ${address}`;
  return `with ${target.hashMode}, ${target.bucketCount} nodes, seed ${target.hashInit}, local ${local}${other}`;
}

function parseSettings(line: string, at: number): ClassifyTarget {
  const match = SETTINGS.exec(line);
  const hashMode = hashModes.find((mode): mode is HashMode => mode === match?.[1]);
  if (match === null || hashMode === undefined) {
    refuse(at, `expected 'with MODE, N nodes, seed N, local N,N' instead of '${line}'`);
  }
  return {
    address: parseIpv4(match[5] ?? TABLE_VIP),
    hashMode,
    bucketCount: Number(match[2]),
    hashInit: Number(match[3]),
    localBuckets: match[4] === "none" ? [] : (match[4] ?? "").split(",").map(Number),
  };
}

function parseOutcome(
  lines: readonly string[],
  at: number,
): Pick<VerdictRow, "sentence" | "verdict" | "reason" | "bucket" | "kernelFlow"> {
  const outcome = lines[at] ?? "";
  const match = OUTCOME.exec(outcome);
  const reason = match?.[2] ?? "";
  if (match === null || !isReason(reason)) {
    refuse(at, `expected '= VERDICT REASON [BUCKET[, kernel FLOW]]' instead of '${outcome}'`);
  }
  const { verdict } = reasonCatalogue[reason];
  if (match[1] !== verdict) refuse(at, `the verdict of ${reason} is ${verdict}, not ${match[1]}`);
  const sentence = lines[at + 1] ?? "";
  if (sentence === "") refuse(at + 1, "expected a sentence");
  return {
    sentence,
    verdict,
    reason,
    bucket: match[3] === undefined ? undefined : Number(match[3]),
    kernelFlow: match[4],
  };
}

function isReason(text: string): text is Reason {
  return Object.hasOwn(reasonCatalogue, text);
}

function refuse(at: number, why: string): never {
  throw new ClusterIpError("CLUSTERIP_BAD_FLOW", `The verdict table, line ${at + 1}: ${why}.`);
}
