/**
 * The addresses that this host has for its virtual IPs, each put on or taken off by itself where a batch fails: what the
 * kernel refuses for one of them, or what somebody else does to one of them meanwhile, is no reason to leave the others.
 */
import { messageOf } from "../../core/errors.ts";
import {
  addAddresses,
  type Link,
  listLinks,
  type OwnAddress,
  type PlacedAddress,
  removeAddresses,
} from "../../host/ip.ts";

export interface AddressFailure {
  readonly address: OwnAddress;
  readonly message: string;
}

/** Puts addresses on, with our mark; one that is there without it gets it. */
export function addEachAddress(addresses: readonly PlacedAddress[]): Promise<readonly AddressFailure[]> {
  return forEach(addresses, addAddresses, (links, address) => hasAddress(links, address, "ours"));
}

/** Takes addresses off; one that has gone already is no failure. */
export function removeEachAddress(addresses: readonly OwnAddress[]): Promise<readonly AddressFailure[]> {
  return forEach(addresses, removeAddresses, (links, address) => !hasAddress(links, address, "any"));
}

/** @throws Error that names what failed first, and how many there are */
export function throwIfFailed(failures: readonly AddressFailure[]): void {
  const [first] = failures;
  if (first === undefined) return;
  const others = failures.length === 1 ? "" : ` (and ${failures.length - 1} more)`;
  throw new Error(`${describeAddresses([first.address])}: ${first.message}${others}`);
}

async function forEach<Address extends OwnAddress>(
  addresses: readonly Address[],
  act: (addresses: readonly Address[]) => Promise<void>,
  isDone: (links: readonly Link[], address: OwnAddress) => boolean,
): Promise<readonly AddressFailure[]> {
  try {
    await act(addresses);
    return [];
  } catch {
    // The batch stopped somewhere: one by one tells where, and does the others.
  }
  const failures: AddressFailure[] = [];
  for (const address of addresses) {
    try {
      if (!isDone(await listLinks(), address)) await act([address]);
    } catch (error) {
      // Somebody else may have done it in between.
      const isDoneNow = await listLinks()
        .then((links) => isDone(links, address))
        .catch(() => false);
      if (!isDoneNow) failures.push({ address, message: messageOf(error) });
    }
  }
  return failures;
}

/** Whether the /32 is on the device; `ours`: with our mark. */
export function hasAddress(
  links: readonly Link[],
  { vip, device }: OwnAddress,
  whose: "ours" | "any",
): boolean {
  const found = links.find(({ name }) => name === device);
  return (
    found?.addresses.some(
      (a) => a.prefixLength === 32 && a.address === vip && (whose === "any" || a.isOurs),
    ) === true
  );
}

export function hasDevice(links: readonly Link[], { device }: OwnAddress): boolean {
  return links.some(({ name }) => name === device);
}

export function includesAddress(addresses: readonly OwnAddress[], { vip, device }: OwnAddress): boolean {
  return addresses.some((a) => a.vip === vip && a.device === device);
}

/** The addresses with our mark that `wanted` does not have, or has with another scope: the kernel keeps an old one. */
export function staleAddresses(
  links: readonly Link[],
  wanted: readonly PlacedAddress[],
): readonly OwnAddress[] {
  return links.flatMap((link) =>
    link.addresses
      .filter((a) => a.isOurs)
      .map(({ address, scope }) => ({ vip: address, device: link.name, scope }))
      .filter((a) => !wanted.some((w) => w.scope === a.scope && includesAddress([w], a))),
  );
}

export function describeAddresses(addresses: readonly OwnAddress[]): string {
  return addresses.map(({ vip, device }) => `${vip} on ${device}`).join(", ");
}
