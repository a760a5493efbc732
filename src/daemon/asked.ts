/** What this host is asked to serve, as values: each virtual IP with who asked for it, and whether it is in force or waits. */
import { ClusterIpError } from "../core/errors.ts";
import type { Address } from "../model/address.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import { agree, compare, setUp } from "../model/compare.ts";
import type { Mac } from "../model/mac.ts";
import type { EngineName, ResolvedVirtualIp, VirtualIp } from "../model/virtual-ip.ts";

/** Who asked for it. */
export type Origin = "config" | "request";

/** What somebody wants served, whether it is or not. */
export interface AskedVirtualIp {
  readonly settings: VirtualIp;
  readonly origin: Origin;
  /** in force now; `settings.localBuckets` is what it began with */
  readonly localBuckets: BucketSet;
  /** on this interface, until a moment ago or by the daemon before this one: whose its address is has been judged then */
  readonly wasServed?: boolean;
  /**
   * Programs that a dead daemon left may still accept it on another interface: it has no buckets here until that has
   * been taken from them.
   */
  readonly mayBeElsewhere?: boolean;
}

export interface ServedVirtualIp extends AskedVirtualIp {
  /** what `settings.engine` came to */
  readonly engine: EngineName;
  readonly clusterMac: Mac;
  /** the address was there before, set by somebody else: it stays when we go */
  readonly isAdopted: boolean;
}

/** Asked for and not served now: the host lacks something, or refused. */
export interface WaitingVirtualIp extends AskedVirtualIp {
  readonly why: ClusterIpError;
}

/** By address. */
export type ServedMap = ReadonlyMap<Address, ServedVirtualIp>;
export type WaitingMap = ReadonlyMap<Address, WaitingVirtualIp>;

/** All of it at one moment. Never changed: what comes next is another one. */
export interface Asked {
  /** in force */
  readonly served: ServedMap;
  readonly waiting: WaitingMap;
}

export const nothingAsked: Asked = { served: new Map(), waiting: new Map() };

export function isWaiting(asked: ServedVirtualIp | WaitingVirtualIp): asked is WaitingVirtualIp {
  return "why" in asked;
}

export function findAsked(
  { served, waiting }: Asked,
  address: Address,
): ServedVirtualIp | WaitingVirtualIp | undefined {
  return served.get(address) ?? waiting.get(address);
}

/** @throws CLUSTERIP_NOT_FOUND */
export function requireAsked(asked: Asked, address: Address): ServedVirtualIp | WaitingVirtualIp {
  const found = findAsked(asked, address);
  if (found !== undefined) return found;
  const vips = allAsked(asked).map(({ settings }) => settings.address);
  throw new ClusterIpError(
    "CLUSTERIP_NOT_FOUND",
    `This virtual IP is not served here; ${vips.length === 0 ? "there is none" : `there is ${vips.join(", ")}`}.`,
  );
}

export function allAsked({ served, waiting }: Asked): readonly (ServedVirtualIp | WaitingVirtualIp)[] {
  return [...served.values(), ...waiting.values()];
}

/** With a virtual IP that is served or waits from then on, and is not the other any more. */
export function withAsked(asked: Asked, virtualIp: ServedVirtualIp | WaitingVirtualIp): Asked {
  const { address } = virtualIp.settings;
  return isWaiting(virtualIp)
    ? { served: without(asked.served, address), waiting: new Map(asked.waiting).set(address, virtualIp) }
    : { served: new Map(asked.served).set(address, virtualIp), waiting: without(asked.waiting, address) };
}

export function withoutAsked({ served, waiting }: Asked, address: Address): Asked {
  return { served: without(served, address), waiting: without(waiting, address) };
}

/** The same map where there is nothing to leave out. */
function without<T>(map: ReadonlyMap<Address, T>, address: Address): ReadonlyMap<Address, T> {
  return map.has(address) ? new Map([...map].filter(([key]) => key !== address)) : map;
}

/** As it is served: with what was left open, and the buckets that were moved. */
export function inForce({ settings, engine, clusterMac, localBuckets }: ServedVirtualIp): ResolvedVirtualIp {
  return { ...settings, engine, clusterMac, localBuckets };
}

/** Whether nothing has to be set up again for the one where the other is served. */
export function isSetUpAlike(a: ServedVirtualIp, b: ServedVirtualIp): boolean {
  return agree(compare(inForce(a), inForce(b)), ...setUp);
}
