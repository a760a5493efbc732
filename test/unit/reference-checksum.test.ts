/** Checksums that a sender left to its NIC are finished; every other one stays as it is. */
import { expect, test } from "vitest";
import { finishChecksum } from "../../src/reference/unfinished-checksum.ts";

/** An IPv4 packet from 10.77.0.201 to 10.77.0.100 with the given protocol, fragment word and payload. */
function packetOf(protocol: number, payload: string, fragment = "4000"): Buffer {
  const octets = Buffer.from(payload, "hex");
  const header = Buffer.from(`45000000abcd${fragment}40000000${"0a4d00c9"}${"0a4d0064"}`, "hex");
  header.writeUInt8(protocol, 9);
  header.writeUInt16BE(header.length + octets.length, 2);
  return Buffer.concat([header, octets]);
}

/** The checksum over the pseudo-header and the payload, which is 0 when it is right. */
function residue(packet: Buffer): number {
  const payload = packet.subarray(20);
  const whole = Buffer.concat([
    packet.subarray(12, 20),
    Buffer.from([0, packet.readUInt8(9), payload.length >>> 8, payload.length & 255]),
    payload,
    Buffer.alloc(payload.length % 2),
  ]);
  let sum = 0;
  for (let at = 0; at < whole.length; at += 2) sum += whole.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

// 0a4d + 00c9 + 0a4d + 0064 + protocol + length
const pseudoSum = (protocol: number, length: number): string =>
  (0x0a4d + 0x00c9 + 0x0a4d + 0x0064 + protocol + length).toString(16).padStart(4, "0");

test("an unfinished TCP checksum is finished", () => {
  const packet = packetOf(6, `9c40005000000001000000005002faf0${pseudoSum(6, 23)}0000616263`);
  finishChecksum(packet);
  expect(residue(packet)).toBe(0);
});

test("an unfinished UDP checksum is finished, also of an odd length", () => {
  for (const data of ["", "61", "616263646566"]) {
    const length = 8 + data.length / 2;
    const lengthHex = length.toString(16).padStart(4, "0");
    const packet = packetOf(17, `9c400050${lengthHex}${pseudoSum(17, length)}${data}`);
    finishChecksum(packet);
    expect(residue(packet)).toBe(0);
  }
});

test("a UDP checksum that comes out as 0 is sent as ffff", () => {
  const packet = packetOf(17, `9c400050000a${pseudoSum(17, 10)}0000`);
  const sumOfRest = 0x9c40 + 0x0050 + 0x000a + Number.parseInt(pseudoSum(17, 10), 16);
  packet.writeUInt16BE(0xffff - sumOfRest, 28);
  finishChecksum(packet);
  expect(packet.readUInt16BE(26)).toBe(0xffff);
});

test.each([
  ["a wrong TCP checksum", packetOf(6, "9c40005000000001000000005002faf0dead0000")],
  ["a UDP datagram without a checksum", packetOf(17, "9c40005000080000")],
  ["a first fragment", packetOf(17, `9c4000500008${pseudoSum(17, 8)}`, "2000")],
  ["a later fragment", packetOf(17, `9c4000500008${pseudoSum(17, 8)}`, "0003")],
  ["a protocol that no NIC finishes", packetOf(132, "9c400050000a0000ffff")],
  ["a packet that ends before its checksum", packetOf(6, "9c400050")],
])("%s stays as it is", (_what, packet) => {
  const before = Buffer.from(packet);
  finishChecksum(packet);
  expect(packet).toEqual(before);
});
