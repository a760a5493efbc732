/** Sets of buckets, and the changes of them that /proc/net/ipt_CLUSTERIP took. */
import { ClusterIpError } from "../core/errors.ts";

/** CLUSTERIP_MAX_NODES of `ipt_CLUSTERIP.h`, whose nodes are buckets. */
export const MAX_BUCKETS = 16;

/** As many buckets as a set can name. What is served has {@link MAX_BUCKETS} at most: the settings see to that. */
export const MAX_SET_BUCKETS = 256;

/** The number of a bucket, from 1 on. */
export type Bucket = number;

/** Distinct buckets in ascending order: two sets are equal when they have the same buckets in the same places. */
export type BucketSet = readonly Bucket[];

/** The bitmap that the engines use: bit `bucket - 1`, in a word of 16 bits. */
export function bucketMask(buckets: BucketSet): number {
  const above = buckets.find((bucket) => bucket > MAX_BUCKETS);
  if (above !== undefined) throw new RangeError(`bucket ${above} has no bit in a word of ${MAX_BUCKETS}`);
  return buckets.reduce((mask, bucket) => mask | (1 << (bucket - 1)), 0);
}

/** As the /proc file prints it: `1,3`, or an empty text. */
export function formatBuckets(buckets: BucketSet): string {
  return buckets.join(",");
}

/** Sorted, without doubles; throws RangeError for what is no bucket. */
export function toBucketSet(buckets: Iterable<number>): BucketSet {
  const distinct = new Set(buckets);
  for (const bucket of distinct) {
    if (Number.isInteger(bucket) && bucket >= 1 && bucket <= MAX_SET_BUCKETS) continue;
    throw new RangeError(`${bucket} is no bucket: expected 1 to ${MAX_SET_BUCKETS}`);
  }
  return [...distinct].sort((a, b) => a - b);
}

/** The buckets 1 to `bucketCount`. */
export function allBuckets(bucketCount: number): BucketSet {
  return Array.from({ length: bucketCount }, (_, index) => index + 1);
}

/** Whether the sets have the same buckets. */
export function sameBuckets(a: BucketSet, b: BucketSet): boolean {
  return a.length === b.length && a.every((bucket, index) => bucket === b[index]);
}

export interface BucketChange {
  readonly action: "take" | "release";
  readonly bucket: Bucket;
}

/**
 * Reads `+N` or `-N`. The kernel answered a malformed number with EINVAL and a missing sign
 * or more than 10 bytes (with the newline) with EIO; both are CLUSTERIP_BAD_NODE_CHANGE.
 */
export function parseBucketChange(text: string): BucketChange {
  const match = /^([+-])(\d{1,8})$/.exec(text);
  if (match === null) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_NODE_CHANGE",
      `'${text}' is not a change of the local nodes: expected +N to add bucket N or -N to remove it, one bucket at a time.`,
    );
  }
  return { action: match[1] === "+" ? "take" : "release", bucket: Number(match[2]) };
}

/** The set after the change; throws what the kernel answered with ENOMEM or ENOENT. */
export function changeBuckets(buckets: BucketSet, change: BucketChange, bucketCount: number): BucketSet {
  const { action, bucket } = change;
  if (bucket < 1 || bucket > bucketCount) {
    throw new ClusterIpError(
      "CLUSTERIP_NODE_OUT_OF_RANGE",
      `There is no bucket ${bucket}: this virtual IP has the buckets 1 to ${bucketCount}.`,
    );
  }
  const isLocal = buckets.includes(bucket);
  if (action === "take") {
    if (isLocal) {
      throw new ClusterIpError("CLUSTERIP_NODE_ALREADY_LOCAL", `Bucket ${bucket} is this node's already.`);
    }
    return takeBucket(buckets, bucket);
  }
  if (!isLocal) {
    throw new ClusterIpError(
      "CLUSTERIP_NODE_NOT_LOCAL",
      `Bucket ${bucket} is not this node's: it has ${buckets.length === 0 ? "none" : formatBuckets(buckets)}.`,
    );
  }
  return releaseBucket(buckets, bucket);
}

/** With the bucket, whether it was in the set or not. */
export function takeBucket(buckets: BucketSet, bucket: Bucket): BucketSet {
  return toBucketSet([...buckets, bucket]);
}

/** Without the bucket, whether it was in the set or not. */
export function releaseBucket(buckets: BucketSet, bucket: Bucket): BucketSet {
  return buckets.filter((other) => other !== bucket);
}
