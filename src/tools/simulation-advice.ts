/** What to make of a simulation, in words. */
import { allBuckets, MAX_BUCKETS } from "../model/bucket-set.ts";
import { countOf, formatCount, formatShare, listOf, shareDigits } from "./numbers.ts";
import { bucketsOf } from "./ownership.ts";
import type { Simulation, SimulationAdvice } from "./simulation.ts";

/**
 * Chance spreads this much above the fair share (or more) before few draws are worth a warning.
 * At 25% the busiest of three nodes serves 42% instead of 33%.
 */
const FEW_DRAWS_EXCESS = 1.25;
/** Below this probability chance is not a good explanation any more. */
const UNLIKELY = 0.001;

const ADVISE_PORTS =
  "Use --hashmode sourceip-sourceport, unless the service needs all connections of a client on one node (FTP, IPsec)";

/**
 * @param sharesWithPorts computes the buckets' shares of the same flows under sourceip-sourceport
 */
export function adviceOn(
  simulation: Omit<Simulation, "advice">,
  sharesWithPorts: () => readonly number[],
): readonly SimulationAdvice[] {
  if (simulation.settings.bucketCount === 1) {
    return [{ kind: "single-node", text: "There is one bucket only, so its node answers everything." }];
  }
  return [...adviceOnSpread(simulation, sharesWithPorts), ...adviceOnLevelling(simulation)];
}

function adviceOnSpread(
  simulation: Omit<Simulation, "advice">,
  sharesWithPorts: () => readonly number[],
): readonly SimulationAdvice[] {
  const { settings, expected, clients, ports } = simulation;
  const isByAddress = settings.hashMode === "sourceip";
  const isFewDraws = expected.maxShare > expected.meanShare * FEW_DRAWS_EXCESS;

  if (isByAddress && clients === 1) {
    const owner = simulation.buckets.find((bucket) => bucket.share === 1);
    return [
      {
        kind: "one-client",
        text:
          `One node gets everything: bucket ${owner?.bucket} at node ${owner?.node}. With sourceip every connection ` +
          "from one address lands on one node, and all users behind one NAT router, proxy or load balancer have " +
          `one address. ${ADVISE_PORTS}${comparison(ports, sharesWithPorts)}.`,
      },
    ];
  }
  if (isByAddress && isFewDraws) {
    return [
      {
        kind: "few-clients",
        text:
          `${countOf(clients, "client")} ${clients === 1 ? "is" : "are"} few for ${settings.bucketCount} buckets: sourceip gives all connections ` +
          `of a client to one node, and chance alone then makes the largest bucket ${formatShare(expected.maxShare)} ` +
          `on average instead of ${formatShare(expected.meanShare)}${idleBuckets(simulation)}. ` +
          `${ADVISE_PORTS}${comparison(ports, sharesWithPorts)}.`,
      },
    ];
  }
  if (isFewDraws) {
    return [
      {
        kind: "few-flows",
        text:
          `${countOf(expected.draws, "flow")} ${expected.draws === 1 ? "is" : "are"} few for ${settings.bucketCount} buckets: chance alone makes the ` +
          `largest bucket ${formatShare(expected.maxShare)} on average instead of ${formatShare(expected.meanShare)}` +
          `${idleBuckets(simulation)}. The shares even out as flows grow in number; no setting changes that.`,
      },
    ];
  }
  if (simulation.chance < UNLIKELY) {
    return [
      {
        kind: "uneven",
        text:
          `The shares differ more than chance explains (probability ${simulation.chance.toPrecision(1)}): these ` +
          "addresses and ports do not suit this seed. Try another --hash-init" +
          `${isByAddress ? ", or --hashmode sourceip-sourceport" : ""}.`,
      },
    ];
  }
  const asExpected: SimulationAdvice = { kind: "as-expected", text: asExpectedText(simulation) };
  return isByAddress ? [asExpected, NAT_CAVEAT] : [asExpected];
}

