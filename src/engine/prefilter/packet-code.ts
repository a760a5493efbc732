/**
 * The part of the filter that reads the packet: the same checks in the same order as
 * `native/verdict`, so that what is malformed is passed up and counted there.
 */
import { protocolNumbers } from "../../core/bucket.ts";
import type { Assembler, Label } from "./assembler.ts";
import { ancillary, opcodes } from "./instructions.ts";

const ETHERNET_HEADER = 14; // IEEE 802.3
const ETHERTYPE_AT = 12;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_VLAN = 0x8100; // 802.1Q
const ETHERTYPE_QINQ = 0x88a8; // 802.1ad
const VLAN_ID_MASK = 0x0fff;
const PACKET_OTHERHOST = 3; // linux/if_packet.h
const IPV4_HEADER = 20; // RFC 791, without options
const IPV4_AT = ETHERNET_HEADER;
const FIRST_OCTET_PLAIN = 0x45; // version 4, five words of header
const FRAGMENT_OFFSET_MASK = 0x1fff;
const ICMP_HEADER = 8; // RFC 792
const ICMP_REQUESTS = [8, 13, 15, 17]; // echo, timestamp, information, address mask
const PORT_WORDS = 4;
const AH_PORTS_AT = 4; // behind next header, length and reserved octets: the SPI
const PORTS_FIRST = [
  protocolNumbers.tcp,
  protocolNumbers.udp,
  protocolNumbers.esp,
  protocolNumbers.sctp,
  protocolNumbers.dccp,
  protocolNumbers.udplite,
];

export interface PacketCells {
  readonly payloadLength: number;
  /** the port words as the hash takes them */
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly scratch: number;
}

/** From the start of the frame to its destination address, which is in A behind it. */
export function emitLinkAndAddress(asm: Assembler, pass: Label, notOurs: Label): void {
  const untagged = asm.label();
  asm.emit(opcodes.loadWord, ancillary.vlanTagPresent);
  asm.branch(opcodes.jumpIfEqual, 0, untagged, "next");
  asm.emit(opcodes.loadWord, ancillary.vlanTag);
  asm.branch(opcodes.jumpIfAnyBit, VLAN_ID_MASK, notOurs, "next");
  asm.bind(untagged);
  asm.emit(opcodes.loadLength);
  asm.branch(opcodes.jumpIfAtLeast, ETHERNET_HEADER, "next", pass);
  const ipv4 = asm.label();
  asm.emit(opcodes.loadHalf, ETHERTYPE_AT);
  asm.branch(opcodes.jumpIfEqual, ETHERTYPE_IPV4, ipv4, "next");
  // A tag inside a frame is so rare that the engine may look at it.
  asm.branch(opcodes.jumpIfEqual, ETHERTYPE_VLAN, pass, "next");
  asm.branch(opcodes.jumpIfEqual, ETHERTYPE_QINQ, pass, notOurs);
  asm.bind(ipv4);
  asm.emit(opcodes.loadWord, ancillary.packetType);
  asm.branch(opcodes.jumpIfEqual, PACKET_OTHERHOST, notOurs, "next");
  asm.emit(opcodes.loadLength);
  asm.branch(opcodes.jumpIfAtLeast, ETHERNET_HEADER + IPV4_HEADER, "next", pass);
  asm.emit(opcodes.loadByte, IPV4_AT);
  asm.emit(opcodes.andConstant, 0xf0);
  asm.branch(opcodes.jumpIfEqual, 0x40, "next", pass);
  asm.emit(opcodes.loadWord, IPV4_AT + 16);
}

/**
 * From the IPv4 header to the port words in their cells, which are 0 for a packet without ports.
 *
 * @param ports how many port words are wanted; what has too few octets for them is malformed
 * @param pass what has no bucket here, or is to be judged by the packet inside it
 */
