/** Paired and alternating runs: every contender once a round, each round in another order. */
import { messageOf } from "../../src/core/errors.ts";
import { note } from "./progress.ts";

/** One run of one contender: the figures by name. */
export type Sample = Readonly<Record<string, number>>;

export interface Runner {
  readonly name: string;
  run(): Promise<Sample>;
}

export interface Outcome {
  readonly samples: readonly Sample[];
  /** why there are no more: a run failed, and the contender took no further part */
  readonly failure?: string;
}

/**
 * Runs everybody `rounds` times, after one run each that does not count. Odd rounds go backwards, so that what
 * drifts in a round does not always fall to the same one.
 */
export async function alternate(
  runners: readonly Runner[],
  rounds: number,
): Promise<ReadonlyMap<string, Outcome>> {
  const outcomes = new Map<string, Outcome>(runners.map(({ name }) => [name, { samples: [] }]));
  for (let round = 0; round <= rounds; round += 1) {
    note(round === 0 ? "warming up" : `round ${round} of ${rounds}`);
    const order = round % 2 === 0 ? runners : [...runners].reverse();
    for (const runner of order) {
      const before = outcomes.get(runner.name) ?? { samples: [] };
      if (before.failure !== undefined) continue;
      const after = await runOnce(runner, before);
      if (round > 0 || after.failure !== undefined) outcomes.set(runner.name, after);
    }
  }
  return outcomes;
}

async function runOnce(runner: Runner, { samples }: Outcome): Promise<Outcome> {
  try {
    return { samples: [...samples, await runner.run()] };
  } catch (error) {
    const failure = messageOf(error);
    note(`${runner.name} failed: ${failure}`);
    // Its runs would no longer pair with those of the others.
    return { samples: [], failure };
  }
}

/** One figure of all samples, in the order of the runs. */
export function figures(samples: readonly Sample[] | undefined, name: string): number[] {
  return (samples ?? []).flatMap((sample) => sample[name] ?? []);
}
