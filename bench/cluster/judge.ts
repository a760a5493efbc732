/** What the events of a cluster cost, beside the goals of the project. */
import { NODES } from "../../test/support/pacemaker/cluster.ts";
import type { Outcome } from "../../test/support/pacemaker/course.ts";
import type { Event } from "../../test/support/pacemaker/events.ts";

/**
 * Of a planned move, in seconds: nobody answers for a bucket on its way. For each bucket that a node gives up or takes,
 * because Pacemaker ends all stops of a clone before it begins the starts.
 */
const PLANNED_GAP_S = 0.2;
/** Of every event, in seconds: until every bucket is answered again. */
const GOAL_S = 8;

/** Seconds, and how many there should be at most. */
export interface Judged {
  readonly seconds: number;
  readonly goal: number;
}

export interface Cost {
  readonly outcome: Outcome;
  /** until every bucket was answered again */
  readonly inAll: Judged;
  /** the longest time in which nobody answered for a bucket; of an event that nobody has planned it has no goal */
  readonly longestGap: Judged;
}

export function costOf(outcome: Outcome): Cost {
  const { event, fromMs, answeredMs, outages } = outcome;
  return {
    outcome,
    inAll: { seconds: (answeredMs - fromMs) / 1000, goal: event.goalSeconds ?? GOAL_S },
    longestGap: {
      seconds: Math.max(0, ...outages.map((outage) => outage.toMs - outage.fromMs)) / 1000,
      goal: event.planned ? plannedGapOf(event) : Number.POSITIVE_INFINITY,
    },
  };
}

const plannedGapOf = ({ total, gapSeconds }: Event): number =>
  gapSeconds ?? (PLANNED_GAP_S * total) / NODES.length;