export function emitFlow(asm: Assembler, cells: PacketCells, ports: number, pass: Label, done: Label): void {
  const withOptions = asm.label();
  asm.emit(opcodes.loadByte, IPV4_AT);
  asm.branch(opcodes.jumpIfEqual, FIRST_OCTET_PLAIN, "next", withOptions);

  // Without options every octet has a fixed place, which is read without a function call.
  asm.emit(opcodes.loadHalf, IPV4_AT + 2);
  asm.emit(opcodes.moveAToX);
  emitFitsFrame(asm, pass);
  asm.emit(opcodes.moveXToA);
  asm.branch(opcodes.jumpIfAtLeast, IPV4_HEADER, "next", pass);
  asm.emit(opcodes.subtractConstant, IPV4_HEADER);
  asm.emit(opcodes.storeMemory, cells.payloadLength);
  emitPayload(asm, cells, ports, pass, done, (at) => asm.emit(opcodes.loadByte, IPV4_AT + IPV4_HEADER + at));

  asm.bind(withOptions);
  asm.emit(opcodes.loadHalf, IPV4_AT + 2);
  asm.emit(opcodes.storeMemory, cells.scratch);
  asm.emit(opcodes.moveAToX);
  emitFitsFrame(asm, pass);
  asm.emit(opcodes.loadXHeaderLength, IPV4_AT);
  asm.emit(opcodes.moveXToA);
  asm.branch(opcodes.jumpIfAtLeast, IPV4_HEADER, "next", pass);
  asm.emit(opcodes.loadMemory, cells.scratch);
  asm.branch(opcodes.jumpIfAtLeastX, 0, "next", pass);
  asm.emit(opcodes.subtractX);
  asm.emit(opcodes.storeMemory, cells.payloadLength);
  emitPayload(asm, cells, ports, pass, done, (at) => {
    asm.emit(opcodes.loadXHeaderLength, IPV4_AT);
    asm.emit(opcodes.loadByteAtX, IPV4_AT + at);
  });
}

/** The total length in X is no more than the frame holds. */
function emitFitsFrame(asm: Assembler, pass: Label): void {
  asm.emit(opcodes.loadLength);
  asm.emit(opcodes.subtractConstant, ETHERNET_HEADER);
  asm.branch(opcodes.jumpIfAtLeastX, 0, "next", pass);
}

function emitPayload(
  asm: Assembler,
  cells: PacketCells,
  ports: number,
  pass: Label,
  done: Label,
  loadPayloadByte: (at: number) => void,
): void {
  const [portsFirst, portsOfAh, icmp, portless] = [asm.label(), asm.label(), asm.label(), asm.label()];
  asm.emit(opcodes.loadHalf, IPV4_AT + 6);
  asm.branch(opcodes.jumpIfAnyBit, FRAGMENT_OFFSET_MASK, pass, "next");
  asm.emit(opcodes.loadByte, IPV4_AT + 9);
  for (const protocol of PORTS_FIRST) asm.branch(opcodes.jumpIfEqual, protocol, portsFirst, "next");
  asm.branch(opcodes.jumpIfEqual, protocolNumbers.ah, portsOfAh, "next");
  asm.branch(opcodes.jumpIfEqual, protocolNumbers.icmp, icmp, portless);

  asm.bind(icmp);
  emitHolds(asm, cells, ICMP_HEADER, pass);
  loadPayloadByte(0);
  for (const type of ICMP_REQUESTS) asm.branch(opcodes.jumpIfEqual, type, portless, "next");
  asm.goto(pass);

  asm.bind(portless);
  asm.emit(opcodes.loadConstant, 0);
  for (const cell of wantedCells(cells, ports)) asm.emit(opcodes.storeMemory, cell);
  asm.goto(done);

  asm.bind(portsOfAh);
  emitHolds(asm, cells, AH_PORTS_AT + PORT_WORDS, pass);
  emitPorts(AH_PORTS_AT);

  asm.bind(portsFirst);
  emitHolds(asm, cells, PORT_WORDS, pass);
  emitPorts(0);

  function emitPorts(at: number): void {
    for (const [index, cell] of wantedCells(cells, ports).entries()) {
      // The words enter the hash as they lie on the wire, read little-endian.
      loadPayloadByte(at + index * 2 + 1);
      asm.emit(opcodes.shiftLeft, 8);
      asm.emit(opcodes.storeMemory, cells.scratch);
      loadPayloadByte(at + index * 2);
      asm.emit(opcodes.loadXMemory, cells.scratch);
      asm.emit(opcodes.orX);
      asm.emit(opcodes.storeMemory, cell);
    }
    asm.goto(done);
  }
}

function emitHolds(asm: Assembler, cells: PacketCells, octets: number, pass: Label): void {
  asm.emit(opcodes.loadMemory, cells.payloadLength);
  asm.branch(opcodes.jumpIfAtLeast, octets, "next", pass);
}

function wantedCells(cells: PacketCells, ports: number): readonly number[] {
  return [cells.sourcePort, cells.destinationPort].slice(0, ports);
}

/** A is the source address behind it. */
export function emitSourceAddress(asm: Assembler): void {
  asm.emit(opcodes.loadWord, IPV4_AT + 12);
}
