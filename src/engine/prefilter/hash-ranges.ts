/** Buckets as ranges of the hash: classic BPF has no 64-bit product to compute a bucket with. */
import type { NodeSet } from "../../core/node-set.ts";

const HASHES = 0x1_0000_0000;

/** The smallest hash of a bucket; that of `totalNodes + 1` is 2^32. */
export function firstHashOf(bucket: number, totalNodes: number): number {
  // Exact: a quotient that is no integer is at least 1/16 away from one, far more than it is rounded by.
  return Math.ceil(((bucket - 1) * HASHES) / totalNodes);
}

/**
 * Where the answer changes along all hashes, starting with "foreign" at 0: local from the first
 * (inclusive), foreign from the second, and so on. Adjacent local buckets are one range.
 */
export function localBoundaries(localNodes: NodeSet, totalNodes: number): readonly number[] {
  const boundaries: number[] = [];
  for (let bucket = 1; bucket <= totalNodes; bucket += 1) {
    const wasLocal = boundaries.length % 2 === 1;
    if (localNodes.includes(bucket) !== wasLocal) boundaries.push(firstHashOf(bucket, totalNodes));
  }
  return boundaries;
}
