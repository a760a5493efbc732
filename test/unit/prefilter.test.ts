/**
 * The prefilter against `classify()`: on 1,000,000 random frames it drops every foreign frame and every one that
 * is not ours, and never one that has another verdict; only tags inside frames and ICMP errors are left to the engine.
 *
 *     PREFILTER_SEED=N PREFILTER_FRAMES=N npx vitest run --project unit test/unit/prefilter.test.ts
 */
import { expect, test } from "vitest";
import { bucketOfHash } from "../../src/core/bucket.ts";
import { type Classification, type ClassifyTarget, classify, packetTypes } from "../../src/core/classify.ts";
import { firstHashOf, localBoundaries } from "../../src/engine/prefilter/hash-ranges.ts";
import {
  encodeProgram,
  type Instruction,
  MAX_INSTRUCTIONS,
} from "../../src/engine/prefilter/instructions.ts";
import { type FilterInput, runFilter } from "../../src/engine/prefilter/interpreter.ts";
import { buildPrefilter, noPrefilter } from "../../src/engine/prefilter/prefilter.ts";
import { ipv4Address } from "../../src/model/address.ts";
import { buildFrame } from "../../src/verdict-table/build-frame.ts";
import {
  Random,
  randomFrames,
  randomTargets,
  type Targets,
  type TestFrame,
} from "../support/verdict/differential-frames.ts";
import { engineVirtualIp as toEngine } from "../support/verdict/engine-virtual-ip.ts";

const SAMPLING = 256;
const FRAMES_PER_RUN = 500;
const frames = Number(process.env["PREFILTER_FRAMES"] ?? 1_000_000);
const seed = Number(process.env["PREFILTER_SEED"] ?? Date.now() & 0x7fffffff);
const UNLUCKY = 0xffffffff;
const LUCKY = 0;

function programFor(targets: readonly ClassifyTarget[]): readonly Instruction[] {
  const { program } = buildPrefilter(targets.map(toEngine), SAMPLING);
  if (program === undefined) throw new Error("there is no program");
  return program;
}

interface Input extends TestFrame {
  readonly vlanTci?: number;
}

function expectedOf(
  { frame, packetType, vlanTci }: Input,
  targets: readonly ClassifyTarget[],
): Classification {
  if (((vlanTci ?? 0) & 0x0fff) !== 0) return { verdict: "not-ours", reason: "vlan-tagged" };
  const results = targets.map((target) => classify(frame, target, { packetType }));
  return (
    results.find(({ reason }) => reason !== "other-address") ??
    results[0] ?? { verdict: "drop", reason: "other-host" }
  );
}

/** What the prefilter leaves to the engine although the verdict is foreign or not ours. */
function needsLookInside({ frame, vlanTci }: Input, { reason }: Classification): boolean {
  if (((vlanTci ?? 0) & 0x0fff) !== 0) return false;
  const etherType = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
  if (frame.length >= 14 && (etherType === 0x8100 || etherType === 0x88a8)) return true;
  const type = frame[14 + ((frame[14] ?? 0) & 15) * 4] ?? 0;
  return reason === "foreign-bucket" && frame[23] === 1 && [3, 4, 5, 11, 12].includes(type);
}

function isDropped(
  program: readonly Instruction[],
  { frame, packetType, vlanTci }: Input,
  random: number,
): boolean {
  const input: FilterInput = { frame, packetType: packetTypes[packetType], random };
  return runFilter(program, vlanTci === undefined ? input : { ...input, vlanTci }) === 0;
}

function findMistake(
  random: Random,
  targets: readonly ClassifyTarget[],
  inputs: Iterable<Input>,
  seen: Map<string, number>,
) {
  const program = programFor(targets);
  for (const input of inputs) {
    const expected = expectedOf(input, targets);
    const shouldDrop =
      (expected.verdict === "foreign" || expected.verdict === "not-ours") &&
      !needsLookInside(input, expected);
    const label = `${expected.reason} ${shouldDrop ? "dropped" : "passed"}`;
    seen.set(label, (seen.get(label) ?? 0) + 1);
    const drops = isDropped(program, input, UNLUCKY);
    if (drops !== shouldDrop || isDropped(program, input, random.below(0x1_0000_0000 / SAMPLING))) {
      return { expected, shouldDrop, drops, frame: Buffer.from(input.frame).toString("hex"), input, targets };
    }
  }
  return undefined;
}

function* randomInputs(random: Random, targets: Targets): Generator<Input> {
  for (const frame of randomFrames(random, targets, FRAMES_PER_RUN)) {
    if (random.chance(95)) yield frame;
    else yield { ...frame, vlanTci: random.chance(50) ? 0xe000 : random.below(0x10000) };
  }
}

test(`${frames} random frames: it drops what is foreign or not ours, and nothing else (seed ${seed})`, {
  timeout: 300_000,
}, () => {
  const seen = new Map<string, number>();
  for (let run = 0; run * FRAMES_PER_RUN < frames; run += 1) {
    const random = new Random(seed + run);
    const targets = randomTargets(random);
    expect(
      findMistake(random, targets, randomInputs(random, targets), seen),
      `seed ${seed + run}`,
    ).toBeUndefined();
  }
  if (frames < 100_000) return;
  // The random frames reach every reason, and both sides of what matters most.
  for (const label of [
    "local-bucket passed",
    "foreign-bucket dropped",
    "foreign-bucket passed",
    "later-fragment passed",
  ]) {
    expect(seen.get(label), label).toBeGreaterThan(frames / 1000);
  }
  expect(new Set([...seen.keys()].map((label) => label.split(" ")[0])).size).toBe(20);
});

