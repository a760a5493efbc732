/**
 * An address of 128 bits under its one canonical text: a dotted quad for IPv4, which is the IPv4-mapped part of the
 * space (RFC 4291, 2.5.5.2), and RFC 5952 for everything else. Equal addresses are equal texts, so an address can be
 * compared with `===`, be the key of a map, and stand in a message, in JSON and in an argument of a command as it is.
 */
import { formatIpv4, parseIpv4, tryParseIpv4 } from "../core/ipv4.ts";

declare const brand: unique symbol;
export type Address = string & { readonly [brand]: "Address" };

/** ::ffff:0:0/96 */
const IPV4_MAPPED = 0xffffn << 32n;
const IPV4_BITS = 0xffff_ffffn;
const GROUPS = 8;

/** @param addressHost host order */
export function ipv4Address(addressHost: number): Address {
  return formatIpv4(addressHost) as Address;
}

export function isIpv4(address: Address): boolean {
  return !address.includes(":");
}

/** Host order; throws RangeError for what is no IPv4 address. */
export function ipv4Host(address: Address): number {
  const addressHost = tryParseIpv4(address);
  if (addressHost === undefined) throw new RangeError(`${address} is no IPv4 address`);
  return addressHost;
}

/** The address as an unsigned number of 128 bits. */
export function addressBits(address: Address): bigint {
  if (isIpv4(address)) return IPV4_MAPPED | BigInt(ipv4Host(address));
  const groups = groupsOf(address);
  if (groups === undefined) throw new RangeError(`${address} is no address`);
  return bitsOfGroups(groups);
}

/** The address of an unsigned number of 128 bits; one that is IPv4-mapped is the IPv4 address. */
export function addressOfBits(bits: bigint): Address {
  if (bits < 0n || bits >> 128n !== 0n) throw new RangeError(`${bits} has more than 128 bits`);
  if (bits >> 32n === IPV4_MAPPED >> 32n) return ipv4Address(Number(bits & IPV4_BITS));
  const groups = Array.from({ length: GROUPS }, (_, index) =>
    Number((bits >> BigInt(16 * (GROUPS - 1 - index))) & 0xffffn),
  );
  return formatGroups(groups) as Address;
}

/** Reads an address in any of its forms; undefined when the text is none. */
export function tryParseAddress(text: string): Address | undefined {
  const ipv4 = tryParseIpv4Address(text);
  if (ipv4 !== undefined) return ipv4;
  const groups = groupsOf(text);
  return groups && addressOfBits(bitsOfGroups(groups));
}

/** As {@link tryParseAddress} for IPv4 alone, which is what is served today. */
export function tryParseIpv4Address(text: string): Address | undefined {
  const addressHost = tryParseIpv4(text);
  return addressHost === undefined ? undefined : ipv4Address(addressHost);
}

/** As {@link tryParseIpv4Address}, but throws CLUSTERIP_BAD_ADDRESS. */
export function parseIpv4Address(text: string): Address {
  return ipv4Address(parseIpv4(text));
}

/** The eight groups of an IPv6 address (RFC 4291, 2.2); undefined when the text is none. */
function groupsOf(text: string): readonly number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [before, after] = halves.map((half, index) => readGroups(half, index === halves.length - 1));
  if (before === undefined || (halves.length === 2 && after === undefined)) return undefined;
  if (halves.length === 1) return before.length === GROUPS ? before : undefined;
  const zeros = GROUPS - before.length - (after?.length ?? 0);
  // "::" stands for one group at least.
  return zeros < 1 ? undefined : [...before, ...new Array<number>(zeros).fill(0), ...(after ?? [])];
}

function bitsOfGroups(groups: readonly number[]): bigint {
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(group), 0n);
}

/** @param isLast then it may end with a dotted quad */
function readGroups(text: string, isLast: boolean): readonly number[] | undefined {
  if (text === "") return [];
  const words = text.split(":");
  const quad = isLast ? tryParseIpv4(words.at(-1) ?? "") : undefined;
  if (quad !== undefined) words.splice(-1, 1, (quad >>> 16).toString(16), (quad & 0xffff).toString(16));
  if (words.some((word) => !/^[0-9a-f]{1,4}$/i.test(word))) return undefined;
  return words.map((word) => Number.parseInt(word, 16));
}

/** RFC 5952: lower case, no leading zeros, "::" for the longest run of two or more zero groups, the first of such. */
function formatGroups(groups: readonly number[]): string {
  let longest = { start: 0, length: 1 };
  for (let start = 0; start < GROUPS; start += 1) {
    let end = start;
    while (end < GROUPS && groups[end] === 0) end += 1;
    if (end - start > longest.length) longest = { start, length: end - start };
  }
  const hex = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(":");
  if (longest.length < 2) return hex(groups);
  return `${hex(groups.slice(0, longest.start))}::${hex(groups.slice(longest.start + longest.length))}`;
}
