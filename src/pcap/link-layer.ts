/** From a captured record to what `classify()` judges: an Ethernet frame or a bare IPv4 packet. */
import { type CaptureRecord, linkTypes } from "./record.ts";

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_VLAN = 0x8100; // IEEE 802.1Q
const ETHERTYPE_QINQ = 0x88a8; // IEEE 802.1ad
const ETHERNET_HEADER_BYTES = 14;
const VLAN_TAG_BYTES = 4;
const VLAN_ID_MASK = 0x0fff;
/** LINKTYPE_LINUX_SLL and _SLL2 of the tcpdump.org registry: `tcpdump -i any`. */
const SLL_HEADER_BYTES = 16;
const SLL2_HEADER_BYTES = 20;
/** Packet types of both (`linux/if_packet.h`). */
const packetType = { multicast: 2, otherHost: 3 };

export interface LinkFrame {
  /** `other`: the record says itself that it carries no IPv4. */
  readonly kind: "ethernet" | "ipv4" | "other";
  /** Ethernet: the whole frame. IPv4: the packet. */
  readonly data: Uint8Array;
  /** Octets of `data` on the wire, which the snap length may have cut. */
  readonly originalLength: number;
  /** Where the IPv4 packet begins in `data`, if the link layer says that there is one. */
  readonly ipv4Offset: number | undefined;
  /** Sent to a link-layer multicast address, as frames to a cluster MAC are; broadcast is not meant. */
  readonly isMulticast: boolean;
  /** Sent to the unicast address of another host, as the capture itself says. */
  readonly isOtherHost: boolean;
  /** The interface that saw the frame: two of them may have seen the same frame. */
  readonly interfaceKey: number;
}

/** The frame of a record, or undefined when its link type is not one that we understand. */
export function linkFrameOf(record: CaptureRecord): LinkFrame | undefined {
  switch (record.linkType) {
    case linkTypes.ethernet:
      return ethernetFrame(record);
    case linkTypes.raw:
      // The version nibble tells IPv4 from IPv6; what is too short to have one is left to classify().
      return bareFrame(record, 0, record.data.length > 0 && (record.data[0] ?? 0) >>> 4 === 6, undefined);
    case linkTypes.ipv4:
      return bareFrame(record, 0, false, undefined);
    case linkTypes.linuxSll:
      return bareFrame(record, SLL_HEADER_BYTES, uint16(record.data, 14) !== ETHERTYPE_IPV4, {
        packetType: uint16(record.data, 0),
        interfaceIndex: undefined,
      });
    case linkTypes.linuxSll2:
      return bareFrame(record, SLL2_HEADER_BYTES, uint16(record.data, 0) !== ETHERTYPE_IPV4, {
        packetType: record.data[10],
        interfaceIndex: (uint16(record.data, 4) ?? 0) * 65_536 + (uint16(record.data, 6) ?? 0),
      });
    default:
      return undefined;
  }
}

function ethernetFrame(record: CaptureRecord): LinkFrame {
  const { data, originalLength } = record;
  const isBroadcast = data.length >= 6 && data.subarray(0, 6).every((octet) => octet === 0xff);
  return {
    kind: "ethernet",
    data,
    originalLength,
    ipv4Offset: ethernetIpv4Offset(data),
    isMulticast: ((data[0] ?? 0) & 1) === 1 && !isBroadcast,
    // Whose unicast address it is, a capture does not say: a frame to a node's own MAC is judged.
    isOtherHost: false,
    interfaceKey: record.interfaceIndex,
  };
}

/** Priority tags (VLAN 0) are passed over as classify() does; any other tag hides the packet. */
function ethernetIpv4Offset(data: Uint8Array): number | undefined {
  let offset = ETHERNET_HEADER_BYTES;
  let etherType = uint16(data, offset - 2);
  while (etherType === ETHERTYPE_VLAN || etherType === ETHERTYPE_QINQ) {
    if (((uint16(data, offset) ?? 1) & VLAN_ID_MASK) !== 0) return undefined;
    etherType = uint16(data, offset + 2);
    offset += VLAN_TAG_BYTES;
  }
  return etherType === ETHERTYPE_IPV4 ? offset : undefined;
}

interface CookedHeader {
  readonly packetType: number | undefined;
  readonly interfaceIndex: number | undefined;
}

function bareFrame(
  record: CaptureRecord,
  headerBytes: number,
  isOther: boolean,
  cooked: CookedHeader | undefined,
): LinkFrame {
  return {
    kind: isOther ? "other" : "ipv4",
    data: record.data.subarray(headerBytes),
    originalLength: Math.max(0, record.originalLength - headerBytes),
    ipv4Offset: isOther ? undefined : 0,
    isMulticast: cooked?.packetType === packetType.multicast,
    isOtherHost: cooked?.packetType === packetType.otherHost,
    interfaceKey: cooked?.interfaceIndex ?? record.interfaceIndex,
  };
}

/** A 16-bit number in network byte order, or undefined beyond the end. */
function uint16(octets: Uint8Array, offset: number): number | undefined {
  const low = octets[offset + 1];
  return low === undefined ? undefined : (octets[offset] ?? 0) * 256 + low;
}

/** Source and destination of the IPv4 packet at `offset`, host order, if the header is captured so far. */
export function ipv4Addresses(
  data: Uint8Array,
  offset: number,
): { readonly source: number; readonly destination: number } | undefined {
  if (data.length < offset + 20 || (data[offset] ?? 0) >>> 4 !== 4) return undefined;
  const view = new DataView(data.buffer, data.byteOffset + offset, 20);
  return { source: view.getUint32(12), destination: view.getUint32(16) };
}
