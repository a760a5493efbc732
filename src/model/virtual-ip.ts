/**
 * A virtual IP, once for all layers. The settings read it from files and requests, the engines and the host plumbing get
 * the part of it that they need, the state file and the API write it under the users' names (`kernel-words.ts`).
 */
import type { HashMode } from "../core/bucket.ts";
import type { Address } from "./address.ts";
import type { BucketSet } from "./bucket-set.ts";
import type { Mac } from "./mac.ts";

/** What the nodes share. */
export interface Service {
  readonly address: Address;
}

/** How a flow becomes a number: the same on every node, or two of them answer one flow and none another. */
export interface HashSpec {
  readonly family: "jhash";
  /** which words of a packet are hashed, by iptables' name for them */
  readonly words: HashMode;
  /** unsigned, 32 bits */
  readonly seed: number;
}

/** Hash values and the buckets that they fall into. */
export interface Spread {
  readonly hash: HashSpec;
  readonly bucketCount: number;
}

export type EngineName = "userspace" | "bpf";
export type EngineChoice = EngineName | "auto";

/** What one node is asked to serve. */
export interface VirtualIp extends Service, Spread {
  readonly nic: string;
  /** may be empty */
  readonly localBuckets: BucketSet;
  /** undefined: derived from the network of the interface */
  readonly clusterMac: Mac | undefined;
  /** 1 to 32, of the network that holds the address; undefined: found on the interface */
  readonly prefixLength: number | undefined;
  readonly engine: EngineChoice;
}

/** A virtual IP as the neighbours see it, and as the host plumbing has it. */
export interface AnnouncedVirtualIp extends Service {
  readonly nic: string;
  readonly clusterMac: Mac;
}

/** A virtual IP as an engine has it. */
export interface EngineVirtualIp extends AnnouncedVirtualIp, Spread {
  readonly localBuckets: BucketSet;
}

/** With nothing left open. */
export interface ResolvedVirtualIp extends VirtualIp {
  readonly clusterMac: Mac;
  readonly engine: EngineName;
}

/** What the host plumbing gets. */
export function toAnnounced({ address, nic, clusterMac }: ResolvedVirtualIp): AnnouncedVirtualIp {
  return { address, nic, clusterMac };
}

/** What an engine gets. */
export function toEngine(virtualIp: ResolvedVirtualIp): EngineVirtualIp {
  const { hash, bucketCount, localBuckets } = virtualIp;
  return { ...toAnnounced(virtualIp), hash, bucketCount, localBuckets };
}
