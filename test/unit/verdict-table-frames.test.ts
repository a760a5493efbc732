/** The frame language: the octets that it makes, and how it refuses. */
import { describe, expect, test } from "vitest";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { buildFrame } from "../../src/verdict-table/build-frame.ts";
import { crc32c, internetChecksum } from "../../src/verdict-table/checksums.ts";
import { be16, concat } from "../../src/verdict-table/layer.ts";

const vip = parseIpv4("192.0.2.100");
const build = (description: string) => buildFrame(description, vip).frame;
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const client = "eth to cluster / ipv4 192.168.77.11 > vip";

describe("octets", () => {
  // Compared by eye with RFC 791 and RFC 9293; tcpdump calls both checksums correct.
  test("a TCP SYN", () => {
    const octets = [
      "01005e000264 0200000000c1 0800",
      "4500 0028 0001 0000 4006 aab7 c0a84d0b c0000264",
      "9c40 0050 00000001 00000000 5002 ffff 4339 0000",
    ];
    expect(hex(build(`${client} / tcp 40000 > 80 syn`))).toBe(octets.join("").replaceAll(" ", ""));
  });

  test("every word of an IPv4 header", () => {
    const words = "tos 7 id 0x1234 ttl 9 dont-fragment fragment 16 more proto 200 options 4";
    expect(hex(build(`eth to nic / ipv4 1.2.3.4 > 5.6.7.8 ${words}`).subarray(14))).toMatch(
      /^46070018123460020[9]c8....0102030405060708010101{0,1}/,
    );
  });

  test("lies about lengths and version", () => {
    const frame = build(`${client} version 6 header-length 24 total-length 2000 proto 253`);
    expect(hex(frame.subarray(14, 18))).toBe("660007d0");
  });

  test("tags, EtherTypes and priorities", () => {
    expect(hex(build("eth to broadcast / qinq 100 / vlan 5 priority 7 type 0x1234 / data 2"))).toBe(
      "ffffffffffff0200000000c188a800648100e00512340001",
    );
    expect(hex(build("eth to nic type 0x88cc / data 3").subarray(12))).toBe("88cc000102");
  });

  test("an ARP request and IPv6", () => {
    expect(hex(build("eth to broadcast / arp who-has vip from 192.0.2.7").subarray(12))).toBe(
      "080600010800060400010200000000c1c0000207000000000000c0000264",
    );
    expect(build("eth to nic / ipv6").length).toBe(14 + 40);
  });

  test("padding, cutting and octets as they are", () => {
    expect(build(`${client} / udp 1 > 2 / pad to 60`).length).toBe(60);
    expect(build(`${client} / udp 1 > 2 / pad to 10`).length).toBe(42);
    expect(build(`${client} / udp 1 > 2 / pad to 60 / cut at 50`).length).toBe(50);
    expect(buildFrame("hex broadcast 00ff10", vip)).toEqual({
      frame: Uint8Array.of(0, 255, 16),
      packetType: "broadcast",
    });
    expect(build("hex otherHost").length).toBe(0);
  });

  test("what is quoted keeps the lengths of the whole packet", () => {
    const error = build(
      `${client} / icmp unreachable frag-needed quoting 28 / ipv4 vip > 192.168.77.11 / tcp 80 > 1 / data 60`,
    );
    expect(error.length).toBe(14 + 20 + 8 + 28);
    expect(hex(error.subarray(34, 36))).toBe("0304");
    expect(hex(error.subarray(44, 46))).toBe("0064");
  });

  test("ICMP by number", () => {
    expect(hex(build(`${client} / icmp type 200 code 3`).subarray(34, 36))).toBe("c803");
  });
});

