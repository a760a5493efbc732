/** What the nft tables have to know of the interfaces that there are. */
import type { Link } from "../../host/ip.ts";
import type { OwnNetwork, PresentNic } from "../../host/nft.ts";
import { formatNetwork } from "../../model/network.ts";

/** @param vips all that this host serves: none of them is its own address, also where somebody else has set it */
export function presentNics(links: readonly Link[], vips: ReadonlySet<string>): readonly PresentNic[] {
  const lowers = new Set(links.map(({ lower }) => lower));
  const byName = new Map(links.map((link) => [link.name, link]));
  return links.map((link) => ({
    name: link.name,
    carriesOthers: lowers.has(link.name),
    isBridge: [link, byName.get(link.lower ?? "")].some((of) => of?.kind === "bridge"),
    own: ownNetworks(link, vips),
  }));
}

function ownNetworks({ addresses }: Link, vips: ReadonlySet<string>): readonly OwnNetwork[] {
  return addresses
    .filter((a) => !a.isOurs && a.scope !== "host" && !vips.has(a.address))
    .map(({ address, prefixLength }) => ({
      address,
      network: formatNetwork(address, prefixLength),
      prefixLength,
    }));
}
