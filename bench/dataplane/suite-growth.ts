/** Moves of buckets, the daemon itself, and how the costs grow with nodes and with virtual IPs. */

import { measureDaemonCost } from "./measure/daemon-cost.ts";
import { type MoveTimes, measureMoves } from "./measure/moves.ts";
import { requestRunner } from "./measure/requests.ts";
import { note } from "./progress.ts";
import { alternate, type Sample } from "./rounds.ts";
import { startWebServers } from "./servers.ts";
import { withSites } from "./site.ts";
import { percentile } from "./statistics.ts";
import { compare, pick, type Suite } from "./suite.ts";
import { compareForeign, foreignVariants, pickDroppers } from "./suite-traffic.ts";

const engines = ["userspace", "bpf"] as const;
/** The reference is too slow for tables of growth, and not meant for them. */
const growing = ["plain", "nft", "xt-cluster", "userspace", "bpf"] as const;

export async function measureBucketMoves(suite: Suite): Promise<void> {
  const { book, programs, extent } = suite;
  const contenders = pick(suite, ["nft", ...engines]);
  const runners = contenders.map((contender) => ({
    name: contender.name,
    run: async () => percentilesOf(await measureMoves(contender, programs, extent.moves)),
  }));
  const outcomes = await alternate(runners, extent.moveRounds);
  for (const { name, title } of contenders) {
    const { samples = [], failure } = outcomes.get(name) ?? {};
    if (failure !== undefined) book.skip(name, `move: ${failure}`);
    book.add({ measure: "move", contender: name, title }, samples);
  }
}

function percentilesOf({ gainsMs, lossesMs }: MoveTimes): Sample {
  const allMs = [...gainsMs, ...lossesMs];
  return {
    gainP50Ms: percentile(gainsMs, 0.5),
    gainP99Ms: percentile(gainsMs, 0.99),
    loseP50Ms: percentile(lossesMs, 0.5),
    loseP99Ms: percentile(lossesMs, 0.99),
    effectP50Ms: percentile(allMs, 0.5),
    effectP99Ms: percentile(allMs, 0.99),
  };
}

export async function measureDaemon(suite: Suite): Promise<void> {
  const { book, programs, extent } = suite;
  const { restSeconds, seconds: loadSeconds, connections, floodFrames: frames } = extent;
  for (const contender of pick(suite, engines)) {
    for (const vips of extent.vipCounts) {
      note(`the daemon with engine ${contender.name} and ${vips} virtual IPs`);
      const started = performance.now();
      await withSites([contender], { nodes: 2, vips }, async ([site]) => {
        if (site === undefined) return;
        const startSeconds = (performance.now() - started) / 1000;
        await startWebServers(site);
        const options = { programs, restSeconds, loadSeconds, connections, frames };
        const sample = { startSeconds, ...(await measureDaemonCost(site, options)) };
        const { name, title } = contender;
        book.add({ measure: "daemon", contender: name, title, parameters: { vips } }, [sample]);
      });
    }
  }
}

/** Real nodes, all on this machine: every frame reaches every one of them, and all share its CPUs. */
export async function measureNodeGrowth(suite: Suite): Promise<void> {
  const { extent } = suite;
  const { growthSeconds: seconds, connections, growthRounds } = extent;
  for (const nodes of extent.nodeCounts) {
    note(`${nodes} nodes`);
    await withSites(pick(suite, growing), { nodes }, async (sites) => {
      for (const site of sites) await startWebServers(site);
      const runners = sites.map((site) => ({ site, runner: requestRunner(site, { seconds, connections }) }));
      await compare(suite, "nodes-requests", runners, growthRounds, { nodes });
    });
    // A single node has no foreign frames.
    if (nodes === 1) continue;
    const options = { nodes: 1, bucketCount: nodes };
    await withSites(pickDroppers(suite), options, async (sites) => {
      const variants = await foreignVariants(suite, sites);
      await compareForeign(suite, "nodes-foreign-frame", variants, growthRounds, { nodes });
    });
  }
}

export async function measureVipGrowth(suite: Suite): Promise<void> {
  const { extent } = suite;
  const { growthSeconds: seconds, connections, growthRounds } = extent;
  for (const vips of extent.vipCounts) {
    note(`${vips} virtual IPs`);
    await withSites(pick(suite, ["nft", ...engines]), { nodes: 1, vips }, async (sites) => {
      for (const site of sites) await startWebServers(site);
      const runners = sites.map((site) => ({ site, runner: requestRunner(site, { seconds, connections }) }));
      await compare(suite, "vips-requests", runners, growthRounds, { vips });
    });
    await withSites(pickDroppers(suite), { nodes: 1, bucketCount: 4, vips }, async (sites) => {
      const variants = await foreignVariants(suite, sites);
      await compareForeign(suite, "vips-foreign-frame", variants, growthRounds, { vips });
    });
  }
}
