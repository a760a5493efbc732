/** The clients of a simulation: IPv4 networks, as a set of addresses that can be counted and indexed. */
import { ClusterIpError } from "../core/errors.ts";
import { broadcastOf, formatIpv4, netmaskOf, tryParseIpv4 } from "../core/ipv4.ts";

export interface AddressRange {
  /** First and last address, host order. */
  readonly first: number;
  readonly last: number;
}

/**
 * Reads `10.0.0.0/24,192.0.2.7,…`: networks and single addresses. Host bits are ignored, every
 * address of a network counts (also its first and last, which may be ordinary hosts of a larger
 * network), and an address that is named twice counts once.
 *
 * @returns ranges in ascending order that do not overlap.
 */
export function parseClients(text: string): readonly AddressRange[] {
  const ranges = text.split(",").map((part) => parseNetwork(part.trim()));
  ranges.sort((a, b) => a.first - b.first);
  const merged: AddressRange[] = [];
  for (const range of ranges) {
    const previous = merged.at(-1);
    if (previous !== undefined && range.first <= previous.last + 1) {
      merged[merged.length - 1] = { first: previous.first, last: Math.max(previous.last, range.last) };
    } else {
      merged.push(range);
    }
  }
  return merged;
}

function parseNetwork(text: string): AddressRange {
  const [addressText = "", prefixText, ...more] = text.split("/");
  const address = tryParseIpv4(addressText);
  const prefixLength = prefixText === undefined ? 32 : /^\d{1,2}$/.test(prefixText) ? Number(prefixText) : 33;
  if (address === undefined || prefixLength > 32 || more.length > 0) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_ADDRESS",
      `'${text}' is not an IPv4 network: expected an address or ADDRESS/LENGTH, such as 10.0.0.0/24.`,
    );
  }
  return {
    first: (address & netmaskOf(prefixLength)) >>> 0,
    last: broadcastOf(address, prefixLength),
  };
}

export function countAddresses(ranges: readonly AddressRange[]): number {
  return ranges.reduce((count, range) => count + range.last - range.first + 1, 0);
}

/** The address at `index` (from 0) of the whole set. */
export function addressAt(ranges: readonly AddressRange[], index: number): number {
  let left = index;
  for (const range of ranges) {
    const size = range.last - range.first + 1;
    if (left < size) return range.first + left;
    left -= size;
  }
  throw new RangeError(`no address at index ${index}`);
}

/** `10.0.0.0-10.0.0.255, 192.0.2.7`, at most three of them. */
export function formatRanges(ranges: readonly AddressRange[]): string {
  const shown = ranges
    .slice(0, 3)
    .map(({ first, last }) =>
      first === last ? formatIpv4(first) : `${formatIpv4(first)}-${formatIpv4(last)}`,
    );
  const hidden = ranges.length - shown.length;
  return shown.join(", ") + (hidden > 0 ? ` and ${hidden} more` : "");
}
