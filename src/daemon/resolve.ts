/** From the settings of a virtual IP to what this host serves, with every reason why it cannot. */
import { deriveClusterMac, usualBroadcast } from "../core/cluster-mac.ts";
import { ClusterIpError, type ErrorCode, isClusterIpError, messageOf } from "../core/errors.ts";
import { formatIpv4 } from "../core/ipv4.ts";
import type { EngineName } from "../engine/engine.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import type { Link } from "../host/ip.ts";
import { listLinkRoutes } from "../host/routes.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import { linkNamed, requireServable } from "../settings/nic-name.ts";
import type { VirtualIpSettings } from "../settings/virtual-ip.ts";
import { findPrefixLength } from "./find-network.ts";
import { homeOf, isSetByOthers } from "./placement.ts";
import { whyUnfit } from "./unfit-address.ts";

export type Origin = "config" | "request";

/** What somebody wants served, whether it is or not. */
export interface AskedVirtualIp {
  readonly settings: VirtualIpSettings;
  readonly origin: Origin;
  /** in force now; `settings.localBuckets` is what it began with */
  readonly localBuckets: BucketSet;
  /** on this interface, until a moment ago or by the daemon before this one: whose its address is has been judged then */
  readonly wasServed?: boolean;
}

export interface ServedVirtualIp extends AskedVirtualIp {
  /** what `settings.engine` came to */
  readonly engine: EngineName;
  readonly clusterMac: string;
  /** the address was there before, set by somebody else: it stays when we go */
  readonly isAdopted: boolean;
}

/** Asked for and not served now: the host lacks something, or refused. */
export interface WaitingVirtualIp extends AskedVirtualIp {
  readonly why: ClusterIpError;
}

/** By address, host order. */
export type ServedMap = ReadonlyMap<number, ServedVirtualIp>;
export type WaitingMap = ReadonlyMap<number, WaitingVirtualIp>;

/** What the host may get later: an interface, or an address on it. Everything else stays wrong until somebody mends it. */
const missingCodes: ReadonlySet<ErrorCode> = new Set(["CLUSTERIP_NO_NIC", "CLUSTERIP_NO_NETWORK"]);

export function isMissingOnHost({ code }: ClusterIpError): boolean {
  return missingCodes.has(code);
}

/** `resolveVirtualIp` for something that waits where the host has no place for it. */
export function resolveOrWait(
  asked: AskedVirtualIp,
  links: readonly Link[],
  engines: Pick<EngineSet, "device" | "choose">,
): ServedVirtualIp | WaitingVirtualIp {
  const { settings, origin, localBuckets, wasServed } = asked;
  try {
    return { ...resolveVirtualIp(settings, origin, links, engines, wasServed), localBuckets };
  } catch (error) {
    return { settings, origin, localBuckets, why: toRefusal(error) };
  }
}

export function isWaiting(asked: ServedVirtualIp | WaitingVirtualIp): asked is WaitingVirtualIp {
  return "why" in asked;
}

/** Any failure as one that can be shown. */
export function toRefusal(error: unknown): ClusterIpError {
  if (isClusterIpError(error)) return error;
  return new ClusterIpError("CLUSTERIP_INTERNAL", messageOf(error), { cause: error });
}

/** @throws ClusterIpError when this host cannot serve it now; {@link isMissingOnHost} tells whether it may later */
export function resolveVirtualIp(
  settings: VirtualIpSettings,
  origin: Origin,
  links: readonly Link[],
  engines: Pick<EngineSet, "device" | "choose">,
  wasServed = false,
): ServedVirtualIp {
  const engine = engines.choose(settings.engine);
  const link = linkNamed(links, settings.nic);
  if (link === undefined) {
    const known = links.filter(({ type }) => type === "ether").map(({ name }) => name);
    throw new ClusterIpError(
      "CLUSTERIP_NO_NIC",
      `There is no interface ${settings.nic} on this host${known.length === 0 ? "" : `; it has ${known.join(", ")}`}.`,
    );
  }
  if (link.type !== "ether") {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_NIC",
      `${settings.nic} is no Ethernet interface (its type is ${link.type}): a cluster MAC needs one.`,
    );
  }
  requireServable(link.name);
  for (const other of links) {
    const isElsewhere = ![link.name, homeOf(link.name, links), engines.device].includes(other.name);
    // What we have set ourselves on another interface is a remainder, and is removed.
    if (isElsewhere && other.addresses.some((a) => a.addressHost === settings.addressHost && !a.isOurs)) {
      throw new ClusterIpError(
        "CLUSTERIP_ADDRESS_IN_USE",
        `${settings.vip} is already an address of ${other.name}: remove it there, or serve it on ${other.name}.`,
      );
    }
  }
  const unfit = whyUnfit(settings, link, wasServed);
  if (unfit !== undefined) throw unfit;
  return {
    // By an alternative name the same interface is meant as by its own.
    settings: { ...settings, nic: link.name },
    origin,
    engine,
    clusterMac: settings.clusterMac ?? derivedMac(settings, link),
    localBuckets: settings.localBuckets,
    isAdopted: isSetByOthers(settings.addressHost, link.name, links),
  };
}

function derivedMac({ addressHost, vip, prefixLength }: VirtualIpSettings, link: Link): string {
  // As IPaddr2: with cidr_netmask=32, which is common, the broadcast address is still that of the interface's network.
  // Where that has none, it is that of the prefix, so that this node has the MAC that the others have.
  const found = findPrefixLength(addressHost, link, listLinkRoutes(), prefixLength);
  const length = prefixLength ?? found;
  if (length !== undefined && (found !== undefined || length <= 30)) {
    return deriveClusterMac(addressHost, length, usualBroadcast(addressHost, found ?? length));
  }
  const networks = link.addresses
    .filter((a) => !a.isOurs && a.addressHost !== addressHost)
    .map((a) => `${formatIpv4(a.addressHost)}/${a.prefixLength}`);
  throw new ClusterIpError(
    "CLUSTERIP_NO_NETWORK",
    `No network of ${link.name} (${networks.join(", ") || "it has no address"}) holds ${vip}, so its cluster MAC cannot be derived: give --clustermac.`,
  );
}

/** Whether two served virtual IPs differ in nothing but the local buckets. */
export function differsOnlyInBuckets(a: ServedVirtualIp, b: ServedVirtualIp): boolean {
  return (
    a.settings.addressHost === b.settings.addressHost &&
    a.settings.nic === b.settings.nic &&
    haveSameBuckets(a.settings, b.settings) &&
    a.engine === b.engine &&
    a.clusterMac === b.clusterMac
  );
}

/** Whether a bucket has the same flows in both: then its owner may keep it. */
export function haveSameBuckets(a: VirtualIpSettings, b: VirtualIpSettings): boolean {
  return a.bucketCount === b.bucketCount && a.hashMode === b.hashMode && a.hashInit === b.hashInit;
}

/** Whether two requests are the same but for the local buckets. */
export function asksForTheSame(a: VirtualIpSettings, b: VirtualIpSettings): boolean {
  const request = ({ localBuckets: _, ...rest }: VirtualIpSettings): string =>
    JSON.stringify(rest, Object.keys(rest).sort());
  return request(a) === request(b);
}
