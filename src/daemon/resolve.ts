/** From the settings of a virtual IP to what this host serves, with every reason why it cannot. */
import { deriveClusterMac, usualBroadcast } from "../core/cluster-mac.ts";
import { ClusterIpError, type ErrorCode, isClusterIpError, messageOf } from "../core/errors.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import type { Link } from "../host/ip.ts";
import { listLinkRoutes } from "../host/routes.ts";
import { ipv4Host } from "../model/address.ts";
import { type Mac, toClusterMac } from "../model/mac.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { linkNamed, requireServable } from "../settings/nic-name.ts";
import type { AskedVirtualIp, Origin, ServedVirtualIp, WaitingVirtualIp } from "./asked.ts";
import { findPrefixLength } from "./find-network.ts";
import { homeOf, isSetByOthers } from "./resources/placement.ts";
import { whyUnfit } from "./unfit-address.ts";

/** What the host may get later: an interface, or an address on it. Everything else stays wrong until somebody mends it. */
const missingCodes: ReadonlySet<ErrorCode> = new Set(["CLUSTERIP_NO_NIC", "CLUSTERIP_NO_NETWORK"]);

export function isMissingOnHost({ code }: ClusterIpError): boolean {
  return missingCodes.has(code);
}

/** `resolveVirtualIp` for something that waits where the host has no place for it. */
export async function resolveOrWait(
  asked: AskedVirtualIp,
  links: readonly Link[],
  engines: Pick<EngineSet, "device" | "choose">,
): Promise<ServedVirtualIp | WaitingVirtualIp> {
  const { settings, origin, localBuckets, wasServed } = asked;
  try {
    return { ...(await resolveVirtualIp(settings, origin, links, engines, wasServed)), localBuckets };
  } catch (error) {
    return { settings, origin, localBuckets, why: toRefusal(error) };
  }
}

/** Any failure as one that can be shown. */
export function toRefusal(error: unknown): ClusterIpError {
  if (isClusterIpError(error)) return error;
  return new ClusterIpError("CLUSTERIP_INTERNAL", messageOf(error), { cause: error });
}

/** Rejects with a ClusterIpError when this host cannot serve it now; {@link isMissingOnHost} tells whether it may later */
export async function resolveVirtualIp(
  settings: VirtualIp,
  origin: Origin,
  links: readonly Link[],
  engines: Pick<EngineSet, "device" | "choose">,
  wasServed = false,
): Promise<ServedVirtualIp> {
  const engine = await engines.choose(settings.engine);
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
    // What we have set ourselves on another interface is stale, and is removed.
    if (isElsewhere && other.addresses.some((a) => a.address === settings.address && !a.isOurs)) {
      throw new ClusterIpError(
        "CLUSTERIP_ADDRESS_IN_USE",
        `${settings.address} is already an address of ${other.name}: remove it there, or serve it on ${other.name}.`,
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
    isAdopted: isSetByOthers(settings.address, link.name, links),
  };
}

function derivedMac({ address, prefixLength }: VirtualIp, link: Link): Mac {
  // As IPaddr2: with cidr_netmask=32, which is common, the broadcast address is still that of the interface's network.
  // Where that has none, it is that of the prefix, so that this node has the MAC that the others have.
  const found = findPrefixLength(address, link, listLinkRoutes(), prefixLength);
  const length = prefixLength ?? found;
  if (length !== undefined && (found !== undefined || length <= 30)) {
    const addressHost = ipv4Host(address);
    return toClusterMac(deriveClusterMac(addressHost, length, usualBroadcast(addressHost, found ?? length)));
  }
  const networks = link.addresses
    .filter((a) => !a.isOurs && a.address !== address)
    .map((a) => `${a.address}/${a.prefixLength}`);
  throw new ClusterIpError(
    "CLUSTERIP_NO_NETWORK",
    `No network of ${link.name} (${networks.join(", ") || "it has no address"}) holds ${address}, so its cluster MAC cannot be derived: give --clustermac.`,
  );
}
