/**
 * `clusterip explain --csv`: rows `hashmode,total_nodes,hash_init,proto,saddr,sport,dport` in,
 * the same rows with `,bucket` out. A header row is passed through with its new column.
 */
import { bucketOf, type HashMode, hashModes, protocolNumbers } from "../core/bucket.ts";
import { ClusterIpError } from "../core/errors.ts";
import { tryParseIpv4 } from "../core/ipv4.ts";
import { MAX_BUCKETS } from "../model/bucket-set.ts";
import { MAX_LINE_LENGTH } from "../settings/limits.ts";

export const CSV_COLUMNS = [
  "hashmode",
  "total_nodes",
  "hash_init",
  "proto",
  "saddr",
  "sport",
  "dport",
] as const;

/** Rows are written in pieces of about this size. */
const OUTPUT_CHUNK = 65_536;

/** A protocol by name, by number, or as `proto253`; undefined for anything else. */
export function parseProtocol(text: string): number | undefined {
  if (text in protocolNumbers) return protocolNumbers[text as keyof typeof protocolNumbers];
  return parseNumber(text.startsWith("proto") ? text.slice(5) : text, 255);
}

function parseNumber(text: string, max: number): number | undefined {
  if (!/^\d{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** The bucket of one row; throws CLUSTERIP_BAD_FLOW with the column that is wrong. */
export function bucketOfRow(row: string): number {
  const cells = row.split(",");
  if (cells.length !== CSV_COLUMNS.length) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_FLOW",
      `expected ${CSV_COLUMNS.length} columns (${CSV_COLUMNS.join(",")}), not ${cells.length}`,
    );
  }
  const [
    modeText = "",
    totalText = "",
    initText = "",
    protoText = "",
    saddrText = "",
    sportText = "",
    dportText = "",
  ] = cells;
  const hashMode = hashModes.find((mode): mode is HashMode => mode === modeText);
  const bucketCount = parseNumber(totalText, MAX_BUCKETS);
  return bucketOf(
    {
      protocol: parseProtocol(protoText) ?? wrong("proto", protoText, "a protocol name or number"),
      saddrHost: tryParseIpv4(saddrText) ?? wrong("saddr", saddrText, "an IPv4 address"),
      sourcePort: parseNumber(sportText, 65_535) ?? wrong("sport", sportText, "a port of 0 to 65535"),
      destinationPort: parseNumber(dportText, 65_535) ?? wrong("dport", dportText, "a port of 0 to 65535"),
    },
    {
      hashMode: hashMode ?? wrong("hashmode", modeText, hashModes.join(", ")),
      bucketCount:
        bucketCount === undefined || bucketCount === 0
          ? wrong("total_nodes", totalText, `a number from 1 to ${MAX_BUCKETS}`)
          : bucketCount,
      hashInit: parseNumber(initText, 0xffffffff) ?? wrong("hash_init", initText, "a number of 32 bits"),
    },
  );
}

function wrong(column: string, text: string, expected: string): never {
  throw new ClusterIpError("CLUSTERIP_BAD_FLOW", `${column} is '${text}': expected ${expected}`);
}

/** Streams rows; throws CLUSTERIP_BAD_FLOW with the line number of the first bad row. */
export async function* explainCsv(input: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  let line = 0;
  let output = "";
  const header = CSV_COLUMNS.join(",");
  const take = (rawRow: string): void => {
    const row = rawRow.endsWith("\r") ? rawRow.slice(0, -1) : rawRow;
    line += 1;
    if (row === "") return;
    if (line === 1 && row === header) {
      output += `${row},bucket\n`;
      return;
    }
    try {
      output += `${row},${bucketOfRow(row)}\n`;
    } catch (error) {
      if (!(error instanceof ClusterIpError)) throw error;
      throw new ClusterIpError(error.code, `standard input, line ${line}: ${error.message}.`, {
        cause: error,
      });
    }
  };
  try {
    for await (const chunk of input) {
      const rows = (rest + chunk).split("\n");
      rest = rows.pop() ?? "";
      for (const row of rows) take(row);
      if (rest.length > MAX_LINE_LENGTH) {
        throw new ClusterIpError(
          "CLUSTERIP_BAD_FLOW",
          `standard input, line ${line + 1}: it is longer than ${MAX_LINE_LENGTH.toLocaleString("en")} characters.`,
        );
      }
      if (output.length >= OUTPUT_CHUNK) {
        yield output;
        output = "";
      }
    }
    if (rest !== "") take(rest);
  } finally {
    // What came before a bad row is good.
    if (output !== "") yield output;
  }
}
