/** The measurements with one virtual IP: foreign frames, requests, connections, bulk data, latency. */
import { availableParallelism } from "node:os";
import { messageOf } from "../../src/core/errors.ts";
import type { Contender } from "./contender.ts";
import { bpf, bpfWithXdp } from "./contenders/clusteripd.ts";
import { ingressDrop, plain, tapLimit } from "./contenders/netfilter.ts";
import { bulkRunner, type Direction } from "./measure/bulk.ts";
import {
  baselineVariants,
  contenderVariants,
  type ForeignVariant,
  foreignRunner,
  requireAnswers,
} from "./measure/foreign-frame.ts";
import { latencyRunner } from "./measure/latency.ts";
import { requestRunner } from "./measure/requests.ts";
import { startBulkServers, startWebServers } from "./servers.ts";
import { type Site, withSites } from "./site.ts";
import { compare, pick, type Suite } from "./suite.ts";

/** All that answer under the virtual IP, for the measurements over the wire. */
const overTheWire = ["plain", "nft", "xt-cluster", "haproxy", "reference", "userspace", "bpf"] as const;
/** Those that drop foreign frames on the node itself, and keep up with a flood: the reference does not. */
const droppers = ["nft", "xt-cluster", "userspace", "bpf"] as const;

/** One node of four: three quarters of all frames are foreign to it. */
const FOREIGN_TOTAL_NODES = 4;

/** The droppers that can be measured; engine bpf with all that it has against foreign frames. */
export function pickDroppers(suite: Suite): Contender[] {
  return pick(suite, droppers).map((contender) => (contender === bpf ? bpfWithXdp : contender));
}

export async function measureForeign(suite: Suite): Promise<void> {
  const { extent } = suite;
  const contenders = [plain, ingressDrop, tapLimit, ...pickDroppers(suite)];
  const options = { nodes: 1, bucketCount: FOREIGN_TOTAL_NODES };
  await withSites(contenders, options, async (sites) => {
    const variants = await foreignVariants(suite, sites);
    await compareForeign(suite, "foreign-frame", variants, extent.floodRounds);
  });
}

/** Checks that the contenders answer what is theirs, then lists their rows. */
export async function foreignVariants(
  { programs, book }: Suite,
  sites: readonly Site[],
): Promise<ForeignVariant[]> {
  const variants: ForeignVariant[] = [];
  for (const site of sites) {
    const { name, sharesAddress } = site.contender;
    try {
      if (sharesAddress) await requireAnswers(site, programs);
      variants.push(...(name === "plain" ? baselineVariants(site) : await contenderVariants(site)));
    } catch (error) {
      book.skip(name, messageOf(error));
    }
  }
  return variants;
}

export async function compareForeign(
  suite: Suite,
  measure: string,
  variants: readonly ForeignVariant[],
  rounds: number,
  parameters?: Readonly<Record<string, number>>,
): Promise<void> {
  const { programs, extent } = suite;
  const runners = variants.map((variant) => ({
    site: variant.site,
    title: variant.title,
    runner: foreignRunner(variant, { programs, frames: extent.floodFrames }),
  }));
  await compare(suite, measure, runners, rounds, parameters);
}

/** Kept connections to one node: what it costs to let a packet through, and nothing else. */
export async function measureKeptRequests(suite: Suite): Promise<void> {
  const { seconds, connections, rounds } = suite.extent;
  await withSites(pick(suite, [...overTheWire, "userspace-bound"]), { nodes: 1 }, async (sites) => {
    for (const site of sites) await startWebServers(site);
    const runners = sites.map((site) => ({ site, runner: requestRunner(site, { seconds, connections }) }));
    await compare(suite, "requests", runners, rounds);
  });
}

/** A new connection for each request, to two nodes that share the address or stand behind a balancer. */
export async function measureNewConnections(suite: Suite): Promise<void> {
  const { seconds, connections, rounds } = suite.extent;
  await withSites(pick(suite, overTheWire), { nodes: 2 }, async (sites) => {
    for (const site of sites) await startWebServers(site);
    // One thread of the client is the bottleneck of all but HAProxy, and leaves CPUs idle.
    const threads = Math.min(availableParallelism(), connections);
    const options = { seconds, connections, threads, isNewEach: true };
    const runners = sites.map((site) => ({ site, runner: requestRunner(site, options) }));
    await compare(suite, "connections", runners, rounds);
  });
}

export async function measureBulk(suite: Suite): Promise<void> {
  const { seconds, bulkRounds: rounds } = suite.extent;
  await withSites(pick(suite, overTheWire), { nodes: 1 }, async (sites) => {
    for (const site of sites) await startBulkServers(site);
    for (const direction of ["to-vip", "from-vip"] satisfies Direction[]) {
      const runners = sites.map((site) => ({ site, runner: bulkRunner(site, { seconds, direction }) }));
      await compare(suite, `bulk-${direction}`, runners, rounds);
    }
  });
}

export async function measureLatency(suite: Suite): Promise<void> {
  const { pings, latencyRounds: rounds } = suite.extent;
  await withSites(pick(suite, overTheWire), { nodes: 1 }, async (sites) => {
    for (const site of sites) await startWebServers(site);
    const runners = sites.map((site) => ({ site, runner: latencyRunner(site, { pings, seconds: 1 }) }));
    await compare(suite, "latency", runners, rounds);
  });
}
