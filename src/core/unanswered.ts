/** Whether a virtual IP is asked and does not answer, from two counters that are read now and then. Pure. */

/** Packets since some moment; both begin at 0 again when the moment changes. */
export interface WatchCounts {
  readonly asked: number;
  readonly left: number;
}

interface Watched extends WatchCounts {
  /** `asked` when something left last */
  readonly answered: number;
  /** ms; when the first question after that was seen */
  readonly since: number | undefined;
  /** ms; when the last question was seen */
  readonly askedAt: number;
}

/** A client of TCP asks three times within this time. */
const SILENCE_MS = 8000;
const MIN_QUESTIONS = 3;
/** Without further questions it is not known any more. */
const FORGET_MS = 60_000;

export class UnansweredWatch {
  readonly #watched = new Map<string, Watched>();

  /**
   * @param counts by virtual IP; one that is not in it is forgotten
   * @param now ms, of a clock that does not go back
   * @returns the virtual IPs that are asked and do not answer
   */
  observe(counts: ReadonlyMap<string, WatchCounts>, now: number): ReadonlySet<string> {
    for (const vip of this.#watched.keys()) if (!counts.has(vip)) this.#watched.delete(vip);
    const silent = new Set<string>();
    for (const [vip, count] of counts) {
      const watched = next(this.#watched.get(vip), count, now);
      this.#watched.set(vip, watched);
      if (isSilent(watched, now)) silent.add(vip);
    }
    return silent;
  }
}

function next(before: Watched | undefined, { asked, left }: WatchCounts, now: number): Watched {
  const isNew = before === undefined || asked < before.asked || left < before.left;
  if (isNew || left > before.left) return { asked, left, answered: asked, since: undefined, askedAt: now };
  const askedAt = asked > before.asked ? now : before.askedAt;
  const isAsked = asked > before.answered && now - askedAt < FORGET_MS;
  if (!isAsked) return { asked, left, answered: asked, since: undefined, askedAt };
  return { asked, left, answered: before.answered, since: before.since ?? now, askedAt };
}

function isSilent({ asked, answered, since }: Watched, now: number): boolean {
  return since !== undefined && now - since >= SILENCE_MS && asked - answered >= MIN_QUESTIONS;
}
