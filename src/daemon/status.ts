/** What the daemon says about itself: the JSON of the API and of `clusterip status --json`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { BucketCounters, Engine, NicCounters, Tally } from "../engine/engine.ts";
import { packageRoot } from "../native.ts";
import type { Origin, ServedVirtualIp } from "./resolve.ts";
import type { HostProblem, RepairKind, RepairRecord, Serving } from "./serving.ts";

export interface BucketStatus extends BucketCounters {
  readonly isLocal: boolean;
}

export interface VirtualIpStatus {
  readonly vip: string;
  readonly nic: string;
  readonly totalNodes: number;
  readonly localNodes: readonly number[];
  readonly hashMode: string;
  readonly clusterMac: string;
  readonly hashInit: number;
  readonly engine: string;
  /** who asked for it: the configuration file or a request */
  readonly origin: Origin;
  readonly buckets: readonly BucketStatus[];
  /** of the number of foreign frames: 0 while every one has been counted */
  readonly foreignStandardError: number;
  /** accepted without a bucket: later fragments and the like */
  readonly withoutBucket: Tally;
}

export interface NicStatus extends NicCounters {
  readonly nic: string;
  /** undefined while the interface does not exist */
  readonly ifindex: number | undefined;
}

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  readonly device: string | undefined;
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

export function virtualIpStatus(virtualIp: ServedVirtualIp, engine: Engine): VirtualIpStatus {
  const { settings, clusterMac, localNodes, origin } = virtualIp;
  const counters = engine.counters(settings.addressHost);
  return {
    vip: settings.vip,
    nic: settings.nic,
    totalNodes: settings.totalNodes,
    localNodes,
    hashMode: settings.hashMode,
    clusterMac,
    hashInit: settings.hashInit,
    engine: engine.name,
    origin,
    buckets: counters.buckets.map((bucket) => ({ ...bucket, isLocal: localNodes.includes(bucket.bucket) })),
    foreignStandardError: counters.foreignStandardError ?? 0,
    withoutBucket: counters.withoutBucket,
  };
}

export function daemonStatus(serving: Serving, engine: Engine, startedAt: number): DaemonStatus {
  const served = [...serving.current.values()];
  const nics = [...new Set(served.map(({ settings }) => settings.nic))].sort();
  return {
    version: packageVersion(),
    pid: process.pid,
    uptimeSeconds: Math.floor((Date.now() - startedAt) / 1000),
    device: engine.device,
    virtualIps: served.map((virtualIp) => virtualIpStatus(virtualIp, engine)),
    nics: nics.map((nic) => ({ nic, ifindex: engine.boundIfindex(nic), ...engine.nicCounters(nic) })),
    repairs: serving.repairs,
    problems: serving.problems,
  };
}
