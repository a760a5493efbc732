/** Ethernet frames for tests: built octet by octet, and read back from a capture field by field. */
import { formatIpv4, parseIpv4 } from "../../../src/core/ipv4.ts";
import { formatMac, parseMac } from "../../../src/core/mac.ts";
import { readCapture } from "../../../src/pcap/read-capture.ts";

export const BROADCAST_MAC = "ff:ff:ff:ff:ff:ff";

const etherTypes = { ipv4: 0x0800, arp: 0x0806, vlan: 0x8100 };
const IPV4_HEADER = 20;
const MORE_FRAGMENTS = 0x2000;
const protocols = { icmp: 1, igmp: 2, tcp: 6, udp: 17 };

export interface EthernetAddresses {
  from: string;
  to: string;
  /** An 802.1Q tag with this VLAN id, 0 for one that only carries a priority; several, the outermost first. */
  vlan?: number | readonly number[];
}

export function ethernetFrame(
  { from, to, vlan }: EthernetAddresses,
  payload: Uint8Array,
  etherType = etherTypes.ipv4,
): Buffer {
  const vlans = vlan === undefined ? [] : [vlan].flat();
  const tag = vlans.map((id) => words(etherTypes.vlan, (5 << 13) | id));
  return Buffer.concat([parseMac(to), parseMac(from), ...tag, words(etherType), payload]);
}

export function arpRequest(from: { mac: string; address: string }, who: string): Buffer {
  const sender = [parseMac(from.mac), octetsOf(from.address)];
  const target = [Buffer.alloc(6), octetsOf(who)];
  const payload = Buffer.concat([words(1, etherTypes.ipv4, 0x0604, 1), ...sender, ...target]);
  return ethernetFrame({ from: from.mac, to: BROADCAST_MAC }, payload, etherTypes.arp);
}

export interface Ipv4Fields {
  from: string;
  to: string;
  protocol: keyof typeof protocols;
  id?: number;
  /** In octets, a multiple of 8. */
  fragmentOffset?: number;
  moreFragments?: boolean;
}

export function ipv4Packet(fields: Ipv4Fields, payload: Uint8Array): Buffer {
  const { from, to, protocol, id = 0, fragmentOffset = 0, moreFragments = false } = fields;
  const flags = (moreFragments ? MORE_FRAGMENTS : 0) | (fragmentOffset / 8);
  const header = Buffer.concat([
    words(0x4500, IPV4_HEADER + payload.length, id, flags, (64 << 8) | protocols[protocol], 0),
    octetsOf(from),
    octetsOf(to),
  ]);
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** The packet in pieces whose payloads have `pieceBytes` octets (a multiple of 8), in order. */
export function fragmentsOf(fields: Ipv4Fields, payload: Uint8Array, pieceBytes: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let fragmentOffset = 0; fragmentOffset < payload.length; fragmentOffset += pieceBytes) {
    const end = fragmentOffset + pieceBytes;
    const moreFragments = end < payload.length;
    pieces.push(
      ipv4Packet({ ...fields, fragmentOffset, moreFragments }, payload.subarray(fragmentOffset, end)),
    );
  }
  return pieces;
}

/** Without a checksum, which UDP allows over IPv4. */
export function udpDatagram(sport: number, dport: number, text: string): Buffer {
  return Buffer.concat([words(sport, dport, 8 + text.length, 0), Buffer.from(text)]);
}

export interface Endpoint {
  address: string;
  port: number;
}

/** A bare segment: `flags` as in RFC 9293, 0x02 for SYN, 0x10 for ACK. */
export function tcpSegment(from: Endpoint, to: Endpoint, flags: number, sequence = 1000): Buffer {
  const place = [sequence >>> 16, sequence & 0xffff] as const;
  const segment = words(from.port, to.port, ...place, 0, 0, (5 << 12) | flags, 0xffff, 0, 0);
  // TCP refuses a wrong checksum, and that covers the addresses.
  const pseudoHeader = Buffer.concat([
    octetsOf(from.address),
    octetsOf(to.address),
    words(6, segment.length),
  ]);
  segment.writeUInt16BE(checksum(Buffer.concat([pseudoHeader, segment])), 16);
  return segment;
}

export function icmpMessage(type: number, code: number, rest: Uint8Array): Buffer {
  const message = Buffer.concat([words((type << 8) | code, 0), rest]);
  message.writeUInt16BE(checksum(message), 2);
  return message;
}

export function icmpEcho(id: number, sequence: number): Buffer {
  return icmpMessage(8, 0, Buffer.concat([words(id, sequence), Buffer.alloc(32, "clusterip ")]));
}