test("buckets are ranges of the hash: at every limit, for 1 to 16 nodes", () => {
  for (let bucketCount = 1; bucketCount <= 16; bucketCount += 1) {
    for (let bucket = 1; bucket <= bucketCount; bucket += 1) {
      const first = firstHashOf(bucket, bucketCount);
      const last = firstHashOf(bucket + 1, bucketCount) - 1;
      expect([first, last].map((hash) => bucketOfHash(hash, bucketCount))).toEqual([bucket, bucket]);
    }
    expect(firstHashOf(bucketCount + 1, bucketCount)).toBe(2 ** 32);
  }
  expect(localBoundaries([1, 2, 4], 4)).toEqual([0, 2 ** 31, 3 * 2 ** 30]);
  expect(localBoundaries([], 4)).toEqual([]);
});

function manyTargets(
  count: number,
  change: (index: number, target: ClassifyTarget) => Partial<ClassifyTarget>,
) {
  return Array.from({ length: count }, (_, index): ClassifyTarget => {
    const target: ClassifyTarget = {
      address: 0x0a000000 + index * 3,
      hashMode: "sourceip-sourceport",
      bucketCount: 4,
      hashInit: 0,
      localBuckets: [1],
    };
    return { ...target, ...change(index, target) };
  });
}

function checkMany(targets: readonly ClassifyTarget[]): number {
  const random = new Random(7);
  const inputs = targets.flatMap(({ address }) => [
    ...randomFrames(random, [{ ...(targets[0] ?? fail()), address }], 30),
  ]);
  expect(findMistake(random, targets, inputs, new Map())).toBeUndefined();
  return programFor(targets).length;
}

function fail(): never {
  throw new Error("no targets");
}

test("100 virtual IPs with the same settings need little more than their addresses", () => {
  expect(checkMany(manyTargets(100, () => ({})))).toBeLessThan(700);
});

test("100 virtual IPs that differ in everything fit", () => {
  const modes = ["sourceip", "sourceip-sourceport", "sourceip-sourceport-destport"] as const;
  const targets = manyTargets(100, (index) => ({
    hashMode: modes[index % 3] ?? "sourceip",
    bucketCount: 16,
    hashInit: index * 7919,
    localBuckets: [1, 3, 5, 7, 9, 11, 13, 15].map((bucket) => bucket + ((index >> (bucket >> 1)) & 1)),
  }));
  expect(checkMany(targets)).toBeLessThanOrEqual(MAX_INSTRUCTIONS);
});

test("where there are too many, frames to the rest are passed up", () => {
  const random = new Random(11);
  const targets = manyTargets(600, () => ({
    bucketCount: 16,
    hashInit: random.word(),
    localBuckets: [1, 3, 5, 7, 9, 11, 13, 15].filter(() => random.chance(50)),
  }));
  const { program, weight, passedUp } = buildPrefilter(targets.map(toEngine), SAMPLING);
  expect(weight).toBe(SAMPLING);
  expect(passedUp.length).toBeGreaterThan(0);
  expect(passedUp.length).toBeLessThan(600);
  expect(program?.length).toBeLessThanOrEqual(MAX_INSTRUCTIONS);
  for (const { address } of targets) {
    for (const test of randomFrames(random, [{ ...(targets[0] ?? fail()), address }], 20)) {
      const expected = expectedOf(test, targets);
      const isFiltered = !passedUp.includes(ipv4Address(address)) || expected.verdict === "not-ours";
      const shouldDrop =
        isFiltered && ["foreign", "not-ours"].includes(expected.verdict) && !needsLookInside(test, expected);
      expect(isDropped(program ?? [], test, UNLUCKY), `${expected.reason} to ${address}`).toBe(shouldDrop);
    }
  }
  const tooMany = manyTargets(5000, () => ({}));
  expect(buildPrefilter(tooMany.map(toEngine), SAMPLING)).toBe(noPrefilter);
});

test("no virtual IP, or every frame wanted: no filter", () => {
  expect(buildPrefilter([], SAMPLING)).toBe(noPrefilter);
  expect(buildPrefilter(manyTargets(1, () => ({})).map(toEngine), 1)).toBe(noPrefilter);
});

test("of what it drops, one in so many passes", () => {
  const [target = fail()] = manyTargets(1, () => ({ localBuckets: [] }));
  const { frame, packetType } = buildFrame(
    "eth to cluster / ipv4 192.0.2.7 > vip / udp 40000 > 53",
    target.address,
  );
  for (const sampling of [2, 3, 256, 1000, 65_536]) {
    const { program = [] } = buildPrefilter([toEngine(target)], sampling);
    const limit = Math.floor(2 ** 32 / sampling);
    const results = [LUCKY, limit - 1, limit, UNLUCKY].map((random) =>
      isDropped(program, { frame, packetType }, random),
    );
    expect(results).toEqual([false, false, true, true]);
  }
});

test("the program as octets: struct sock_filter", () => {
  const octets = encodeProgram([{ code: 0x15, jt: 1, jf: 2, k: 0xfffff004 }]);
  const view = new DataView(octets.buffer);
  const isLittle = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  expect([view.getUint16(0, isLittle), octets[2], octets[3], view.getUint32(4, isLittle)]).toEqual([
    0x15, 1, 2, 0xfffff004,
  ]);
});
