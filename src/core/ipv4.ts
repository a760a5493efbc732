/** IPv4 addresses as unsigned 32-bit numbers in host order: 192.0.2.1 is 0xc0000201. */
import { ClusterIpError } from "./errors.ts";

const DOTTED_QUAD = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

/**
 * Reads a dotted quad, strictly: four decimal numbers of 0 to 255 without leading zeros.
 *
 * @returns the address in host order, or undefined when the text is no such thing.
 */
export function tryParseIpv4(text: string): number | undefined {
  const match = DOTTED_QUAD.exec(text);
  if (match === null) return undefined;
  let address = 0;
  for (const octetText of match.slice(1)) {
    const octet = Number(octetText);
    if (octet > 255) return undefined;
    address = address * 256 + octet;
  }
  return address;
}

/** As {@link tryParseIpv4}, but throws CLUSTERIP_BAD_ADDRESS. */
export function parseIpv4(text: string): number {
  const address = tryParseIpv4(text);
  if (address === undefined) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_ADDRESS",
      `'${text}' is not an IPv4 address: expected four numbers of 0 to 255 with dots between them, such as 192.0.2.10.`,
    );
  }
  return address;
}

/** The dotted quad of an address in host order. */
export function formatIpv4(addressHost: number): string {
  return `${addressHost >>> 24}.${(addressHost >>> 16) & 255}.${(addressHost >>> 8) & 255}.${addressHost & 255}`;
}

/** The netmask of a prefix length of 0 to 32, in host order. */
export function netmaskOf(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
}

/** Whether the network `networkHost/prefixLength` holds the address. */
export function networkHolds(networkHost: number, prefixLength: number, addressHost: number): boolean {
  return ((networkHost ^ addressHost) & netmaskOf(prefixLength)) === 0;
}

/** The directed broadcast address of the network that holds `addressHost`. */
export function broadcastOf(addressHost: number, prefixLength: number): number {
  return (addressHost | ~netmaskOf(prefixLength)) >>> 0;
}

/**
 * Why an address cannot be a virtual IP, or undefined when it can.
 * The kernel takes only unicast destinations (RFC 1122 3.2.1.3, RFC 5735).
 */
export function whyNotVirtualIp(addressHost: number): string | undefined {
  const firstOctet = addressHost >>> 24;
  if (firstOctet === 0) return "it is in 0.0.0.0/8";
  if (firstOctet === 127) return "it is a loopback address";
  if (firstOctet >= 224 && firstOctet < 240) return "it is a multicast address";
  if (firstOctet >= 240) return "it is in the reserved class E or the broadcast address";
  return undefined;
}
