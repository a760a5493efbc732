import { createHash } from "node:crypto";
import { broadcastOf, formatIpv4 } from "./ipv4.ts";

/**
 * The cluster MAC that Pacemaker's IPaddr2 derives for a virtual IP, so that a cluster that
 * moves here keeps the MAC that its neighbours know.
 *
 * The first 12 hexadecimal digits of the MD5 of `"IP PREFIXLEN BROADCAST\n"`; when the low
 * bit of the first octet is 0, its second digit becomes 1 (resource-agents, `IPaddr2`).
 *
 * @param addressHost the virtual IP, host order
 * @param prefixLength of the NIC's network that holds the virtual IP
 * @param broadcastHost of that network; by default the directed broadcast address
 */
export function deriveClusterMac(
  addressHost: number,
  prefixLength: number,
  broadcastHost: number = broadcastOf(addressHost, prefixLength),
): string {
  const seed = `${formatIpv4(addressHost)} ${prefixLength} ${formatIpv4(broadcastHost)}\n`;
  // MD5 is what IPaddr2 uses; nothing here depends on it being hard to collide.
  const digits = createHash("md5").update(seed).digest("hex").slice(0, 12);
  const isGroup = (Number.parseInt(digits.slice(0, 2), 16) & 1) === 1;
  const groupDigits = isGroup ? digits : `${digits.slice(0, 1)}1${digits.slice(2)}`;
  return groupDigits.replace(/(..)(?!$)/g, "$1:");
}
