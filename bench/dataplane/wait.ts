import { setTimeout as sleep } from "node:timers/promises";

const TIMEOUT_MS = 10_000;

/** Asks again and again; rejects with `what` when it stays untrue. */
export async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + TIMEOUT_MS;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`still not so after ${TIMEOUT_MS / 1000} s: ${what}`);
    await sleep(20);
  }
}
