/**
 * TypeScript against native on random frames: they must not differ on one of 1,000,000.
 *
 *     DIFFERENTIAL_SEED=N DIFFERENTIAL_FRAMES=N npx vitest run --project unit test/unit/differential.test.ts
 *
 * A difference is shrunk to one small frame and printed as a row of the verdict table
 * (src/verdict-table/table.ts), where it stays when it is understood.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type Classification,
  type ClassifyTarget,
  classify,
  type PacketType,
  packetTypes,
} from "../../src/core/classify.ts";
import { reasonCatalogue, reasonOf, reasons } from "../../src/core/verdict.ts";
import type { NativeHashSettings } from "../../src/native.ts";
import { buildFrame } from "../../src/verdict-table/build-frame.ts";
import { formatRow, formatSettings, parseTable } from "../../src/verdict-table/rows.ts";
import {
  nativeSettings,
  Random,
  randomFrames,
  randomTargets,
  type Targets,
  type TestFrame,
} from "../support/verdict/differential-frames.ts";
import { loadTrial, type NativeJudge } from "../support/verdict/native-trial.ts";

const FRAMES_PER_RUN = 500;
const frames = Number(process.env["DIFFERENTIAL_FRAMES"] ?? 1_000_000);
const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? Date.now() & 0x7fffffff);

type JudgeClass = new (virtualIps: readonly NativeHashSettings[]) => NativeJudge;

function newJudge(Judge: JudgeClass, targets: readonly ClassifyTarget[]): NativeJudge {
  return new Judge(targets.map(nativeSettings));
}

/** The verdict of an interface with several virtual IPs: that of the one whose address the packet has. */
function classifyAmong({ frame, packetType }: TestFrame, targets: Targets): Classification {
  let result = classify(frame, targets[0], { packetType });
  for (let index = 1; result.reason === "other-address" && index < targets.length; index += 1) {
    result = classify(frame, targets[index] ?? targets[0], { packetType });
  }
  return result;
}

function isSame(result: Classification, judged: number): boolean {
  return reasonOf(judged & 0xff) === result.reason && judged >>> 8 === (result.bucket ?? 0);
}

interface Difference {
  readonly test: TestFrame;
  readonly targets: Targets;
}

/** Looks for a difference; both sides see the same frames, which follow from the seed. */
function findDifference(Judge: JudgeClass, runSeed: number, count: number): Difference | undefined {
  const random = new Random(runSeed);
  const targets = randomTargets(random);
  const judge = newJudge(Judge, targets);
  for (const testFrame of randomFrames(random, targets, count)) {
    const judged = judge.judge(testFrame.frame, packetTypes[testFrame.packetType]);
    if (!isSame(classifyAmong(testFrame, targets), judged)) return { test: testFrame, targets };
  }
  return undefined;
}

const shrinkable = fc.tuple(
  fc.uint8Array({ maxLength: 70_000 }),
  fc.constantFrom(...(Object.keys(packetTypes) as PacketType[])),
);

/** Lets fast-check make the frame as small and plain as it can while the two still differ. */
function shrink(Judge: JudgeClass, { test: found, targets }: Difference): Difference {
  const differs = (testFrame: TestFrame, among: Targets): boolean =>
    !isSame(
      classifyAmong(testFrame, among),
      newJudge(Judge, among).judge(testFrame.frame, packetTypes[testFrame.packetType]),
    );
  const alone = targets.find((target) => differs(found, [target]));
  const among: Targets = alone === undefined ? targets : [alone];
  const example: [Uint8Array, PacketType] = [found.frame, found.packetType];
  const { counterexample } = fc.check(
    fc.property(shrinkable, ([frame, packetType]) => !differs({ frame, packetType }, among)),
    { examples: [[example]], numRuns: 1 },
  );
  const [frame, packetType] = counterexample?.[0] ?? example;
  return { test: { frame, packetType }, targets: among };
}

