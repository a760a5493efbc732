import { createHash } from "node:crypto";
import { broadcastOf, formatIpv4 } from "./ipv4.ts";

/**
 * The cluster MAC that Pacemaker's IPaddr2 derives for a virtual IP, so that a cluster that
 * moves here keeps the MAC that its neighbours know.
 *
 * The first 12 hexadecimal digits of the MD5 of `"IP PREFIXLEN BROADCAST\n"`; when the low
 * bit of the first octet is 0, its second digit becomes 1 (resource-agents, `IPaddr2`).
 *
 * IPaddr2 takes the broadcast address that the host's own address happens to have, and hashes
 * `"IP PREFIXLEN\n"` where it has none: two nodes that set their addresses differently have two
 * cluster MACs. Here it follows from the prefix length, so that it is one; it is IPaddr2's
 * wherever the host's broadcast address is the usual one.
 *
 * @param addressHost the virtual IP, host order
 * @param prefixLength of the network that holds the virtual IP
 * @param broadcast as IPaddr2 hashes it: a dotted quad, `+` or `-`, or nothing
 */
export function deriveClusterMac(
  addressHost: number,
  prefixLength: number,
  broadcast: string = usualBroadcast(addressHost, prefixLength),
): string {
  const words = [formatIpv4(addressHost), prefixLength, broadcast].filter((word) => word !== "");
  // MD5 is what IPaddr2 uses; nothing here depends on it being hard to collide.
  const digits = createHash("md5")
    .update(`${words.join(" ")}\n`)
    .digest("hex")
    .slice(0, 12);
  const isGroup = (Number.parseInt(digits.slice(0, 2), 16) & 1) === 1;
  const groupDigits = isGroup ? digits : `${digits.slice(0, 1)}1${digits.slice(2)}`;
  return groupDigits.replace(/(..)(?!$)/g, "$1:");
}

/** What hosts set: the highest address of the network; a network of one or two addresses has none (RFC 3021). */
export function usualBroadcast(addressHost: number, prefixLength: number): string {
  return prefixLength > 30 ? "" : formatIpv4(broadcastOf(addressHost, prefixLength));
}
