/**
 * A real cluster under all events that a cluster meets, with clients throughout. How long a bucket is not answered is
 * for `npm run bench:cluster`.
 */
import { beforeAll, expect, it } from "vitest";
import { describeNet } from "../support/lab/describe-net.ts";
import { SOURCES } from "../support/pacemaker/cluster.ts";
import { type Outcome, runEvents } from "../support/pacemaker/course.ts";
import { firstEvents, laterEvents } from "../support/pacemaker/events.ts";
import { icmpBucket } from "../support/pacemaker/pings.ts";

describeNet("pacemaker", { tools: ["corosync", "pacemakerd", "crm", "ping", "curl"] }, () => {
  let outcomes: readonly Outcome[] = [];

  // After each event every bucket is answered again, or this fails.
  beforeAll(async () => {
    outcomes = await runEvents();
  }, 1_200_000);

  it("has clients in every bucket", () => {
    for (const total of [3, 12]) {
      expect(new Set(SOURCES.map((source) => icmpBucket(source, total))).size).toBe(total);
    }
  });

  it("saw every event", () => {
    expect(outcomes).toHaveLength(firstEvents().length + laterEvents(1).length);
    for (const { requests } of outcomes) expect(requests).toBeGreaterThan(50);
  });

  it("nobody is answered twice in a planned event", () => {
    const doubled = outcomes.filter((outcome) => outcome.event.planned && outcome.doubled > 0);
    expect(doubled.map(({ event, doubled: count }) => `${event.name}: ${count}`)).toEqual([]);
  });

  it("nothing is unanswered while nothing happens", () => {
    const [first] = outcomes;
    expect(first).toMatchObject({ event: { name: "nothing, for 3 s" }, outages: [] });
  });
});
