/**
 * The TypeScript hash and verdict against the expectations of scripts/mutate/expectations.ts on
 * standard input: what native-check.cc is for native. Most mutants fall here, in a tenth of
 * the time of the unit tests. Exit status 1 at the first line that is not as expected.
 */
import { readFileSync } from "node:fs";
import { bucketOfHash, hashModes, portsOffset } from "../../src/core/bucket.ts";
import { type ClassifyTarget, classify, type PacketType, packetTypes } from "../../src/core/classify.ts";
import { jhash1word, jhash2words, jhash3words } from "../../src/core/jhash.ts";
import { reasonCatalogue, reasonOf } from "../../src/core/verdict.ts";
import { MAX_BUCKETS } from "../../src/model/bucket-set.ts";

const packetTypeNames = Object.keys(packetTypes) as PacketType[];
const targets: ClassifyTarget[] = [];

function isAsExpected(line: string): boolean {
  const [kind, ...words] = line.split(" ");
  if (kind === "frame") return isFrameRight(words);
  const numbers = words.map(Number);
  if (kind === "limit") return numbers[0] === MAX_BUCKETS;
  if (kind === "bucket") return isBucketRight(numbers);
  if (kind === "interface") targets.length = 0;
  if (kind === "vip") targets.push(targetOf(numbers));
  return true;
}

function targetOf([
  address = 0,
  mode = 0,
  bucketCount = 0,
  hashInit = 0,
  mask = 0,
]: number[]): ClassifyTarget {
  const localBuckets = Array.from({ length: 16 }, (_, index) => index + 1).filter(
    (node) => ((mask >> (node - 1)) & 1) === 1,
  );
  return { address, hashMode: hashModes[mode] ?? "sourceip", bucketCount, hashInit, localBuckets };
}

function isBucketRight(numbers: number[]): boolean {
  const [mode = 0, total = 0, seed = 0, protocol = 0, saddr = 0, sport = 0, dport = 0, bucket] = numbers;
  const [a, b, c] = portsOffset(protocol) === undefined ? [saddr, 0, 0] : [saddr, sport, dport];
  const hash = [jhash1word(a, seed), jhash2words(a, b, seed), jhash3words(a, b, c, seed)][mode] ?? 0;
  return bucketOfHash(hash, total) === bucket;
}

function isFrameRight(words: string[]): boolean {
  const [type = "", reason, bucket, , , , , hex = ""] = words;
  const packetType = packetTypeNames.find((name) => packetTypes[name] === Number(type)) ?? "host";
  const results = targets.map((target) => classify(Buffer.from(hex, "hex"), target, { packetType }));
  const result = results.find((each) => each.reason !== "other-address") ?? results[0];
  if (result === undefined) return reasonOf(Number(reason)) === "other-address";
  return reasonCatalogue[result.reason].number === Number(reason) && (result.bucket ?? 0) === Number(bucket);
}

process.exitCode = readFileSync(0, "utf8").trimEnd().split("\n").every(isAsExpected) ? 0 : 1;