/** 16-bit words in network byte order. */
function words(...values: number[]): Buffer {
  const octets = Buffer.alloc(values.length * 2);
  for (const [index, value] of values.entries()) octets.writeUInt16BE(value & 0xffff, index * 2);
  return octets;
}

function octetsOf(address: string): Buffer {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(parseIpv4(address));
  return octets;
}

/** RFC 1071. */
function checksum(octets: Buffer): number {
  let sum = 0;
  for (let at = 0; at < octets.length; at += 2) {
    sum += at + 1 < octets.length ? octets.readUInt16BE(at) : octets.readUInt8(at) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface ArpMessage {
  operation: number;
  senderMac: string;
  senderAddress: string;
  targetAddress: string;
}

export interface TcpHeader {
  sport: number;
  dport: number;
  flags: { syn: boolean; ack: boolean; rst: boolean; fin: boolean };
}

export interface Ipv4Header {
  from: string;
  to: string;
  protocol: number;
  fragmentOffset: number;
  moreFragments: boolean;
  /** Absent in later fragments and other protocols, as are the next two. */
  tcp?: TcpHeader;
  udp?: { sport: number; dport: number; payload: Buffer };
  /** `rest` is what follows the checksum. */
  icmp?: { type: number; code: number; rest: Buffer };
}

/** One frame of a capture. */
export interface CapturedFrame {
  timestampNs: bigint;
  from: string;
  to: string;
  vlan?: number;
  arp?: ArpMessage;
  ip?: Ipv4Header;
}

export async function readFrames(file: string): Promise<CapturedFrame[]> {
  const frames: CapturedFrame[] = [];
  for await (const { data, timestampNs } of readCapture(file)) {
    // A copy: the reader's view is valid until the next record only.
    frames.push({ timestampNs, ...parseFrame(Buffer.from(data)) });
  }
  return frames;
}

function parseFrame(data: Buffer): Omit<CapturedFrame, "timestampNs"> {
  const frame: Omit<CapturedFrame, "timestampNs"> = {
    to: formatMac(data.subarray(0, 6)),
    from: formatMac(data.subarray(6, 12)),
  };
  let etherType = data.readUInt16BE(12);
  let payload = data.subarray(14);
  if (etherType === etherTypes.vlan) {
    frame.vlan = payload.readUInt16BE(0) & 0x0fff;
    etherType = payload.readUInt16BE(2);
    payload = payload.subarray(4);
  }
  if (etherType === etherTypes.arp) frame.arp = parseArp(payload);
  if (etherType === etherTypes.ipv4 && payload.length >= IPV4_HEADER) frame.ip = parseIpv4Packet(payload);
  return frame;
}

function parseArp(payload: Buffer): ArpMessage {
  return {
    operation: payload.readUInt16BE(6),
    senderMac: formatMac(payload.subarray(8, 14)),
    senderAddress: formatIpv4(payload.readUInt32BE(14)),
    targetAddress: formatIpv4(payload.readUInt32BE(24)),
  };
}

function parseIpv4Packet(packet: Buffer): Ipv4Header {
  const flags = packet.readUInt16BE(6);
  const header: Ipv4Header = {
    from: formatIpv4(packet.readUInt32BE(12)),
    to: formatIpv4(packet.readUInt32BE(16)),
    protocol: packet.readUInt8(9),
    fragmentOffset: (flags & 0x1fff) * 8,
    moreFragments: (flags & MORE_FRAGMENTS) !== 0,
  };
  if (header.fragmentOffset > 0) return header;
  const payload = packet.subarray((packet.readUInt8(0) & 0x0f) * 4);
  if (header.protocol === protocols.tcp && payload.length >= 20) header.tcp = parseTcp(payload);
  if (header.protocol === protocols.udp && payload.length >= 8) {
    const [sport, dport] = [payload.readUInt16BE(0), payload.readUInt16BE(2)];
    header.udp = { sport, dport, payload: payload.subarray(8, payload.readUInt16BE(4)) };
  }
  if (header.protocol === protocols.icmp && payload.length >= 8) {
    header.icmp = { type: payload.readUInt8(0), code: payload.readUInt8(1), rest: payload.subarray(4) };
  }
  return header;
}

function parseTcp(segment: Buffer): TcpHeader {
  const flags = segment.readUInt8(13);
  return {
    sport: segment.readUInt16BE(0),
    dport: segment.readUInt16BE(2),
    flags: {
      fin: (flags & 0x01) !== 0,
      syn: (flags & 0x02) !== 0,
      rst: (flags & 0x04) !== 0,
      ack: (flags & 0x10) !== 0,
    },
  };
}
