/** What the daemon says about itself: the JSON of the API and of `clusterip status --json`. */
import type { BucketCounters, Tally, VirtualIpCounters } from "../engine/engine.ts";
import type { EngineAvailability } from "../engine/engine-set.ts";
import { allBuckets, type BucketSet } from "../model/bucket-set.ts";
import type { EngineChoice, EngineName } from "../model/virtual-ip.ts";
import type { Origin, ServedVirtualIp, WaitingVirtualIp } from "./asked.ts";
import type { ProblemReport } from "./problem-text.ts";
import type { RepairRecords } from "./repairs.ts";
import type { BindingState } from "./resources/programs.ts";

export interface BucketStatus extends BucketCounters {
  readonly isLocal: boolean;
}

export interface VirtualIpStatus {
  readonly vip: string;
  readonly nic: string;
  readonly bucketCount: number;
  readonly localBuckets: BucketSet;
  readonly hashMode: string;
  /** undefined while it waits and none was given */
  readonly clusterMac: string | undefined;
  readonly hashInit: number;
  /** what was asked for, while it waits */
  readonly engine: EngineChoice;
  /** why it is not served yet, a sentence; undefined while it is */
  readonly waitsBecause?: string;
  /** who asked for it: the configuration file or a request */
  readonly origin: Origin;
  readonly buckets: readonly BucketStatus[];
  /** of the number of foreign frames: 0 while every one has been counted */
  readonly foreignStandardError: number;
  /** accepted without a bucket: later fragments and the like */
  readonly withoutBucket: Tally;
}

/** One engine on one interface. */
export type NicStatus = BindingState;

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly device: string;
  readonly engines: Readonly<Record<EngineName, EngineAvailability>>;
  readonly virtualIps: readonly VirtualIpStatus[];
  readonly nics: readonly NicStatus[];
  /** what somebody else changed on this host and the daemon put back */
  readonly repairs: RepairRecords;
  /** what is wrong now */
  readonly problems: readonly ProblemReport[];
}

export function virtualIpStatus(
  { settings, clusterMac, localBuckets, origin, engine }: ServedVirtualIp,
  counters: VirtualIpCounters,
): VirtualIpStatus {
  return {
    vip: settings.address,
    nic: settings.nic,
    bucketCount: settings.bucketCount,
    localBuckets,
    hashMode: settings.hash.words,
    clusterMac,
    hashInit: settings.hash.seed,
    engine,
    origin,
    buckets: counters.buckets.map((bucket) => ({ ...bucket, isLocal: localBuckets.includes(bucket.bucket) })),
    foreignStandardError: counters.foreignStandardError ?? 0,
    withoutBucket: counters.withoutBucket,
  };
}

const none: Tally = { frames: 0, bytes: 0 };

export function waitingStatus({ settings, origin, localBuckets, why }: WaitingVirtualIp): VirtualIpStatus {
  const { address: vip, nic, bucketCount, hash, clusterMac, engine } = settings;
  const { words: hashMode, seed: hashInit } = hash;
  return {
    ...{ vip, nic, bucketCount, localBuckets, hashMode, clusterMac, hashInit, engine, origin },
    waitsBecause: why.message,
    buckets: allBuckets(bucketCount).map((bucket) => ({
      ...{ bucket, local: none, foreign: none },
      isLocal: localBuckets.includes(bucket),
    })),
    foreignStandardError: 0,
    withoutBucket: none,
  };
}