describe("checksums", () => {
  const pseudoHeader = (frame: Uint8Array) =>
    concat(frame.subarray(26, 34), be16(frame[23] ?? 0, frame.length - 34));

  test.each(["tcp", "udp", "udplite", "dccp"])("a receiver finds those of %s correct", (name) => {
    const frame = build(`${client} / ${name} 40000 > 80 / data 11`);
    expect(internetChecksum(concat(frame.subarray(14, 34)))).toBe(0);
    expect(internetChecksum(pseudoHeader(frame), concat(frame.subarray(34)))).toBe(0);
  });

  test("and those of ICMP", () => {
    expect(internetChecksum(concat(build(`${client} / icmp echo-request / data 9`).subarray(34)))).toBe(0);
  });

  test("and that of SCTP, little-endian at offset 8", () => {
    expect(crc32c(concat(Buffer.from("123456789")))).toBe(0xe3069283); // the check value of CRC-32C
    const segment = concat(build(`${client} / sctp 1 > 2 / data 5`).subarray(34));
    const told = new DataView(segment.buffer).getUint32(8, true);
    segment.fill(0, 8, 12);
    expect(crc32c(segment)).toBe(told);
  });

  test("a UDP checksum of 0 is sent as 0xffff, because 0 means none", () => {
    // The destination port takes the value at which the sum of the rest is 0xffff.
    const sum = (port: number) => build(`${client} / udp 1 > ${port}`).subarray(40, 42);
    const base = (build(`${client} / udp 1 > 0`)[40] ?? 0) * 256 + (build(`${client} / udp 1 > 0`)[41] ?? 0);
    expect(hex(sum(base))).toBe("ffff");
  });

  test("are wrong or missing when asked for, and 0 in fragments", () => {
    const udp = `${client} / udp 1 > 2`;
    expect(hex(build(`${udp} no-checksum`).subarray(40, 42))).toBe("0000");
    expect(hex(build(`${udp} bad-checksum`).subarray(40, 42))).not.toBe(hex(build(udp).subarray(40, 42)));
    expect(hex(build(`${client} fragment 0 more / udp 1 > 2`).subarray(40, 42))).toBe("0000");
    expect(hex(build(`${client} fragment 0 more / icmp echo-request`).subarray(36, 38))).toBe("0000");
    expect(hex(build(`${client} bad-checksum / udp 1 > 2`).subarray(24, 26))).not.toBe(
      hex(build(udp).subarray(24, 26)),
    );
    expect(hex(build(`${client} / icmp echo-request bad-checksum`).subarray(36, 38))).not.toBe(
      hex(build(`${client} / icmp echo-request`).subarray(36, 38)),
    );
  });
});

describe("refuses", () => {
  test.each([
    ["", "begins with 'eth to …'"],
    ["ipv4 vip > vip", "begins with 'eth to …'"],
    ["eth to nowhere", "expected a destination: cluster, nic, broadcast, other, but there is 'nowhere'"],
    ["eth to nic", "expected a layer on top, or 'type N', but it ends"],
    ["eth to nic / ", "expected a layer, but it ends"],
    ["eth to nic / tpc 1 > 2", "there is no layer 'tpc'; known are eth, vlan"],
    ["eth to nic / constructor", "there is no layer 'constructor'"],
    ["eth to nic / tcp 1 > 2", "at 'tcp 1 > 2': 'tcp' cannot stand here"],
    ["eth to nic / arp who-has vip from vip / data 1", "'data' cannot stand here"],
    [`${client} / udp 1 > 2 / udp 1 > 2`, "'udp' cannot stand here"],
    ["eth to nic / ipv4 1.2.3 > vip", "expected the source, an IPv4 address or 'vip', but there is '1.2.3'"],
    ["eth to nic / ipv4 vip vip", "expected '>', but there is 'vip'"],
    [client, "expected a layer on top, or 'proto N'"],
    [`${client} options 5 proto 1`, "expected octets of options in fours instead of 5"],
    [`${client} options 44 proto 1`, "expected octets of options, a number of 0 to 40, but there is '44'"],
    [`${client} header-length 18 proto 1`, "expected a header length in octets in fours instead of 18"],
    [`${client} fragment 9 proto 1`, "expected an offset of whole 8 octets instead of 9"],
    [`${client} proto tpc`, "expected a protocol by name or, a number of 0 to 255"],
    [`${client} proto`, "expected a protocol by name or"],
    [`${client} proto 1 colour red`, "expected the end, or one of options, tos"],
    [`${client} / tcp 1 > 65536`, "the destination port, a number of 0 to 65535, but there is '65536'"],
    [`${client} / udp 1 > 2 syn`, "expected the end, or one of bad-checksum, no-checksum"],
    [`${client} / icmp pong`, "'type N' or an ICMP type: echo-reply"],
    [`${client} / icmp toString`, "'type N' or an ICMP type"],
    [`${client} / icmp echo-reply / udp 1 > 2`, "'udp' cannot stand here"],
    [`${client} / udp 1 > 2 / cut at 43`, "expected a cut inside the 42 octets"],
    [`${client} / udp 1 > 2 / cut at 4 / data 1`, "'cut' and 'pad' come last"],
    [`${client} / udp 1 > 2 / cut`, "expected 'at', but it ends"],
    [`${client} / udp 1 > 2 / pad to 60 more`, "there is 'more'"],
    ["hex nowhere 00", "'hex' is followed by a packet type: host, broadcast, multicast, otherHost"],
    ["hex host 0", "pairs of digits"],
    ["hex host 0g", "pairs of digits"],
  ])("%j", (description, why) => {
    expect(() => build(description)).toThrow(
      expect.objectContaining({ code: "CLUSTERIP_BAD_FLOW", message: expect.stringContaining(why) }),
    );
    if (description !== "") {
      expect(() => build(description)).toThrow(`The frame '${description.trim()}' cannot be built`);
    }
  });
});
