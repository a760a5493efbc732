/**
 * ARP messages that no kernel sends for us (RFC 5227): a host tells its network, unasked, which MAC an address has
 * (section 3), or asks whether anybody has it (section 2.1.1).
 */
import { parseMac } from "./mac.ts";

const ETHERTYPE_ARP = 0x0806;
const HARDWARE_ETHERNET = 1;
const PROTOCOL_IPV4 = 0x0800;
const BROADCAST = new Uint8Array(6).fill(0xff);
const UNKNOWN = new Uint8Array(6);

export const arpOperations = { request: 1, reply: 2 } as const;
export type ArpOperation = keyof typeof arpOperations;

/**
 * The frame that announces a virtual IP: the cluster MAC is what it says, the NIC's own MAC is
 * where it comes from, because a switch that saw the cluster MAC as a source would learn a port
 * for it and send the cluster's frames to one node only.
 */
export function gratuitousArp(
  operation: ArpOperation,
  vipHost: number,
  clusterMac: string,
  nicMac: string,
): Uint8Array {
  const sender = { mac: parseMac(clusterMac), addressHost: vipHost };
  // A request leaves the target's MAC open; in a reply it is the announced one again.
  const target = { ...sender, mac: operation === "reply" ? sender.mac : UNKNOWN };
  return arpFrame(operation, nicMac, sender, target);
}

/**
 * The frame that asks who has an address, without claiming one (RFC 5227, section 2.1.1): its holder answers, the
 * nodes of a cluster with the cluster MAC.
 */
export function arpProbe(addressHost: number, nicMac: string): Uint8Array {
  const sender = { mac: parseMac(nicMac), addressHost: 0 };
  return arpFrame("request", nicMac, sender, { mac: UNKNOWN, addressHost });
}

interface ArpParty {
  readonly mac: Uint8Array;
  readonly addressHost: number;
}

/** An ARP message to all hosts of the LAN, 42 octets. */
function arpFrame(operation: ArpOperation, nicMac: string, sender: ArpParty, target: ArpParty): Uint8Array {
  const frame = new Uint8Array(42);
  const view = new DataView(frame.buffer);
  frame.set(BROADCAST, 0);
  frame.set(parseMac(nicMac), 6);
  view.setUint16(12, ETHERTYPE_ARP);
  view.setUint16(14, HARDWARE_ETHERNET);
  view.setUint16(16, PROTOCOL_IPV4);
  view.setUint8(18, 6);
  view.setUint8(19, 4);
  view.setUint16(20, arpOperations[operation]);
  frame.set(sender.mac, 22);
  view.setUint32(28, sender.addressHost);
  frame.set(target.mac, 32);
  view.setUint32(38, target.addressHost);
  return frame;
}
