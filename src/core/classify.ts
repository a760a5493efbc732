/**
 * The verdict on one frame: the specification that the native engine must equal.
 *
 * Pure and stateless. Two rules replace the kernel target's connection tracking:
 *  - later fragments carry no ports, so every node takes them, and only the owner of the flow,
 *    who has the first fragment, ever completes the datagram;
 *  - an ICMP error is judged by the packet inside it with its direction turned round, so the
 *    owner of that flow gets it.
 */
import { bucketOf, type HashSettings, portsOffset, protocolNumbers } from "./bucket.ts";
import { type Reason, reasonCatalogue, type Verdict } from "./verdict.ts";

/** How the frame was addressed on the link; the values of `linux/if_packet.h`. */
export const packetTypes = { host: 0, broadcast: 1, multicast: 2, otherHost: 3 } as const;
export type PacketType = keyof typeof packetTypes;

/** A virtual IP as the verdict sees it. */
export interface ClassifyTarget extends HashSettings {
  /** host order */
  readonly address: number;
  /** this node's buckets, 1 to `bucketCount` */
  readonly localBuckets: readonly number[];
}

export interface ClassifyOptions {
  /** What `frame` starts with: an Ethernet header (the default) or the IPv4 header. */
  readonly layer?: "ethernet" | "ipv4";
  /**
   * How the frame was addressed. By default taken from its destination MAC: a group address is
   * multicast, a unicast address is taken for this host's own.
   */
  readonly packetType?: PacketType;
}

export interface Classification {
  readonly verdict: Verdict;
  readonly reason: Reason;
  /** 1 to `bucketCount`, when the packet's flow has one */
  readonly bucket?: number;
}

const ETHERNET_HEADER = 14; // IEEE 802.3: two addresses and the EtherType
const VLAN_TAG = 4; // IEEE 802.1Q
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_VLAN = 0x8100; // 802.1Q
const ETHERTYPE_QINQ = 0x88a8; // 802.1ad
const VLAN_ID_MASK = 0x0fff;
const IPV4_HEADER = 20; // RFC 791, without options
const FRAGMENT_OFFSET_MASK = 0x1fff;
const ICMP_HEADER = 8; // RFC 792
const PORT_WORDS = 4;

/** ICMP types by RFC 792 and RFC 950: echo, timestamp, information and address mask requests. */
const ICMP_REQUESTS: ReadonlySet<number> = new Set([8, 13, 15, 17]);
/** Destination unreachable, source quench, redirect, time exceeded, parameter problem. */
const ICMP_ERRORS: ReadonlySet<number> = new Set([3, 4, 5, 11, 12]);

/** Judges a frame, or an IPv4 packet, that arrived on the virtual IP's interface. Never throws. */
export function classify(
  frame: Uint8Array,
  target: ClassifyTarget,
  options: ClassifyOptions = {},
): Classification {
  if (options.layer === "ipv4") return classifyPacket(frame, target);
  if (frame.length < ETHERNET_HEADER) return because("ethernet-truncated");
  // The outer tag of a frame is the NIC's or the kernel's business before a tap sees it; a tag
  // that is still there belongs to a VLAN interface. VLAN 0 only carries a priority.
  let offset = ETHERNET_HEADER;
  let etherType = readU16(frame, ETHERNET_HEADER - 2);
  while (etherType === ETHERTYPE_VLAN || etherType === ETHERTYPE_QINQ) {
    if (frame.length < offset + VLAN_TAG) return because("ethernet-truncated");
    if ((readU16(frame, offset) & VLAN_ID_MASK) !== 0) return because("vlan-tagged");
    etherType = readU16(frame, offset + 2);
    offset += VLAN_TAG;
  }
  if (etherType !== ETHERTYPE_IPV4) return because("not-ipv4");
  if (options.packetType === "otherHost") return because("other-host");
  return classifyPacket(frame.subarray(offset), target);
}

