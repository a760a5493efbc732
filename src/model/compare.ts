/** What differs between two virtual IPs. Everything that compares two of them asks here, and says which fields matter. */
import { type BucketSet, sameBuckets } from "./bucket-set.ts";
import type { VirtualIp } from "./virtual-ip.ts";

/** Every field, in the order in which messages name them. */
const fields = {
  address: (v) => v.address,
  nic: (v) => v.nic,
  bucketCount: (v) => v.bucketCount,
  hashFamily: (v) => v.hash.family,
  hashMode: (v) => v.hash.words,
  hashInit: (v) => v.hash.seed,
  clusterMac: (v) => v.clusterMac,
  prefixLength: (v) => v.prefixLength,
  engine: (v) => v.engine,
  localBuckets: (v) => v.localBuckets,
} as const satisfies Record<keyof Omit<VirtualIp, "hash"> | `hash${string}`, (v: VirtualIp) => Value>;

type Value = string | number | BucketSet | undefined;
export type Field = keyof typeof fields;

export interface Difference {
  readonly left: Value;
  readonly right: Value;
}

/** By field, in their order; what is the same is not in it. */
export type Differences = ReadonlyMap<Field, Difference>;

export function compare(a: VirtualIp, b: VirtualIp): Differences {
  const differences = new Map<Field, Difference>();
  for (const field of Object.keys(fields) as Field[]) {
    const [left, right] = [fields[field](a), fields[field](b)];
    if (!isSame(left, right)) differences.set(field, { left, right });
  }
  return differences;
}

function isSame(left: Value, right: Value): boolean {
  return typeof left === "object" && typeof right === "object" ? sameBuckets(left, right) : left === right;
}

/** What gives a bucket its flows: where these are the same, its owner may keep it. */
export const meaningOfBuckets = ["bucketCount", "hashFamily", "hashMode", "hashInit"] as const;

/** What an engine and its host plumbing are set up for; a change of the rest needs neither to be set up again. */
export const setUp = ["address", "nic", ...meaningOfBuckets, "clusterMac", "engine"] as const;

/** Whether none of these fields differs. */
export function agree(differences: Differences, ...names: readonly Field[]): boolean {
  return names.every((name) => !differences.has(name));
}

/** Whether no field differs but these. */
export function agreeBut(differences: Differences, ...names: readonly Field[]): boolean {
  return [...differences.keys()].every((name) => names.includes(name));
}
