/** Which node has which buckets, at first and after nodes have gone down. */
import { ClusterIpError } from "../core/errors.ts";
import { allBuckets, type BucketSet, MAX_BUCKETS } from "../model/bucket-set.ts";

export interface Ownership {
  readonly bucketCount: number;
  /** Nodes, in ascending order. */
  readonly down: readonly number[];
  /** The node that has bucket `index + 1`. */
  readonly ownerOf: readonly number[];
}

/**
 * Bucket i is at node i at first. The buckets of nodes that are down are given away one by one,
 * lowest bucket first, each to the live node that has the fewest buckets at that moment, and of
 * several such to the lowest: how Pacemaker levels the instances of a globally unique clone over
 * equal nodes (clone-node-max must allow a second instance; with 1 the bucket stays unanswered).
 */
export function ownershipAfter(bucketCount: number, down: Iterable<number> = []): Ownership {
  if (!Number.isInteger(bucketCount) || bucketCount < 1 || bucketCount > MAX_BUCKETS) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_TOTAL_NODES",
      `The number of nodes is ${bucketCount}: expected 1 to ${MAX_BUCKETS}.`,
    );
  }
  const downNodes = [...new Set(down)].sort((a, b) => a - b);
  const unknown = downNodes.find((node) => !Number.isInteger(node) || node < 1 || node > bucketCount);
  if (unknown !== undefined) {
    throw new ClusterIpError(
      "CLUSTERIP_NODE_OUT_OF_RANGE",
      `Node ${unknown} cannot be down: there are the nodes 1 to ${bucketCount}.`,
    );
  }
  const all = allBuckets(bucketCount);
  const live = all.filter((node) => !downNodes.includes(node));
  if (live.length === 0) {
    throw new ClusterIpError("CLUSTERIP_USAGE", "With every node down there is nobody left to answer.");
  }
  return { bucketCount, down: downNodes, ownerOf: level(all, live) };
}

function level(all: readonly number[], live: readonly number[]): readonly number[] {
  const bucketsOfNode = new Map(live.map((node) => [node, 1]));
  return all.map((bucket) => {
    if (bucketsOfNode.has(bucket)) return bucket;
    let fewest = live[0] ?? 0;
    for (const node of live) {
      if ((bucketsOfNode.get(node) ?? 0) < (bucketsOfNode.get(fewest) ?? 0)) fewest = node;
    }
    bucketsOfNode.set(fewest, (bucketsOfNode.get(fewest) ?? 0) + 1);
    return fewest;
  });
}

/** The buckets that a node has. */
export function bucketsOf(ownership: Ownership, node: number): BucketSet {
  return ownership.ownerOf.flatMap((owner, index) => (owner === node ? [index + 1] : []));
}
