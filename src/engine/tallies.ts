/** Sums of counters that are the same for every engine. */
import { type Reason, reasonCatalogue, reasons, type Verdict, verdicts } from "../core/verdict.ts";
import type { Tally } from "./engine.ts";

export const noFrames: Tally = { frames: 0, bytes: 0 };

export function sumTallies(tallies: Iterable<Tally>): Tally {
  let sum = noFrames;
  for (const { frames, bytes } of tallies) sum = { frames: sum.frames + frames, bytes: sum.bytes + bytes };
  return sum;
}

/** @param native in the order of `reasons` */
export function talliesByReason(native: readonly Tally[]): Record<Reason, Tally> {
  return Object.fromEntries(reasons.map((reason, index) => [reason, native[index] ?? noFrames])) as Record<
    Reason,
    Tally
  >;
}

/** @param engineDrops what the engine itself could not judge or deliver: part of `drop` */
export function talliesByVerdict(
  byReason: Readonly<Record<Reason, Tally>>,
  engineDrops: readonly Tally[] = [],
): Record<Verdict, Tally> {
  return Object.fromEntries(
    verdicts.map((verdict) => {
      const ofVerdict = reasons.filter((reason) => reasonCatalogue[reason].verdict === verdict);
      const own = verdict === "drop" ? engineDrops : [];
      return [verdict, sumTallies([...ofVerdict.map((reason) => byReason[reason]), ...own])];
    }),
  ) as Record<Verdict, Tally>;
}