/** `padded` may have Ethernet padding behind the packet. */
function classifyPacket(padded: Uint8Array, target: ClassifyTarget): Classification {
  if (padded.length < IPV4_HEADER) return because("ipv4-truncated");
  if (octet(padded, 0) >>> 4 !== 4) return because("ipv4-version");
  if (readU32(padded, 16) !== target.address) return because("other-address");
  const totalLength = readU16(padded, 2);
  const headerLength = ipv4HeaderLength(padded);
  if (totalLength > padded.length) return because("ipv4-total-length");
  if (headerLength < IPV4_HEADER || headerLength > totalLength) return because("ipv4-header-length");
  if (isLaterFragment(padded)) return because("later-fragment");
  return classifyPayload(
    octet(padded, 9),
    readU32(padded, 12),
    padded.subarray(headerLength, totalLength),
    target,
  );
}

function classifyPayload(
  protocol: number,
  saddrHost: number,
  payload: Uint8Array,
  target: ClassifyTarget,
): Classification {
  if (protocol === protocolNumbers.icmp) return classifyIcmp(saddrHost, payload, target);
  const offset = portsOffset(protocol);
  if (offset === undefined) return byFlow(target, protocol, saddrHost, 0, 0);
  if (payload.length < offset + PORT_WORDS) return because("ports-truncated");
  return byFlow(target, protocol, saddrHost, readU16(payload, offset), readU16(payload, offset + 2));
}

function classifyIcmp(saddrHost: number, payload: Uint8Array, target: ClassifyTarget): Classification {
  if (payload.length < ICMP_HEADER) return because("icmp-truncated");
  const type = octet(payload, 0);
  if (ICMP_REQUESTS.has(type)) return byFlow(target, protocolNumbers.icmp, saddrHost, 0, 0);
  if (ICMP_ERRORS.has(type)) return classifyIcmpError(payload.subarray(ICMP_HEADER), target);
  return because("icmp-unsolicited");
}

/** `inner` is the packet from the virtual IP that the error is about, usually cut short. */
function classifyIcmpError(inner: Uint8Array, target: ClassifyTarget): Classification {
  if (inner.length < IPV4_HEADER) return because("icmp-inner-truncated");
  const headerLength = ipv4HeaderLength(inner);
  if (octet(inner, 0) >>> 4 !== 4 || headerLength < IPV4_HEADER) return because("icmp-inner-malformed");
  if (readU32(inner, 12) !== target.address) return because("icmp-other-flow");
  if (isLaterFragment(inner)) return because("icmp-inner-fragment");
  const protocol = octet(inner, 9);
  const clientHost = readU32(inner, 16);
  const offset = portsOffset(protocol);
  if (offset === undefined || target.hashMode === "sourceip") {
    return byFlow(target, protocol, clientHost, 0, 0);
  }
  // The SPI of what the virtual IP sent says nothing of the SPI of what it receives.
  if (protocol === protocolNumbers.esp || protocol === protocolNumbers.ah) {
    return because("icmp-inner-spi");
  }
  const portsAt = headerLength + offset;
  if (inner.length < portsAt + PORT_WORDS) return because("icmp-inner-truncated");
  return byFlow(target, protocol, clientHost, readU16(inner, portsAt + 2), readU16(inner, portsAt));
}

function byFlow(
  target: ClassifyTarget,
  protocol: number,
  saddrHost: number,
  sourcePort: number,
  destinationPort: number,
): Classification {
  const bucket = bucketOf({ protocol, saddrHost, sourcePort, destinationPort }, target);
  const reason: Reason = target.localBuckets.includes(bucket) ? "local-bucket" : "foreign-bucket";
  return { verdict: reasonCatalogue[reason].verdict, reason, bucket };
}

function because(reason: Reason): Classification {
  return { verdict: reasonCatalogue[reason].verdict, reason };
}

/** The callers have checked the length; 0 would be read behind the end. */
function octet(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

function readU16(bytes: Uint8Array, at: number): number {
  return (octet(bytes, at) << 8) | octet(bytes, at + 1);
}

function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) * 0x1_0000 + readU16(bytes, at + 2);
}

function ipv4HeaderLength(packet: Uint8Array): number {
  return (octet(packet, 0) & 0x0f) * 4;
}

function isLaterFragment(packet: Uint8Array): boolean {
  return (readU16(packet, 6) & FRAGMENT_OFFSET_MASK) !== 0;
}
