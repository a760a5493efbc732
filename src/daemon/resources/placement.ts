/**
 * Where this host has the address of a virtual IP.
 *
 * Not on the interface that it is served on. The kernel, and every program that wants "the address of" an interface,
 * takes the first of its list. The list is ordered by scope and then by age, and others write it: DHCP, NetworkManager,
 * `ip address flush`. As soon as the host's own address is set again, the virtual IP would be the first. So it is an
 * address of the loopback device, or of the VRF that the interface is in: it is as local there, ARP for it is answered
 * on the interface all the same, and no list of an interface has it. Scope `link` keeps it out of the last resort of
 * the kernel, which takes an address of any device where an interface has none; scope `host` would do too, but not
 * with `arp_ignore` 3, which leaves such addresses unanswered.
 *
 * With `arp_ignore` 1 or 2 the kernel answers for addresses of the interface only. Then the address is there, with scope
 * `host`: the kernel takes that for a source only in a route to a network without a gateway and without a `src`,
 * and only with `route_localnet`.
 */
import type { Link, OwnAddress, PlacedAddress } from "../../host/ip.ts";
import type { Address } from "../../model/address.ts";
import type { ServedVirtualIp } from "../asked.ts";

/** It need not be up: an address of a device that is down is local as well. */
const LOOPBACK = "lo";

const ONLY_OF_INTERFACE: ReadonlySet<number> = new Set([1, 2]);

/** The device whose addresses are this host's for what arrives by the interface, without being one of its own. */
export function homeOf(nic: string, links: readonly Link[]): string {
  const link = links.find(({ name }) => name === nic);
  const master = links.find(({ name }) => name === link?.master);
  return master?.kind === "vrf" ? master.name : LOOPBACK;
}

/** Whether somebody else has the address where a virtual IP on this interface may have it. */
export function isSetByOthers(address: Address, nic: string, links: readonly Link[]): boolean {
  return candidates(nic, links).some(({ addresses }) =>
    addresses.some((a) => a.address === address && !a.isOurs),
  );
}

/** The interface and its home, as far as they exist. */
function candidates(nic: string, links: readonly Link[]): readonly Link[] {
  const names = [nic, homeOf(nic, links)];
  return links.filter(({ name }) => names.includes(name));
}

/**
 * Every address that a virtual IP needs and that nobody else has set: on the engine's device first.
 *
 * @param device of its engine, if that has one: its reverse-path filter wants an address there
 */
export function placesOf(
  { settings: { address: vip, nic }, isAdopted }: Pick<ServedVirtualIp, "settings" | "isAdopted">,
  device: string | undefined,
  links: readonly Link[],
): readonly PlacedAddress[] {
  const arpIgnore = links.find(({ name }) => name === nic)?.arpIgnore ?? 0;
  const place: PlacedAddress = ONLY_OF_INTERFACE.has(arpIgnore)
    ? { vip, device: nic, scope: "host" }
    : { vip, device: homeOf(nic, links), scope: "link" };
  return [
    ...(device === undefined ? [] : [{ vip, device, scope: "link" as const }]),
    ...(isAdopted ? [] : [place]),
  ];
}

/**
 * What has to go when the virtual IP goes: also where its place was another one, and on the interface without our mark,
 * because somebody who set it while it was served leaves a host that answers for it with its own MAC.
 */
export function withdrawnPlaces(
  virtualIp: ServedVirtualIp,
  device: string | undefined,
  links: readonly Link[],
): readonly PlacedAddress[] {
  const { address, nic } = virtualIp.settings;
  const found = links.flatMap((link) =>
    link.addresses
      .filter((a) => a.address === address && a.prefixLength === 32)
      .filter((a) => a.isOurs || (!virtualIp.isAdopted && [nic, homeOf(nic, links)].includes(link.name)))
      .map((): PlacedAddress => ({ vip: address, device: link.name, scope: "link" })),
  );
  const wanted = placesOf(virtualIp, device, links).filter((place) =>
    links.some((l) => l.name === place.device),
  );
  const isFound = (place: PlacedAddress): boolean => found.some((a) => a.device === place.device);
  return [...wanted.filter(isFound), ...found.filter((a) => !wanted.some((w) => w.device === a.device))];
}

/** Whether a virtual IP that is served was placed there before: its new place comes before that goes. */
export function isFormerPlace(
  { vip, device }: OwnAddress,
  served: Iterable<ServedVirtualIp>,
  links: readonly Link[],
): boolean {
  return [...served].some((virtualIp) => {
    const { settings, isAdopted } = virtualIp;
    if (settings.address !== vip || isAdopted) return false;
    const isPlace = placesOf(virtualIp, undefined, links).some((place) => place.device === device);
    return !isPlace && [settings.nic, homeOf(settings.nic, links)].includes(device);
  });
}
