/** What the daemon itself takes: memory, and CPU at rest and under load. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Programs, runFlood } from "../flood-tool.ts";
import { residentMb, spending } from "../process-cost.ts";
import type { Sample } from "../rounds.ts";
import type { Site } from "../site.ts";
import { framesFor, settlePrefilter } from "./foreign-frame.ts";
import { measureRequests } from "./requests.ts";

export interface DaemonCostOptions {
  readonly programs: Programs;
  readonly restSeconds: number;
  readonly loadSeconds: number;
  readonly connections: number;
  readonly frames: number;
}

/** Of the first node's daemon; it has just started, and all nodes serve HTTP. */
export async function measureDaemonCost(site: Site, options: DaemonCostOptions): Promise<Sample> {
  const { programs, restSeconds, loadSeconds, connections, frames: count } = options;
  const pids = site.pids.slice(0, 1);
  const rest = await spending(pids, () => sleep(restSeconds * 1000));
  const rssAtRestMb = residentMb(pids);
  const load = await spending(pids, () => measureRequests(site, { seconds: loadSeconds, connections }));
  const frames = framesFor(site, "foreign");
  await settlePrefilter(site, programs, { frames, count, where: "pass" });
  const flood = await spending(pids, () => runFlood(programs, site.node, { frames, count, where: "pass" }));
  return {
    rssAtRestMb,
    rssAfterLoadMb: residentMb(pids),
    cpuAtRestShare: cpuShare(rest),
    cpuUnderRequestsShare: cpuShare(load),
    cpuUnderForeignFloodShare: cpuShare(flood),
  };
}

/** 1 is one CPU. */
function cpuShare({ daemonNs, elapsedMs }: { daemonNs: number; elapsedMs: number }): number {
  return daemonNs / 1e6 / elapsedMs;
}
