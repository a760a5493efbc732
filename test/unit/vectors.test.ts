/** 42,525 buckets that a Linux 6.1 kernel with ipt_CLUSTERIP computed for real packets. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { explainCsv, parseProtocol } from "../../src/cli/explain-csv.ts";
import { bucketOf, type HashMode, hashModes, portWireLittleEndian } from "../../src/core/bucket.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { loadTrial } from "../support/verdict/native-trial.ts";

const text = gunzipSync(
  readFileSync(new URL("../fixtures/vectors/clusterip-6.1.csv.gz", import.meta.url)),
).toString();
const rows = text
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((line) => {
    const [mode = "", total, init, proto = "", saddr = "", sport, dport, bucket] = line.split(",");
    return {
      line,
      hashMode: mode as HashMode,
      bucketCount: Number(total),
      hashInit: Number(init),
      protocol: parseProtocol(proto) ?? -1,
      saddrHost: parseIpv4(saddr),
      sourcePort: Number(sport),
      destinationPort: Number(dport),
      bucket: Number(bucket),
    };
  });

test("the file is whole and has every mode", () => {
  expect(rows.length).toBe(42_525);
  for (const mode of hashModes)
    expect(rows.filter(({ hashMode }) => hashMode === mode).length).toBeGreaterThan(10_000);
});

test("TypeScript computes the kernel's bucket for every row", () => {
  expect(rows.filter((row) => bucketOf(row, row) !== row.bucket)).toEqual([]);
});

test("the native engine computes the kernel's bucket for every row", () => {
  const native = loadTrial();
  const wrong = rows.filter(
    (row) =>
      native.bucketOf(
        hashModes.indexOf(row.hashMode),
        row.bucketCount,
        row.hashInit,
        row.protocol,
        row.saddrHost,
        portWireLittleEndian(row.sourcePort),
        portWireLittleEndian(row.destinationPort),
      ) !== row.bucket,
  );
  expect(wrong).toEqual([]);
});

test("explain --csv reproduces the file to the byte", async () => {
  const input = text.replaceAll(/,[^,\n]*\n/g, "\n");
  // Pieces that end in the middle of rows, as a pipe delivers them.
  const pieces = async function* () {
    for (let at = 0; at < input.length; at += 4093) yield input.slice(at, at + 4093);
  };
  let output = "";
  for await (const piece of explainCsv(pieces())) output += piece;
  expect(output).toBe(text);
});
