/** Virtual IPs and frames for the tests of the maps of engine "bpf". */
import { endianness } from "node:os";
import { hashModeNumbers } from "../../../src/core/bucket.ts";
import { parseMac } from "../../../src/core/mac.ts";
import { bucketOf, protocolNumbers } from "../../../src/index.ts";
import type { NativeVirtualIp } from "../../../src/native.ts";
import { CLUSTER_MAC } from "../daemon/facts.ts";

/** 10.0.0.0 */
const FIRST_ADDRESS = 0x0a000000;
const SOURCE = 0xc0a84d0b;
const PLACES = 512;
/** The last but one of the table: what does not fit there goes on at its beginning. */
const HOME = PLACES - 2;
const BUCKETS = 4;

/** clusterip_home of native/bpf/layout.h. */
function homeOf(address: number): number {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(address);
  const word = endianness() === "LE" ? octets.readUInt32LE() : address;
  return Math.imul(word, 0x9e3779b1) >>> 23;
}

/** Addresses that all belong into the same place of the table. */
export function addressesOfOneHome(count: number): number[] {
  const found: number[] = [];
  for (let address = FIRST_ADDRESS; found.length < count; address += 1) {
    if (homeOf(address) === HOME) found.push(address);
  }
  return found;
}

/** Another hash for each address: so a frame that was judged by another's settings is noticed. */
export function settingsFor(address: number): NativeVirtualIp & { clusterMac: Uint8Array } {
  return {
    addressHost: address,
    clusterMac: parseMac(CLUSTER_MAC),
    hashMode: hashModeNumbers["sourceip-sourceport"],
    bucketCount: BUCKETS,
    hashInit: address,
    localMask: 0b0101,
  };
}

export function bucketFor(address: number, port: number): number {
  const flow = { protocol: protocolNumbers.tcp, saddrHost: SOURCE, sourcePort: port, destinationPort: 80 };
  return bucketOf(flow, { hashMode: "sourceip-sourceport", totalNodes: BUCKETS, hashInit: address });
}

/** A TCP SYN of that source port, without checksums. */
export function synTo(address: number, port: number): Buffer {
  const frame = Buffer.alloc(60);
  frame.set(parseMac(CLUSTER_MAC));
  frame.writeUInt16BE(0x0800, 12);
  frame.writeUInt8(0x45, 14);
  frame.writeUInt16BE(40, 16);
  frame.writeUInt8(64, 22);
  frame.writeUInt8(protocolNumbers.tcp, 23);
  frame.writeUInt32BE(SOURCE, 26);
  frame.writeUInt32BE(address, 30);
  frame.writeUInt16BE(port, 34);
  frame.writeUInt16BE(80, 36);
  frame.writeUInt8(5 << 4, 46);
  frame.writeUInt8(2, 47);
  return frame;
}
