/**
 * Checksums that the sender has left to its NIC, or that the receiving kernel has merged frames under: then the
 * checksum field of TCP and UDP holds the sum of the pseudo-header alone, and a raw socket, which unlike a TUN has
 * no way to say so, has to send the finished one.
 */
import { protocolNumbers } from "../core/bucket.ts";

/** Where the checksum lies in the headers of the protocols that NICs finish it for (RFC 9293, RFC 768). */
const CHECKSUM_OFFSET: Readonly<Record<number, number>> = {
  [protocolNumbers.tcp]: 16,
  [protocolNumbers.udp]: 6,
};

/** Completes the checksum of a whole IPv4 packet in place; any other checksum, also a wrong one, stays as it is. */
export function finishChecksum(packet: Buffer): void {
  const protocol = packet.readUInt8(9);
  const headerLength = (packet.readUInt8(0) & 0x0f) * 4;
  const checksumAt = headerLength + (CHECKSUM_OFFSET[protocol] ?? packet.length);
  const isFragment = (packet.readUInt16BE(6) & 0x3fff) !== 0;
  if (isFragment || checksumAt + 2 > packet.length) return;
  // RFC 9293 3.1: addresses, protocol and length of what follows the IPv4 header.
  const pseudoHeader = sum(packet.subarray(12, 20), protocol + packet.length - headerLength);
  if (packet.readUInt16BE(checksumAt) !== pseudoHeader) return;
  const checksum = ~sum(packet.subarray(headerLength)) & 0xffff;
  // A UDP checksum of 0 means that there is none.
  packet.writeUInt16BE(checksum === 0 && protocol === protocolNumbers.udp ? 0xffff : checksum, checksumAt);
}

/** The one's complement sum of RFC 1071. */
function sum(octets: Buffer, start = 0): number {
  let total = start;
  for (let at = 0; at + 1 < octets.length; at += 2) total += octets.readUInt16BE(at);
  if (octets.length % 2 === 1) total += octets.readUInt8(octets.length - 1) << 8;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}
