/** When foreign frames begin to be counted by samples, how densely, and when every one is counted again. */
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

const seconds = (count: number, perSecond: number): number[] =>
  Array.from({ length: count }, () => perSecond);

test("auto: what was counted before the first look is no traffic", () => {
  expect(choices(new SamplingChoice("auto"), [0])).toEqual([1]);
});

test("auto: a flood is sampled at once, about 500 a second", () => {
  expect(choices(new SamplingChoice("auto"), [3999, 4000, 100_000, 2_000_000])).toEqual([1, 8, 256, 4096]);
  expect(choices(new SamplingChoice("auto"), [2_000_000, 100_000_000])).toEqual([4096, 65_536]);
});

test("auto: a little more or less changes nothing", () => {
  const steady = [100_000, 140_000, 60_000, 100_000];
  expect(choices(new SamplingChoice("auto"), steady)).toEqual([256, 256, 256, 256]);
});

test("auto: a calm minute ends it", () => {
  const found = choices(new SamplingChoice("auto"), [5000, ...seconds(61, 999)]);
  expect(found.slice(0, 60)).toEqual(seconds(60, 8));
  expect(found.at(-1)).toBe(1);
});

test("auto: one wave in a minute keeps it, at the density of that wave", () => {
  const minute = [...seconds(30, 0), 20_000, ...seconds(30, 0)];
  const found = choices(new SamplingChoice("auto"), [2_000_000, ...minute, ...minute]);
  expect(new Set(found)).toEqual(new Set([4096, 32]));
  expect(found.at(-1)).toBe(32);
});

test.each([1, 16, 256])("a fixed rate of %i stays", (sampling) => {
  const found = choices(new SamplingChoice(sampling), [0, 100_000, ...seconds(70, 0)]);
  expect(new Set(found)).toEqual(new Set([sampling]));
});

test("a choice that could not be put in force is made again at the next look", () => {
  const choice = new SamplingChoice("auto");
  expect(choices(choice, [100_000])).toEqual([256]);
  choice.goBackTo(1);
  expect(choice.observe(1_200_000, 2000)).toBe(true);
  expect(choice.current).toBe(256);
});

test("auto: two looks at once make no flood of a trickle", () => {
  const choice = new SamplingChoice("auto");
  expect(choices(choice, [10, 10])).toEqual([1, 1]);
  expect(choice.observe(1_000_030, 2001)).toBe(false);
  expect(choice.current).toBe(1);
  // Its frames are those of the next look.
  expect(choice.observe(1_005_030, 2251)).toBe(true);
});
