/**
 * The prefilter in this machine's kernel: its checker accepts every program, and running one there gives what the
 * interpreter gives. No privilege is needed: the filter sits on one of a pair of UNIX sockets.
 */
import { expect, test } from "vitest";
import type { ClassifyTarget } from "../../src/core/classify.ts";
import { encodeProgram } from "../../src/engine/prefilter/instructions.ts";
import { runFilter } from "../../src/engine/prefilter/interpreter.ts";
import { buildPrefilter } from "../../src/engine/prefilter/prefilter.ts";
import { Random, randomFrames, randomTargets } from "../support/verdict/differential-frames.ts";
import { engineVirtualIp } from "../support/verdict/engine-virtual-ip.ts";
import { loadTrial } from "../support/verdict/native-trial.ts";

const { FilterProbe } = loadTrial();
const seed = Number(process.env["PREFILTER_SEED"] ?? Date.now() & 0x7fffffff);
/** So that next to nothing passes by chance. */
const SAMPLING = 65_536;
const PROGRAMS = 200;
const FRAMES = 250;

function programFor(targets: readonly ClassifyTarget[]) {
  const { program } = buildPrefilter(targets.map(engineVirtualIp), SAMPLING);
  if (program === undefined) throw new Error("there is no program");
  return program;
}

test(`${PROGRAMS} programs, ${PROGRAMS * FRAMES} frames: the kernel does what the interpreter does (seed ${seed})`, () => {
  let passed = 0;
  for (let run = 0; run < PROGRAMS; run += 1) {
    const random = new Random(seed + run);
    const targets = randomTargets(random);
    const program = programFor(targets);
    const probe = new FilterProbe(encodeProgram(program));
    for (const { frame } of randomFrames(random, targets, FRAMES)) {
      // The kernel has no packet without octets here.
      if (frame.length === 0) continue;
      const expected = runFilter(program, { frame, packetType: 0, random: 0xffffffff }) !== 0;
      // One frame in 65,536 that is to be dropped passes: not twice in a row.
      const passes = probe.passes(frame) && (expected || probe.passes(frame));
      expect(passes, `seed ${seed + run}, ${Buffer.from(frame).toString("hex")}`).toBe(expected);
      if (passes) passed += 1;
    }
  }
  expect(passed).toBeGreaterThan(PROGRAMS);
  expect(passed).toBeLessThan(PROGRAMS * FRAMES * 0.9);
});

test("a hundred virtual IPs that differ in everything are accepted", () => {
  const random = new Random(5);
  const targets = Array.from({ length: 100 }, (): ClassifyTarget => {
    const [target] = randomTargets(random);
    return { ...target, address: random.word() };
  });
  const program = programFor(targets);
  expect(program.length).toBeGreaterThan(1000);
  expect(() => new FilterProbe(encodeProgram(program))).not.toThrow();
});

test("what is no program is refused", () => {
  const jumpOutside = encodeProgram([{ code: 0x05, jt: 0, jf: 0, k: 5 }]);
  expect(() => new FilterProbe(jumpOutside)).toThrow(/SO_ATTACH_FILTER/);
});
