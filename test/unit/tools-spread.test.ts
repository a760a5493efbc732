import { describe, expect, it } from "vitest";
import { parseClients } from "../../src/tools/clients.ts";
import { simulate } from "../../src/tools/simulate.ts";
import { adviceOn } from "../../src/tools/simulation-advice.ts";
import { chanceOfSpread, expectedSpread } from "../../src/tools/spread.ts";

/** E[max] / n and E[min] / n by enumerating all k^n outcomes. */
function enumerated(draws: number, buckets: number): { maxShare: number; minShare: number } {
  let most = 0;
  let least = 0;
  const outcomes = buckets ** draws;
  for (let outcome = 0; outcome < outcomes; outcome++) {
    const counts = new Array<number>(buckets).fill(0);
    for (let draw = 0, rest = outcome; draw < draws; draw++, rest = Math.floor(rest / buckets)) {
      counts[rest % buckets] = (counts[rest % buckets] ?? 0) + 1;
    }
    most += Math.max(...counts);
    least += Math.min(...counts);
  }
  return { maxShare: most / outcomes / draws, minShare: least / outcomes / draws };
}

describe("expectedSpread", () => {
  for (const [draws, buckets] of [
    [1, 1],
    [1, 2],
    [2, 2],
    [7, 2],
    [5, 3],
    [9, 3],
    [6, 4],
    [3, 16],
  ] as const) {
    it(`is exact for ${draws} draws over ${buckets} buckets`, () => {
      const expected = enumerated(draws, buckets);
      const spread = expectedSpread(draws, buckets);
      expect(spread.maxShare).toBeCloseTo(expected.maxShare, 7);
      expect(spread.minShare).toBeCloseTo(expected.minShare, 7);
    });
  }

  it("passes from exact to normal without a step", () => {
    for (const buckets of [1, 2, 3, 7, 16]) {
      const exact = expectedSpread(512, buckets);
      const normal = expectedSpread(513, buckets);
      expect(Math.abs(exact.maxShare - normal.maxShare)).toBeLessThan(0.02 * exact.maxShare);
      expect(Math.abs(exact.minShare - normal.minShare)).toBeLessThan(0.02 * exact.maxShare);
    }
  });

  it("gives the binomial standard deviation of one bucket", () => {
    expect(expectedSpread(100, 2).standardDeviation).toBeCloseTo(0.05);
    expect(expectedSpread(10_000, 4).standardDeviation).toBeCloseTo(Math.sqrt(0.25 * 0.75) / 100);
  });
});

describe("chanceOfSpread", () => {
  // Upper quantiles of the chi-squared distribution, from any statistical table.
  for (const { counts, chance } of [
    { counts: [40.2, 59.8], chance: 0.05 }, // 3.841 with 1 degree of freedom
    { counts: [100, 120, 80], chance: 0.0183 }, // 8 with 2
  ]) {
    it(`of ${counts.join(", ")} is about ${chance}`, () => {
      const found = chanceOfSpread(counts);
      expect(Math.abs(found - chance)).toBeLessThan(Math.max(0.003, chance * 0.02));
    });
  }

  it("is near 1 for equal counts and vanishes for very unequal ones", () => {
    expect(chanceOfSpread([50, 50])).toBeGreaterThan(0.9);
    expect(chanceOfSpread([100, 150, 50])).toBeLessThan(1e-9);
  });

  it("is certainty where there is nothing to compare", () => {
    expect(chanceOfSpread([7])).toBe(1);
    expect(chanceOfSpread([0, 0])).toBe(1);
  });
});

describe("a spread that chance does not explain", () => {
  const simulation = { ...simulate({ clients: parseClients("10.0.0.0/20"), bucketCount: 2 }), chance: 1e-6 };

  it("leads to another seed, and to ports where they do not take part", () => {
    const [advice] = adviceOn(simulation, () => []);
    expect(advice).toMatchObject({
      kind: "uneven",
      text: expect.stringContaining("Try another --hash-init."),
    });
    const byAddress = { ...simulation, settings: { ...simulation.settings, hashMode: "sourceip" as const } };
    expect(adviceOn(byAddress, () => [])[0]?.text).toContain("or --hashmode sourceip-sourceport");
  });
});
