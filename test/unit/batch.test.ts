/** The batch, on every path that this CPU can run: the kernel's own buckets, and the same as one flow at a time. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { parseProtocol } from "../../src/cli/explain-csv.ts";
import { type HashMode, hashModes, portsOffset, portWireLittleEndian } from "../../src/core/bucket.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { Random } from "../support/verdict/differential-frames.ts";
import { loadTrial } from "../support/verdict/native-trial.ts";

const native = loadTrial();
const seed = Number(process.env["BATCH_SEED"] ?? Date.now() & 0x7fffffff);
const paths = native.batchPaths();
const TCP = 6;

interface Group {
  readonly mode: HashMode;
  readonly bucketCount: number;
  readonly hashInit: number;
  readonly flows: { saddr: number; sport: number; dport: number; bucket: number }[];
}

/** The 42,525 vectors of the kernel by what a batch has in common. */
function kernelGroups(): readonly Group[] {
  const file = new URL("../fixtures/vectors/clusterip-6.1.csv.gz", import.meta.url);
  const groups = new Map<string, Group>();
  for (const line of gunzipSync(readFileSync(file)).toString().trimEnd().split("\n").slice(1)) {
    const [mode = "", total = "", init = "", protocol = "", saddr = "", sport = "", dport = "", bucket = ""] =
      line.split(",");
    const key = [mode, total, init].join();
    const group: Group = groups.get(key) ?? {
      mode: mode as HashMode,
      bucketCount: Number(total),
      hashInit: Number(init),
      flows: [],
    };
    groups.set(key, group);
    const hasPorts = portsOffset(parseProtocol(protocol) ?? -1) !== undefined;
    const word = (port: string): number => (hasPorts ? portWireLittleEndian(Number(port)) : 0);
    group.flows.push({
      saddr: parseIpv4(saddr),
      sport: word(sport),
      dport: word(dport),
      bucket: Number(bucket),
    });
  }
  return [...groups.values()];
}

test("there is a portable path, and the names are in order", () => {
  expect(paths.slice(0, 2)).toEqual(["scalar", "portable"]);
  expect(paths.length).toBe(4);
});

describe.each(paths.flatMap((name, path) => (name === undefined ? [] : [{ name, path }])))(
  "$name",
  ({ path }) => {
    test("the kernel's bucket for all 42,525 vectors", () => {
      let rows = 0;
      for (const { mode, bucketCount, hashInit, flows } of kernelGroups()) {
        const buckets = new Uint8Array(flows.length);
        native.bucketsOf(
          hashModes.indexOf(mode),
          bucketCount,
          hashInit,
          Uint32Array.from(flows, ({ saddr }) => saddr),
          Uint16Array.from(flows, ({ sport }) => sport),
          Uint16Array.from(flows, ({ dport }) => dport),
          buckets,
          path,
        );
        expect([...buckets]).toEqual(flows.map(({ bucket }) => bucket));
        rows += flows.length;
      }
      expect(rows).toBe(42_525);
    });

    test(`every length up to 150 at every alignment, and some long ones: as one at a time (seed ${seed})`, () => {
      const random = new Random(seed);
      const lengths = [...Array.from({ length: 151 }, (_, length) => length), 1000, 4096, 10_007];
      for (const length of lengths) {
        for (const mode of hashModes.keys()) expect(randomBatch(random, mode, length, path)).toEqual([]);
      }
    });
  },
);

/** Where the batch differs from single calls, or wrote outside its array. */
function randomBatch(random: Random, mode: number, length: number, path: number): string[] {
  const bucketCount = random.between(1, 16);
  const hashInit = random.chance(30) ? random.pick([0, 1, 0xffffffff]) : random.word();
  // Views that start anywhere in their memory: nothing may depend on the alignment of vectors.
  const skip = random.below(17);
  const saddr = new Uint32Array(skip + length).map(() => random.word()).subarray(skip);
  const sport = new Uint16Array(skip + length).map(() => random.number(0xffff)).subarray(skip);
  const dport = new Uint16Array(skip + length).map(() => random.number(0xffff)).subarray(skip);
  const memory = new Uint8Array(skip + length + 64).fill(0xee);
  const buckets = memory.subarray(skip, skip + length);
  native.bucketsOf(mode, bucketCount, hashInit, saddr, sport, dport, buckets, path);
  const wrong: string[] = [];
  for (const [index, bucket] of buckets.entries()) {
    const expected = native.bucketOf(
      ...([mode, bucketCount, hashInit, TCP] as const),
      ...([saddr[index] ?? 0, sport[index] ?? 0, dport[index] ?? 0] as const),
    );
    if (bucket !== expected) wrong.push(`${index} of ${length}: ${bucket} instead of ${expected}`);
  }
  const around = [...memory.subarray(0, skip), ...memory.subarray(skip + length)];
  if (around.some((octet) => octet !== 0xee)) wrong.push(`length ${length}: wrote outside its array`);
  return wrong;
}

test("arrays of different lengths or types are refused", () => {
  const one = [new Uint32Array(1), new Uint16Array(1), new Uint16Array(1), new Uint8Array(2)] as const;
  expect(() => native.bucketsOf(0, 1, 0, ...one)).toThrow(/EINVAL|Invalid/);
  const wrongType = new Uint8Array(1) as unknown as Uint32Array;
  const rest = [new Uint16Array(1), new Uint16Array(1), new Uint8Array(1)] as const;
  expect(() => native.bucketsOf(0, 1, 0, wrongType, ...rest)).toThrow(/EINVAL|Invalid/);
  expect(() => native.bucketsOf(0, 1, 0, new Uint32Array(1), ...rest, 99)).toThrow(/EINVAL|Invalid/);
});
