/** What the daemon says about itself: the JSON of the API and of `clusterip status --json`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BucketCounters, NicCounters, Tally } from "../engine/engine.ts";
import type { EngineAvailability, EngineSet } from "../engine/engine-set.ts";
import { allBuckets, type BucketSet } from "../model/bucket-set.ts";
import type { EngineChoice, EngineName } from "../model/virtual-ip.ts";
import { packageRoot } from "../native.ts";
import type { HostProblem } from "./problems.ts";
import { isWaiting, type Origin, type ServedVirtualIp, type WaitingVirtualIp } from "./resolve.ts";
import type { SavedServing } from "./saved-serving.ts";
import type { RepairKind, RepairRecord, Serving } from "./serving.ts";

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
export interface NicStatus extends NicCounters {
  readonly nic: string;
  readonly engine: EngineName;
  /** undefined while the interface does not exist */
  readonly ifindex: number | undefined;
}

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly device: string | undefined;
  readonly engines: Readonly<Record<EngineName, EngineAvailability>>;
  readonly virtualIps: readonly VirtualIpStatus[];
  readonly nics: readonly NicStatus[];
  /** what somebody else changed on this host and the daemon put back */
  readonly repairs: Readonly<Record<RepairKind, Readonly<RepairRecord>>>;
  /** what is wrong now */
  readonly problems: readonly HostProblem[];
}

let knownVersion: string | undefined;

/** The version of the package. */
export function packageVersion(): string {
  if (knownVersion === undefined) {
    const raw: unknown = JSON.parse(readFileSync(join(packageRoot(), "package.json"), "utf8"));
    const version: unknown =
      typeof raw === "object" && raw !== null && "version" in raw ? raw.version : undefined;
    knownVersion = typeof version === "string" ? version : "unknown";
  }
  return knownVersion;
}

export async function virtualIpStatus(
  virtualIp: ServedVirtualIp,
  engines: EngineSet,
): Promise<VirtualIpStatus> {
  const { settings, clusterMac, localBuckets, origin, engine } = virtualIp;
  const counters = await engines.of(engine).counters(settings.address);
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

export async function daemonStatus(
  serving: Serving,
  saved: SavedServing,
  engines: EngineSet,
  problems: readonly HostProblem[],
  startedAt: number,
): Promise<DaemonStatus> {
  return {
    version: packageVersion(),
    pid: process.pid,
    uptimeSeconds: Math.floor((Date.now() - startedAt) / 1000),
    device: engines.device,
    engines: await engines.availability(),
    virtualIps: await Promise.all(
      saved.all.map((asked) => (isWaiting(asked) ? waitingStatus(asked) : virtualIpStatus(asked, engines))),
    ),
    nics: await Promise.all(
      serving.bindings.map(async ({ nic, engine }) => ({
        nic,
        engine,
        ifindex: engines.of(engine).boundIfindex(nic),
        ...(await engines.of(engine).nicCounters(nic)),
      })),
    ),
    repairs: serving.repairs,
    problems,
  };
}