/** What to put into the verdict table, and what native said instead. */
function describeDifference(Judge: JudgeClass, { test: testFrame, targets }: Difference): string {
  const result = classifyAmong(testFrame, targets);
  const judged = newJudge(Judge, targets).judge(testFrame.frame, packetTypes[testFrame.packetType]);
  const row = formatRow({
    frame: `hex ${testFrame.packetType} ${Buffer.from(testFrame.frame).toString("hex")}`,
    sentence: `Native says ${reasonOf(judged & 0xff)}, bucket ${judged >>> 8}.`,
    verdict: result.verdict,
    reason: result.reason,
    bucket: result.bucket,
    kernelFlow: undefined,
  });
  return `TypeScript and native differ:\n\n${targets.map(formatSettings).join("\n")}\n\n${row}`;
}

test(`native equals TypeScript on ${frames} frames (DIFFERENTIAL_SEED=${seed})`, () => {
  const { Judge } = loadTrial();
  let difference: Difference | undefined;
  const seen = fc.check(
    fc.property(fc.integer(), (runSeed) => {
      difference = findDifference(Judge, runSeed, FRAMES_PER_RUN);
      return difference === undefined;
    }),
    // The seed of a run is not what should become small; the frame is, below.
    { seed, numRuns: Math.ceil(frames / FRAMES_PER_RUN), endOnFailure: true },
  );
  console.log(`${seen.numRuns * FRAMES_PER_RUN} frames compared, DIFFERENTIAL_SEED=${seed}`);
  if (difference !== undefined) expect.fail(describeDifference(Judge, shrink(Judge, difference)));
  expect(seen.failed).toBe(false);
});

// Noise that never gets past the Ethernet header would prove nothing.
test("the frames reach every reason", () => {
  const counts = new Map<string, number>();
  for (let run = 0; run < 200; run += 1) {
    const random = new Random(run);
    const targets = randomTargets(random);
    for (const testFrame of randomFrames(random, targets, FRAMES_PER_RUN)) {
      const { reason } = classifyAmong(testFrame, targets);
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
  }
  expect(reasons.filter((reason) => (counts.get(reason) ?? 0) < 50)).toEqual([]);
});

test("an interface without virtual IPs takes nothing", () => {
  const { Judge } = loadTrial();
  const { frame, packetType } = buildFrame(
    "eth to cluster / ipv4 192.168.77.11 > 192.0.2.100 / udp 1 > 2",
    0,
  );
  const judged = newJudge(Judge, []).judge(frame, packetTypes[packetType]);
  expect([reasonOf(judged & 0xff), judged >>> 8]).toEqual(["other-address", 0]);
});

test("a difference is found, and shrunk to a row of the verdict table", () => {
  const { Judge } = loadTrial();
  /** A verdict that takes the VLAN's priority for a part of its number. */
  class Faulty implements NativeJudge {
    readonly #judge: NativeJudge;

    constructor(virtualIps: readonly NativeHashSettings[]) {
      this.#judge = new Judge(virtualIps);
    }

    judge(frame: Uint8Array, packetType: number): number {
      const isTagged = frame[12] === 0x81 && frame[13] === 0 && frame.length >= 18;
      if (isTagged && frame[14] !== 0) return reasonCatalogue["vlan-tagged"].number;
      return this.#judge.judge(frame, packetType);
    }
  }
  let difference: Difference | undefined;
  for (let run = 0; difference === undefined && run < 1000; run += 1) {
    difference = findDifference(Faulty, run, FRAMES_PER_RUN);
  }
  if (difference === undefined) expect.fail("1000 runs did not find it");
  const shrunk = shrink(Faulty, difference);
  // Two addresses, the tag with one bit of its priority, and an EtherType that is not IPv4.
  expect(Buffer.from(shrunk.test.frame).toString("hex")).toMatch(/^0{24}8100[1-9a-f]0000000$/);
  const text = describeDifference(Faulty, shrunk);
  const [row] = parseTable(text.slice(text.indexOf("with ")));
  expect(row).toMatchObject({
    reason: "not-ipv4",
    sentence: "Native says vlan-tagged, bucket 0.",
  });
  expect(buildFrame(row?.frame ?? "", 0).frame).toEqual(shrunk.test.frame);
});
