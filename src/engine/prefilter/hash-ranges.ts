/** Buckets as ranges of the hash: classic BPF has no 64-bit product to compute a bucket with. */
import type { BucketSet } from "../../model/bucket-set.ts";

const HASHES = 0x1_0000_0000;

/** The smallest hash of a bucket; that of `bucketCount + 1` is 2^32. */
export function firstHashOf(bucket: number, bucketCount: number): number {
  // Exact: a quotient that is no integer is at least 1/16 away from one, far more than it is rounded by.
  return Math.ceil(((bucket - 1) * HASHES) / bucketCount);
}

/**
 * Where the answer changes along all hashes, starting with "foreign" at 0: local from the first
 * (inclusive), foreign from the second, and so on. Adjacent local buckets are one range.
 */
export function localBoundaries(localBuckets: BucketSet, bucketCount: number): readonly number[] {
  const boundaries: number[] = [];
  for (let bucket = 1; bucket <= bucketCount; bucket += 1) {
    const wasLocal = boundaries.length % 2 === 1;
    if (localBuckets.includes(bucket) !== wasLocal) boundaries.push(firstHashOf(bucket, bucketCount));
  }
  return boundaries;
}
