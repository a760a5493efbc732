/**
 * Rounds in which every contender runs once, in turns: what slows the machine down for a while
 * slows them all, and ratios are taken within a round.
 */
import { Bench } from "tinybench";
import { median, pairedRatios, type Summary, summarise } from "../dataplane/statistics.ts";
import type { Contender } from "./contenders.ts";

export interface Extent {
  readonly rounds: number;
  /** of each contender in each round */
  readonly timeMs: number;
}

/** By contender: nanoseconds for one item, round by round. */
export type Rounds = ReadonlyMap<string, readonly number[]>;

/** @param items how many hashes or verdicts one call of `run` makes */
export async function measureRounds(
  contenders: readonly Contender[],
  items: number,
  { rounds, timeMs }: Extent,
): Promise<Rounds> {
  const samples = new Map(contenders.map(({ name }): [string, number[]] => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    const bench = new Bench({ time: timeMs, warmupTime: timeMs / 4, iterations: 8, warmupIterations: 4 });
    // Back and forth, so that nobody always runs behind the same one.
    const order = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const { name, run } of order) bench.add(name, run);
    for (const task of await bench.run()) {
      const { result } = task;
      if (!("latency" in result)) throw new Error(`${task.name} did not run to its end`);
      samples.get(task.name)?.push((result.latency.p50 * 1e6) / items);
    }
  }
  return samples;
}

export function summaryOf(rounds: Rounds, name: string): Summary {
  return summarise(rounds.get(name) ?? []);
}

export interface Ratio {
  readonly value: number;
  readonly spread: Summary;
}

export function ratioOf(rounds: Rounds, name: string, against: string): Ratio {
  const ratios = pairedRatios(rounds.get(name) ?? [], rounds.get(against) ?? []);
  return { value: median(ratios), spread: summarise(ratios) };
}