const NAT_CAVEAT: SimulationAdvice = {
  kind: "nat",
  text:
    "This counts every address as equally busy. With sourceip all users behind one NAT router, proxy or load " +
    `balancer are one client: if much of the traffic comes that way, one node gets it all. ${ADVISE_PORTS}.`,
};

function asExpectedText({ buckets, expected }: Omit<Simulation, "advice">): string {
  const shares = buckets.map((bucket) => bucket.share);
  const format = (share: number): string => formatShare(share, shareDigits(expected.standardDeviation));
  return (
    `The buckets are as even as chance allows: ${format(Math.min(...shares))} to ` +
    `${format(Math.max(...shares))}, where ${format(expected.minShare)} to ` +
    `${format(expected.maxShare)} is the average for ${formatCount(expected.draws)} ` +
    "independent choices. Neither another hash mode nor another seed would do better."
  );
}

function idleBuckets({ buckets }: Omit<Simulation, "advice">): string {
  const idle = buckets.filter((bucket) => bucket.flows === 0).map((bucket) => bucket.bucket);
  if (idle.length === 0) return "";
  return `; ${idle.length === 1 ? "bucket" : "buckets"} ${listOf(idle)} here ${idle.length === 1 ? "gets" : "get"} nothing`;
}

/** What sourceip-sourceport would make of the same flows, where they are enough to tell. */
function comparison(ports: number, sharesWithPorts: () => readonly number[]): string {
  if (ports === 1) return ""; // one connection a client: the ports take nothing apart
  const shares = sharesWithPorts();
  return `: the same flows would then be shared ${formatShare(Math.min(...shares))} to ${formatShare(Math.max(...shares))}`;
}

/** Whether the survivors can be level at all with so few buckets, and how many would do better. */
function adviceOnLevelling({ ownership }: Omit<Simulation, "advice">): readonly SimulationAdvice[] {
  const { bucketCount, down } = ownership;
  const most = largestPart(bucketCount, bucketCount, down.length);
  const fair = 1 / (bucketCount - down.length);
  if (most <= fair * 1.001) return [];

  const busiest = allBuckets(bucketCount).filter(
    (node) => bucketsOf(ownership, node).length === Math.round(most * bucketCount),
  );
  const problem =
    `With ${down.length === 1 ? "node" : "nodes"} ${listOf(down)} down, ${busiest.length === 1 ? "node" : "nodes"} ` +
    `${listOf(busiest)} must take ${formatShare(most)} of the buckets${busiest.length === 1 ? "" : " each"}, where ` +
    `equal shares would be ${formatShare(fair)}.`;
  const better = bestBucketCount(bucketCount, down.length);
  if (better === undefined) {
    return [
      {
        kind: "bucket-limit",
        text: `${problem} More buckets would level better, and ${MAX_BUCKETS} are the limit.`,
      },
    ];
  }
  const perNode = better / bucketCount;
  return [
    {
      kind: "more-buckets",
      text:
        `${problem} More buckets than nodes level better: with --total-nodes ${better}, ${perNode} buckets a node ` +
        `at first (Pacemaker: clone-max=${better} clone-node-max=${better}), no survivor would have more than ` +
        `${formatShare(largestPart(better, bucketCount, down.length))}.`,
    },
  ];
}

/** The largest part of the buckets at one survivor, once they are level. */
function largestPart(buckets: number, nodes: number, nodesDown: number): number {
  return Math.ceil(buckets / (nodes - nodesDown)) / buckets;
}

/** A multiple of the nodes, up to 16, that levels better than one bucket a node; the smallest of the best. */
function bestBucketCount(nodes: number, nodesDown: number): number | undefined {
  let best = nodes;
  for (let buckets = nodes; buckets <= MAX_BUCKETS; buckets += nodes) {
    if (largestPart(buckets, nodes, nodesDown) < largestPart(best, nodes, nodesDown) - 1e-9) best = buckets;
  }
  return best === nodes ? undefined : best;
}
