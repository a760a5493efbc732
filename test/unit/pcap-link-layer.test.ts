import { describe, expect, it } from "vitest";
import { ipv4Addresses, linkFrameOf } from "../../src/pcap/link-layer.ts";
import { type CaptureRecord, linkTypes } from "../../src/pcap/record.ts";

function record(linkType: number, data: readonly number[], originalLength = data.length): CaptureRecord {
  const capturedLength = data.length;
  const octets = Uint8Array.from(data);
  return { timestampNs: 0n, capturedLength, originalLength, linkType, interfaceIndex: 3, data: octets };
}

const macs = [0x01, 0, 0x5e, 0x7f, 0, 1, 2, 0, 0, 0, 0, 1];
const packet = [0x45, 0, 0, 20];
/** Packet type, ARPHRD_ETHER, address length and address, protocol. */
const sll = (type: number, protocol: number): number[] => [
  ...[0, type, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0],
  ...[protocol >> 8, protocol & 255],
];
const sll2 = (type: number, protocol: number, ifindex: number): number[] => [
  ...[protocol >> 8, protocol & 255, 0, 0, 0, 0, ifindex >> 8, ifindex & 255],
  ...[0, 1, type, 6, 1, 2, 3, 4, 5, 6, 0, 0],
];

describe("linkFrameOf", () => {
  it("keeps an Ethernet frame whole and finds its packet, behind priority tags too", () => {
    const plain = linkFrameOf(record(linkTypes.ethernet, [...macs, 8, 0, ...packet]));
    expect(plain).toMatchObject({ kind: "ethernet", ipv4Offset: 14, isMulticast: true, isOtherHost: false });
    expect(plain?.data).toHaveLength(18);
    const priority = linkFrameOf(record(linkTypes.ethernet, [...macs, 0x81, 0, 0xe0, 0, 8, 0, ...packet]));
    expect(priority?.ipv4Offset).toBe(18);
  });

  it("finds no packet in a tagged frame, in other protocols and in frames that end early", () => {
    for (const rest of [
      [0x81, 0, 0, 5, 8, 0, ...packet],
      [0x86, 0xdd, 0x60],
      [8],
      [],
      [0x81, 0],
      [0x81, 0, 0],
    ]) {
      const frame = linkFrameOf(record(linkTypes.ethernet, [...macs, ...rest]));
      expect(frame).toMatchObject({ kind: "ethernet", ipv4Offset: undefined });
    }
  });

  it("does not take broadcast for multicast, nor unicast", () => {
    const to = (...mac: number[]) => linkFrameOf(record(1, [...mac, ...macs.slice(6), 8, 0]))?.isMulticast;
    expect(to(255, 255, 255, 255, 255, 255)).toBe(false);
    expect(to(2, 0, 0, 0, 0, 1)).toBe(false);
    expect(to(255, 255, 255, 255, 255, 254)).toBe(true);
  });

  it("takes raw IPv4 as it is and tells IPv6 from it", () => {
    for (const linkType of [linkTypes.raw, linkTypes.ipv4]) {
      expect(linkFrameOf(record(linkType, packet))).toMatchObject({ kind: "ipv4", ipv4Offset: 0 });
    }
    expect(linkFrameOf(record(linkTypes.raw, [0x60, 0]))).toMatchObject({
      kind: "other",
      ipv4Offset: undefined,
    });
  });

  it("takes the cooked headers off, with how the frame was addressed", () => {
    const v1 = linkFrameOf(record(linkTypes.linuxSll, [...sll(2, 0x0800), ...packet], 1016));
    expect(v1).toMatchObject({ kind: "ipv4", originalLength: 1000, isMulticast: true, interfaceKey: 3 });
    expect(Array.from(v1?.data ?? [])).toEqual(packet);
    const v2 = linkFrameOf(record(linkTypes.linuxSll2, [...sll2(3, 0x0800, 258), ...packet]));
    expect(v2).toMatchObject({ kind: "ipv4", isMulticast: false, isOtherHost: true, interfaceKey: 258 });
  });

  it("calls cooked frames of other protocols, and headers that end early, other", () => {
    expect(linkFrameOf(record(linkTypes.linuxSll, sll(0, 0x0806)))?.kind).toBe("other");
    expect(linkFrameOf(record(linkTypes.linuxSll2, sll2(0, 0x86dd, 1)))?.kind).toBe("other");
    expect(linkFrameOf(record(linkTypes.linuxSll, sll(0, 0x0800).slice(0, 15)))?.kind).toBe("other");
    expect(linkFrameOf(record(linkTypes.linuxSll2, []))?.kind).toBe("other");
  });

  it("does not know other link types", () => {
    expect(linkFrameOf(record(105, packet))).toBeUndefined();
  });
});

describe("ipv4Addresses", () => {
  it("reads both in host order, or nothing of what is too short or no IPv4", () => {
    const header = Uint8Array.from([0x45, ...new Array<number>(11).fill(0), 192, 0, 2, 1, 10, 0, 0, 255]);
    expect(ipv4Addresses(header, 0)).toEqual({ source: 0xc0000201, destination: 0x0a0000ff });
    expect(ipv4Addresses(header, 1)).toBeUndefined();
    expect(ipv4Addresses(header.subarray(0, 19), 0)).toBeUndefined();
    expect(ipv4Addresses(Uint8Array.from(header).fill(0x60, 0, 1), 0)).toBeUndefined();
  });
});
