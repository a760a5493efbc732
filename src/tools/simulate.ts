/**
 * `clusterip simulate`: how CLUSTERIP would share the flows of given clients. Every client opens
 * one flow from each of a number of source ports; each flow is hashed as the kernel target did.
 */
import { bucketOf, type HashMode, type HashSettings, protocolNumbers } from "../core/bucket.ts";
import { ClusterIpError } from "../core/errors.ts";
import { type AddressRange, addressAt, countAddresses } from "./clients.ts";
import { bucketsOf, type Ownership, ownershipAfter } from "./ownership.ts";
import type { BucketShare, NodeShare, Simulation } from "./simulation.ts";
import { adviceOn } from "./simulation-advice.ts";
import { chanceOfSpread, expectedSpread } from "./spread.ts";

/** Hashes computed at most; beyond it a sample spread evenly over all flows stands for them. */
export const MAX_HASHES = 2 ** 24;

/** Linux hands out source ports from here (net.ipv4.ip_local_port_range); we count up from it. */
const FIRST_SOURCE_PORT = 32_768;
/** After 65535 the ports go on at 1024, so that this many are different. */
const LOWEST_SOURCE_PORT = 1024;
export const MAX_PORTS = 65_536 - LOWEST_SOURCE_PORT;

export interface SimulationRequest {
  readonly clients: readonly AddressRange[];
  readonly bucketCount: number;
  /** Nodes that are down; by default none. */
  readonly down?: Iterable<number>;
  readonly hashMode?: HashMode;
  readonly hashInit?: number;
  /** Source ports, and so flows, of each client: 1 to 64512. */
  readonly ports?: number;
  readonly destinationPort?: number;
  /** Lower than {@link MAX_HASHES} for a quick answer. */
  readonly maxHashes?: number;
}

export const simulationDefaults = {
  hashMode: "sourceip-sourceport",
  hashInit: 0,
  ports: 16,
  destinationPort: 80,
} as const;

/** Computes the shares and what to make of them. */
export function simulate(request: SimulationRequest): Simulation {
  const ports = request.ports ?? simulationDefaults.ports;
  const destinationPort = request.destinationPort ?? simulationDefaults.destinationPort;
  checkRange("--ports", ports, 1, MAX_PORTS);
  checkRange("the destination port", destinationPort, 0, 65_535);
  const ownership = ownershipAfter(request.bucketCount, request.down);
  const settings: HashSettings = {
    hashMode: request.hashMode ?? simulationDefaults.hashMode,
    bucketCount: request.bucketCount,
    hashInit: request.hashInit ?? simulationDefaults.hashInit,
  };
  const clients = countAddresses(request.clients);
  if (clients === 0) throw new ClusterIpError("CLUSTERIP_USAGE", "There are no clients to simulate.");

  const maxHashes = request.maxHashes ?? MAX_HASHES;
  const population = { ranges: request.clients, clients, ports, destinationPort };
  const drawn = drawBuckets(population, settings, maxHashes);
  const countedFlows = drawn.draws * drawn.flowsPerDraw;
  const buckets = drawn.counts.map((draws, index) => ({
    bucket: index + 1,
    node: ownership.ownerOf[index] ?? 0,
    flows: draws * drawn.flowsPerDraw,
    share: draws / drawn.draws,
  }));
  const simulation = {
    settings,
    clientRanges: request.clients,
    clients,
    ports,
    destinationPort,
    flows: clients * ports,
    countedFlows,
    isSample: countedFlows < clients * ports,
    ownership,
    buckets,
    nodes: nodeShares(buckets, ownership),
    expected: expectedSpread(drawn.draws, settings.bucketCount),
    chance: chanceOfSpread(drawn.counts),
  };
  const withPorts = (): readonly number[] => {
    const other = { ...settings, hashMode: "sourceip-sourceport" } as const;
    // A comparison in one sentence of advice needs no more than a sample.
    const { counts, draws } = drawBuckets(population, other, Math.min(maxHashes, 2 ** 18));
    return counts.map((count) => count / draws);
  };
  return { ...simulation, advice: adviceOn(simulation, withPorts) };
}

function checkRange(name: string, value: number, lowest: number, highest: number): void {
  if (Number.isInteger(value) && value >= lowest && value <= highest) return;
  throw new ClusterIpError(
    "CLUSTERIP_USAGE",
    `${name} is ${value}: expected a number from ${lowest} to ${highest}.`,
  );
}

interface Population {
  readonly ranges: readonly AddressRange[];
  readonly clients: number;
  readonly ports: number;
  readonly destinationPort: number;
}

interface DrawnBuckets {
  /** Draws that fell on bucket `index + 1`. */
  readonly counts: readonly number[];
  readonly draws: number;
  /** With `sourceip` all flows of a client are one draw. */
  readonly flowsPerDraw: number;
}

function drawBuckets(population: Population, settings: HashSettings, maxHashes: number): DrawnBuckets {
  const { clients, destinationPort } = population;
  const drawsPerClient = settings.hashMode === "sourceip" ? 1 : population.ports;
  const drawable = clients * drawsPerClient;
  const draws = Math.min(drawable, maxHashes);
  const counts = new Array<number>(settings.bucketCount).fill(0);
  const count = (saddrHost: number, portIndex: number): void => {
    const sourcePort = sourcePortAt(portIndex);
    const flow = { protocol: protocolNumbers.tcp, saddrHost, sourcePort, destinationPort };
    const index = bucketOf(flow, settings) - 1;
    counts[index] = (counts[index] ?? 0) + 1;
  };
  if (draws === drawable) {
    for (const { first, last } of population.ranges) {
      for (let saddrHost = first; saddrHost <= last; saddrHost++) {
        for (let portIndex = 0; portIndex < drawsPerClient; portIndex++) count(saddrHost, portIndex);
      }
    }
  } else {
    for (let stratum = 0; stratum < draws; stratum++) {
      const index = sampleIndex(stratum, draws, drawable);
      count(addressAt(population.ranges, Math.floor(index / drawsPerClient)), index % drawsPerClient);
    }
  }
  return { counts, draws, flowsPerDraw: population.ports / drawsPerClient };
}

function sourcePortAt(index: number): number {
  const port = FIRST_SOURCE_PORT + index;
  return port <= 65_535 ? port : port - 65_536 + LOWEST_SOURCE_PORT;
}

/**
 * One flow out of each of `strata` equal parts of the population, at a place in its part that
 * looks random and is the same on every run. A fixed stride would meet the same ports again and
 * again, and none is taken twice.
 */
function sampleIndex(stratum: number, strata: number, population: number): number {
  const start = Math.floor((stratum * population) / strata);
  const end = Math.floor(((stratum + 1) * population) / strata);
  // Knuth's multiplicative method: the high bits of stratum * 2654435761 are well mixed.
  const fraction = (Math.imul(stratum, 2_654_435_761) >>> 0) / 2 ** 32;
  return start + Math.floor(fraction * (end - start));
}

function nodeShares(buckets: readonly BucketShare[], ownership: Ownership): readonly NodeShare[] {
  return Array.from({ length: ownership.bucketCount }, (_, index) => {
    const node = index + 1;
    const owned = buckets.filter((bucket) => bucket.node === node);
    return {
      node,
      isDown: ownership.down.includes(node),
      buckets: bucketsOf(ownership, node),
      flows: owned.reduce((sum, bucket) => sum + bucket.flows, 0),
      share: owned.reduce((sum, bucket) => sum + bucket.share, 0),
    };
  });
}
