import { expect, it } from "vitest";
import { UnansweredWatch } from "../../src/core/unanswered.ts";

const VIP = "192.0.2.10";

/** Looks at these counters, each [seconds, asked, left]; returns after which of them the address was silent. */
function silentAfter(looks: readonly (readonly [number, number, number])[]): number[] {
  const watch = new UnansweredWatch();
  return looks.flatMap(([second, asked, left]) =>
    watch.observe(new Map([[VIP, { asked, left }]]), second * 1000).has(VIP) ? [second] : [],
  );
}

it.each([
  [
    "nothing is asked",
    [
      [0, 0, 0],
      [5, 0, 0],
      [20, 0, 0],
    ],
    [],
  ],
  [
    "what is asked is answered",
    [
      [0, 0, 0],
      [5, 3, 3],
      [10, 9, 9],
      [15, 20, 18],
    ],
    [],
  ],
  [
    "three questions without an answer for eight seconds",
    [
      [0, 0, 0],
      [5, 1, 0],
      [10, 2, 0],
      [14, 3, 0],
      [20, 9, 0],
    ],
    [14, 20],
  ],
  [
    "two questions are too few",
    [
      [0, 0, 0],
      [5, 1, 0],
      [14, 2, 0],
      [30, 2, 0],
    ],
    [],
  ],
  [
    "it ends with the first answer",
    [
      [0, 0, 0],
      [5, 5, 0],
      [14, 9, 0],
      [19, 12, 1],
      [24, 13, 2],
    ],
    [14],
  ],
  [
    "what was asked before the first look counts not",
    [
      [0, 50, 0],
      [9, 52, 0],
      [20, 52, 0],
    ],
    [],
  ],
  [
    "the counters begin anew",
    [
      [0, 10, 4],
      [5, 14, 4],
      [14, 2, 0],
      [19, 4, 0],
      [24, 4, 0],
    ],
    [],
  ],
  [
    "nobody asks any more",
    [
      [0, 0, 0],
      [5, 4, 0],
      [14, 4, 0],
      [60, 4, 0],
      [66, 4, 0],
    ],
    [14, 60],
  ],
] as const)("%s", (_, looks, silent) => {
  expect(silentAfter(looks)).toEqual(silent);
});

it("an address that is not served any more is forgotten", () => {
  const watch = new UnansweredWatch();
  watch.observe(new Map([[VIP, { asked: 0, left: 0 }]]), 0);
  watch.observe(new Map([[VIP, { asked: 9, left: 0 }]]), 5000);
  watch.observe(new Map(), 10_000);
  expect(watch.observe(new Map([[VIP, { asked: 12, left: 0 }]]), 20_000)).toEqual(new Set());
});
