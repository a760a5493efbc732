/** Addresses of the interface's own networks that no cluster can share: by what the host has set there. */
import { ClusterIpError } from "../core/errors.ts";
import type { InterfaceAddress, Link } from "../host/ip.ts";
import type { Address } from "../model/address.ts";
import { lastOf, networkHolds, networkOf } from "../model/network.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";

/**
 * Why the address cannot be a virtual IP on this interface; undefined when it can.
 *
 * @param wasServed there, until a moment ago or by the daemon before this one: its address may have become the first one
 *   of its network since, when the host's own was away for a moment, or have lost our mark
 */
export function whyUnfit(
  { address }: Pick<VirtualIp, "address">,
  { name, addresses }: Pick<Link, "name" | "addresses">,
  wasServed = false,
): ClusterIpError | undefined {
  const others = addresses.filter(({ isOurs }) => !isOurs);
  const own = wasServed ? undefined : others.find((a) => a.address === address && isOwn(a, others));
  if (own !== undefined) {
    return new ClusterIpError(
      "CLUSTERIP_ADDRESS_IN_USE",
      `${address} is this host's own address on ${name} (${address}/${own.prefixLength}), which no other host can share: choose another address of its network as the virtual IP.`,
    );
  }
  const network = others.find((a) => isReserved(address, a));
  if (network === undefined) return undefined;
  const { prefixLength } = network;
  const base = networkOf(network.address, prefixLength);
  const what = address === base ? "the address" : "the broadcast address";
  return new ClusterIpError(
    "CLUSTERIP_BAD_ADDRESS",
    `${address} is ${what} of the network ${base}/${prefixLength} on ${name}, which no host can have: choose another address of that network as the virtual IP.`,
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
function isReserved(address: Address, network: InterfaceAddress): boolean {
  const { prefixLength, broadcast } = network;
  if (prefixLength > 30 || !networkHolds(network.address, prefixLength, address)) return false;
  const reserved = [networkOf(network.address, prefixLength), lastOf(address, prefixLength), broadcast];
  return reserved.includes(address);
}
