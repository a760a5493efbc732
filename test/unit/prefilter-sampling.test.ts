/** When foreign frames begin to be counted by samples, and when every one is counted again. */
import { expect, test } from "vitest";
import { SamplingChoice } from "../../src/engine/prefilter/sampling.ts";

/** What the choice is after each second, given the frames of that second. */
function choices(choice: SamplingChoice, perSecond: readonly number[]): number[] {
  let frames = 1_000_000;
  choice.observe(frames, 0);
  return perSecond.map((count, index) => {
    frames += count;
    const before = choice.current;
    expect(choice.observe(frames, (index + 1) * 1000)).toBe(choice.current !== before);
    return choice.current;
  });
}

test("auto: what was counted before the first look is no traffic", () => {
  expect(choices(new SamplingChoice("auto"), [0])).toEqual([1]);
});

test("auto: a flood is sampled after one second", () => {
  expect(choices(new SamplingChoice("auto"), [3999, 4000, 100_000])).toEqual([1, 256, 256]);
});

test("auto: ten calm seconds in a row end it, one wave in them begins anew", () => {
  const calm = Array.from({ length: 9 }, () => 999);
  const busy = Array.from({ length: 9 }, () => 256);
  expect(choices(new SamplingChoice("auto"), [5000, ...calm, 1000, ...calm, 0, 0])).toEqual([
    ...[256, ...busy, 256],
    ...[...busy, 1, 1],
  ]);
});

test.each([1, 16, 256])("a fixed rate of %i stays", (sampling) => {
  expect(choices(new SamplingChoice(sampling), [0, 100_000, 0])).toEqual([sampling, sampling, sampling]);
});
