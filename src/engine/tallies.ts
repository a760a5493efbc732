/** Sums of counters that are the same for every engine. */
import {
  type EngineDrop,
  engineDropCatalogue,
  engineDrops,
  type Reason,
  reasonCatalogue,
  reasons,
  type Verdict,
  verdicts,
} from "../core/verdict.ts";
import type { Tally } from "./engine.ts";

export const noFrames: Tally = { frames: 0, bytes: 0 };

export function sumTallies(tallies: Iterable<Tally>): Tally {
  let sum = noFrames;
  for (const { frames, bytes } of tallies) sum = { frames: sum.frames + frames, bytes: sum.bytes + bytes };
  return sum;
}

/** @param native the index is the number of the reason */
export function talliesByReason(native: readonly Tally[]): Record<Reason, Tally> {
  return Object.fromEntries(
    reasons.map((reason) => [reason, native[reasonCatalogue[reason].number] ?? noFrames]),
  ) as Record<Reason, Tally>;
}

/** @param native the index is the number of the drop; none for an engine that has none */
export function talliesByEngineDrop(native: readonly Tally[] = []): Record<EngineDrop, Tally> {
  return Object.fromEntries(
    engineDrops.map((drop) => [drop, native[engineDropCatalogue[drop].number] ?? noFrames]),
  ) as Record<EngineDrop, Tally>;
}

/** @param ofEngine what the engine itself could not judge or deliver: part of `drop` */
export function talliesByVerdict(
  byReason: Readonly<Record<Reason, Tally>>,
  ofEngine: readonly Tally[] = [],
): Record<Verdict, Tally> {
  return Object.fromEntries(
    verdicts.map((verdict) => {
      const ofVerdict = reasons.filter((reason) => reasonCatalogue[reason].verdict === verdict);
      const own = verdict === "drop" ? ofEngine : [];
      return [verdict, sumTallies([...ofVerdict.map((reason) => byReason[reason]), ...own])];
    }),
  ) as Record<Verdict, Tally>;
}
