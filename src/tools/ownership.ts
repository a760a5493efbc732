/** Which node has which buckets, at first and after nodes have gone down. */
import { ClusterIpError } from "../core/errors.ts";
import { MAX_NODES, type NodeSet, toNodeSet } from "../core/node-set.ts";

export interface Ownership {
  readonly totalNodes: number;
  readonly down: NodeSet;
  /** The node that has bucket `index + 1`. */
  readonly ownerOf: readonly number[];
}

/**
 * Bucket i is at node i at first. The buckets of nodes that are down are given away one by one,
 * lowest bucket first, each to the live node that has the fewest buckets at that moment, and of
 * several such to the lowest: how Pacemaker levels the instances of a globally unique clone over
 * equal nodes (clone-node-max must allow a second instance; with 1 the bucket stays unanswered).
 */
export function ownershipAfter(totalNodes: number, down: Iterable<number> = []): Ownership {
  if (!Number.isInteger(totalNodes) || totalNodes < 1 || totalNodes > MAX_NODES) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_TOTAL_NODES",
      `The number of nodes is ${totalNodes}: expected 1 to ${MAX_NODES}.`,
    );
  }
  const downNodes = toNodeSet(down);
  const unknown = downNodes.find((node) => !Number.isInteger(node) || node < 1 || node > totalNodes);
  if (unknown !== undefined) {
    throw new ClusterIpError(
      "CLUSTERIP_NODE_OUT_OF_RANGE",
      `Node ${unknown} cannot be down: there are the nodes 1 to ${totalNodes}.`,
    );
  }
  const all = Array.from({ length: totalNodes }, (_, index) => index + 1);
  const live = all.filter((node) => !downNodes.includes(node));
  if (live.length === 0) {
    throw new ClusterIpError("CLUSTERIP_USAGE", "With every node down there is nobody left to answer.");
  }
  return { totalNodes, down: downNodes, ownerOf: level(all, live) };
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
export function bucketsOf(ownership: Ownership, node: number): NodeSet {
  return ownership.ownerOf.flatMap((owner, index) => (owner === node ? [index + 1] : []));
}
