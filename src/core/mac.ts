/** MAC addresses as six octets in transmission order. */
import { ClusterIpError } from "./errors.ts";

const MAC = /^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i;

/** Reads `xx:xx:xx:xx:xx:xx` (or with dashes); throws CLUSTERIP_BAD_MAC. */
export function parseMac(text: string): Uint8Array {
  if (!MAC.test(text)) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_MAC",
      `'${text}' is not a MAC address: expected six pairs of hexadecimal digits, such as 01:00:5e:7f:00:0a.`,
    );
  }
  return Uint8Array.from(text.split(/[:-]/), (octet) => Number.parseInt(octet, 16));
}

/** The usual text form: lower-case hexadecimal pairs with colons. */
export function formatMac(octets: Uint8Array): string {
  return Array.from(octets, (octet) => octet.toString(16).padStart(2, "0")).join(":");
}

/**
 * Reads a cluster MAC: the group bit (the low bit of the first octet, IEEE 802 8.2) must be
 * set, or switches would learn where it is; broadcast would reach every host of the LAN.
 *
 * @returns the normalised text form. Throws CLUSTERIP_BAD_MAC.
 */
export function parseClusterMac(text: string): string {
  const octets = parseMac(text);
  const mac = formatMac(octets);
  if (((octets[0] ?? 0) & 1) === 0) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_MAC",
      `${mac} is a unicast MAC address: a cluster MAC must be a multicast address (the first octet odd), or switches send it to one node only.`,
    );
  }
  if (mac === "ff:ff:ff:ff:ff:ff") {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_MAC",
      "ff:ff:ff:ff:ff:ff is the broadcast address: a cluster MAC must be a multicast address that only the cluster uses.",
    );
  }
  return mac;
}
