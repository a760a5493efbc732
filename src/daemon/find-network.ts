/**
 * Which network of this host holds a virtual IP: IPaddr2's findif, which takes the longest prefix among the routes
 * without a router. Never what the virtual IP's own entry says: it is on some nodes and not on others.
 */
import { ClusterIpError } from "../core/errors.ts";
import type { Link } from "../host/ip.ts";
import type { LinkRoute } from "../host/routes.ts";
import type { Address } from "../model/address.ts";
import { networkHolds } from "../model/network.ts";

/**
 * The length of the longest prefix of an interface's networks that hold the address; undefined: none does.
 *
 * @param most networks with a longer prefix do not count
 */
export function findPrefixLength(
  address: Address,
  link: Link,
  routes: readonly LinkRoute[],
  most = 32,
): number | undefined {
  const own = link.addresses.filter((a) => a.address === address).map((a) => a.prefixLength);
  const networks = [
    // Also where its route is somebody else's business (noprefixroute), or hidden behind the virtual IP's.
    ...link.addresses.filter((a) => a.address !== address),
    ...routes
      .filter(
        ({ device, isOurs, prefixLength }) => device === link.name && !isOurs && !own.includes(prefixLength),
      )
      .map(({ network, prefixLength }) => ({ address: network, prefixLength })),
  ];
  const lengths = networks
    .filter((n) => n.prefixLength <= Math.min(most, 31) && networkHolds(n.address, n.prefixLength, address))
    .map(({ prefixLength }) => prefixLength);
  return lengths.length === 0 ? undefined : Math.max(...lengths);
}

export interface FoundNetwork {
  readonly nic: string;
  readonly prefixLength: number;
}

/**
 * Where to serve an address that names no interface or no prefix length: the most specific network that holds it.
 *
 * @param nic only this one
 * @throws CLUSTERIP_NO_NETWORK
 */
export function findNetwork(
  address: Address,
  links: readonly Link[],
  routes: readonly LinkRoute[],
  nic?: string,
): FoundNetwork {
  const [best] = links
    .filter(({ name, type }) => (nic === undefined ? type === "ether" : name === nic))
    .flatMap((link): FoundNetwork[] => {
      const prefixLength = findPrefixLength(address, link, routes);
      return prefixLength === undefined ? [] : [{ nic: link.name, prefixLength }];
    })
    .sort((a, b) => b.prefixLength - a.prefixLength);
  if (best !== undefined) return best;
  throw new ClusterIpError(
    "CLUSTERIP_NO_NETWORK",
    `No network of ${nic ?? "any interface"} holds ${address}: give nic and cidr_netmask, or an address of its network to an interface.`,
  );
}
