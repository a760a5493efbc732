/** Addresses of the interface's own networks that no cluster can share: by what the host has set there. */
import { ClusterIpError } from "../core/errors.ts";
import { broadcastOf, formatIpv4, netmaskOf, networkHolds } from "../core/ipv4.ts";
import type { InterfaceAddress, Link } from "../host/ip.ts";
import type { VirtualIpSettings } from "../settings/virtual-ip.ts";

/**
 * Why the address cannot be a virtual IP on this interface; undefined when it can.
 *
 * @param wasServed there, until a moment ago or by the daemon before this one: its address may have become the first one
 *   of its network since, when the host's own was away for a moment, or have lost our mark
 */
export function whyUnfit(
  { addressHost, vip }: Pick<VirtualIpSettings, "addressHost" | "vip">,
  { name, addresses }: Pick<Link, "name" | "addresses">,
  wasServed = false,
): ClusterIpError | undefined {
  const others = addresses.filter(({ isOurs }) => !isOurs);
  const own = wasServed ? undefined : others.find((a) => a.addressHost === addressHost && isOwn(a, others));
  if (own !== undefined) {
    return new ClusterIpError(
      "CLUSTERIP_ADDRESS_IN_USE",
      `${vip} is this host's own address on ${name} (${vip}/${own.prefixLength}), which no other host can share: choose another address of its network as the virtual IP.`,
    );
  }
  const network = others.find((a) => isReserved(addressHost, a));
  if (network === undefined) return undefined;
  const { prefixLength } = network;
  const base = baseOf(network);
  const what = addressHost === base ? "the address" : "the broadcast address";
  return new ClusterIpError(
    "CLUSTERIP_BAD_ADDRESS",
    `${vip} is ${what} of the network ${formatIpv4(base)}/${prefixLength} on ${name}, which no host can have: choose another address of that network as the virtual IP.`,
  );
}

/**
 * The kernel makes the first address of a network the one that the host uses, and every further one secondary, which is
 * what IPaddr2, keepalived and their like set beside it. With /32 each is a network of its own; then the only one on
 * the interface is the host's.
 */
function isOwn(
  { prefixLength, isSecondary }: InterfaceAddress,
  others: readonly InterfaceAddress[],
): boolean {
  return prefixLength === 32 ? others.length === 1 : !isSecondary;
}

/** The first and the last address of a network mean no host, unless it has one or two addresses only (RFC 3021). */
function isReserved(addressHost: number, network: InterfaceAddress): boolean {
  const { prefixLength, broadcastHost } = network;
  if (prefixLength > 30 || !networkHolds(network.addressHost, prefixLength, addressHost)) return false;
  return [baseOf(network), broadcastOf(addressHost, prefixLength), broadcastHost].includes(addressHost);
}

function baseOf({ addressHost, prefixLength }: InterfaceAddress): number {
  return (addressHost & netmaskOf(prefixLength)) >>> 0;
}
