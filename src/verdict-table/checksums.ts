/** The checksums of the built frames, so that a real stack would take them. */
import type { Bytes } from "./layer.ts";

/** The Internet checksum (RFC 1071) over all parts, read as one. Parts but the last are of even length. */
export function internetChecksum(...parts: readonly Bytes[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** CRC32c as SCTP has it (RFC 9260, appendix A); it goes into the packet little-endian. */
export function crc32c(bytes: Bytes): number {
  let crc = 0xffffffff;
  for (const octet of bytes) {
    crc ^= octet;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
