/** Sets of local nodes (buckets 1 to 16) and the changes that /proc/net/ipt_CLUSTERIP took. */
import { ClusterIpError } from "./errors.ts";

/** CLUSTERIP_MAX_NODES of `ipt_CLUSTERIP.h`. */
export const MAX_NODES = 16;

/** A sorted list of distinct buckets. */
export type NodeSet = readonly number[];

/** The bitmap that the engines use: bit `bucket - 1`. */
export function nodeMask(nodes: NodeSet): number {
  return nodes.reduce((mask, node) => mask | (1 << (node - 1)), 0);
}

/** As the /proc file prints it: `1,3`, or an empty text. */
export function formatNodes(nodes: NodeSet): string {
  return nodes.join(",");
}

/** Sorted, without doubles. */
export function toNodeSet(nodes: Iterable<number>): NodeSet {
  return [...new Set(nodes)].sort((a, b) => a - b);
}

export interface NodeChange {
  readonly action: "add" | "remove";
  readonly node: number;
}

/**
 * Reads `+N` or `-N`. The kernel answered a malformed number with EINVAL and a missing sign
 * or more than 10 bytes (with the newline) with EIO; both are CLUSTERIP_BAD_NODE_CHANGE.
 */
export function parseNodeChange(text: string): NodeChange {
  const match = /^([+-])(\d{1,8})$/.exec(text);
  if (match === null) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_NODE_CHANGE",
      `'${text}' is not a change of the local nodes: expected +N to add bucket N or -N to remove it, one bucket at a time.`,
    );
  }
  return { action: match[1] === "+" ? "add" : "remove", node: Number(match[2]) };
}

/** The set after the change; throws what the kernel answered with ENOMEM or ENOENT. */
export function changeNodes(nodes: NodeSet, change: NodeChange, totalNodes: number): NodeSet {
  const { action, node } = change;
  if (node < 1 || node > totalNodes) {
    throw new ClusterIpError(
      "CLUSTERIP_NODE_OUT_OF_RANGE",
      `There is no bucket ${node}: this virtual IP has the buckets 1 to ${totalNodes}.`,
    );
  }
  const isLocal = nodes.includes(node);
  if (action === "add") {
    if (isLocal) {
      throw new ClusterIpError("CLUSTERIP_NODE_ALREADY_LOCAL", `Bucket ${node} is this node's already.`);
    }
    return toNodeSet([...nodes, node]);
  }
  if (!isLocal) {
    throw new ClusterIpError(
      "CLUSTERIP_NODE_NOT_LOCAL",
      `Bucket ${node} is not this node's: it has ${nodes.length === 0 ? "none" : formatNodes(nodes)}.`,
    );
  }
  return nodes.filter((other) => other !== node);
}
