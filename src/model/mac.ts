/** A MAC address under its one text: six lower-case pairs with colons. Equal addresses are equal texts. */
import { formatMac, parseClusterMac, parseMac } from "../core/mac.ts";

declare const brand: unique symbol;
export type Mac = string & { readonly [brand]: "Mac" };

/** Reads a cluster MAC, a multicast address; throws CLUSTERIP_BAD_MAC. */
export function toClusterMac(text: string): Mac {
  return parseClusterMac(text) as Mac;
}

/** Six octets in transmission order. */
export function macOctets(mac: Mac): Uint8Array {
  return parseMac(mac);
}

export function macOfOctets(octets: Uint8Array): Mac {
  return formatMac(octets) as Mac;
}
