/** How tests and benchmarks wait: for a condition, which is asked again until it holds. */
import { setTimeout as sleep } from "node:timers/promises";

/**
 * Against what never comes, and for nothing else: on a machine that runs much else anything may take a hundred times as
 * long. How long something takes is for the benchmarks.
 */
const PATIENCE_MS = 180_000;

/** Thrown by a check that knows that it will never hold, since a process has ended for example: it is not asked again. */
export class Hopeless extends Error {}

/** Resolves with what `check` returns when it does without an error; rejects with its last error. */
export async function until<T>(check: () => Promise<T> | T, intervalMs = 20): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (error instanceof Hopeless || performance.now() > deadline) throw error;
      await sleep(intervalMs);
    }
  }
}

/** Resolves with what `look` sees when that has been the same for as many looks in a row. */
export async function untilSteady<T>(look: () => Promise<T> | T, looks = 3, intervalMs = 50): Promise<T> {
  let last = await look();
  for (let same = 0; same < looks; ) {
    await sleep(intervalMs);
    const now = await look();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}
