import { describe, expect, it } from "vitest";
import { MAX_RECORD_BYTES } from "../../src/pcap/record.ts";
import { fixture, readAll } from "../support/captures/pcap-streams.ts";
import { PcapngWriter } from "../support/captures/pcapng-blocks.ts";

const little = new PcapngWriter("little");
const data = Uint8Array.of(1, 2, 3, 4, 5);

/** A section with one Ethernet interface, then the given blocks. */
function section(...blocks: readonly Uint8Array[]): Buffer {
  return Buffer.concat([little.sectionHeader(), little.interface(1), ...blocks]);
}

/** Where the first block after the section header (28) and the interface (20) begins. */
const FIRST = 48;

describe("pcapng", () => {
  for (const byteOrder of ["little", "big"] as const) {
    it(`reads ${byteOrder}-endian sections with every kind of packet block`, async () => {
      const writer = new PcapngWriter(byteOrder);
      const octets = Buffer.concat([
        writer.sectionHeader(),
        writer.interface(1, 4),
        writer.interface(113),
        writer.block(4, new Uint8Array(10)), // name resolution: passed over
        writer.enhancedPacket({ data, interfaceIndex: 1, ticks: (1n << 32n) + 5n, originalLength: 99 }),
        writer.block(0x80000bad, new Uint8Array(4000)), // a vendor's own
        writer.simplePacket(data.subarray(0, 4), 9),
        writer.obsoletePacket(data, 1),
        writer.enhancedPacket({ data }, [{ code: 2, value: Uint8Array.of(0, 0, 0, 1) }]),
      ]);
      for (const chunkSize of [1, 5, 64, octets.length]) {
        const { records, warnings } = await readAll(octets, chunkSize);
        expect(warnings).toEqual([]);
        expect(records).toEqual([
          {
            timestampNs: ((1n << 32n) + 5n) * 1000n,
            capturedLength: 5,
            originalLength: 99,
            linkType: 113,
            interfaceIndex: 1,
            data,
          },
          // The snap length of interface 0 says how much of a simple packet was captured.
          {
            timestampNs: 0n,
            capturedLength: 4,
            originalLength: 9,
            linkType: 1,
            interfaceIndex: 0,
            data: data.subarray(0, 4),
          },
          {
            timestampNs: 1_000_000_000n,
            capturedLength: 5,
            originalLength: 5,
            linkType: 113,
            interfaceIndex: 1,
            data,
          },
          { timestampNs: 0n, capturedLength: 5, originalLength: 5, linkType: 1, interfaceIndex: 0, data },
        ]);
      }
    });
  }

  it("starts over with byte order and interfaces in every section", async () => {
    const big = new PcapngWriter("big");
    const octets = Buffer.concat([
      section(little.enhancedPacket({ data })),
      big.sectionHeader(),
      big.interface(276),
      big.enhancedPacket({ data }),
    ]);
    expect((await readAll(octets)).records.map((record) => record.linkType)).toEqual([1, 276]);
  });

  it("reads what Wireshark's editcap wrote as it reads tcpdump's own file", async () => {
    const pcapng = await readAll(fixture("ethernet.pcapng"));
    expect(pcapng).toEqual(await readAll(fixture("ethernet.pcap")));
  });

  const resolutions = [
    { name: "microseconds by default", options: [], ticks: 1_500_000n, ns: 1_500_000_000n },
    { name: "10^-9", options: [{ code: 9, value: Uint8Array.of(9) }], ticks: 123n, ns: 123n },
    { name: "10^-3", options: [{ code: 9, value: Uint8Array.of(3) }], ticks: 123n, ns: 123_000_000n },
    { name: "10^-12", options: [{ code: 9, value: Uint8Array.of(12) }], ticks: 123_456n, ns: 123n },
    { name: "2^-10", options: [{ code: 9, value: Uint8Array.of(0x8a) }], ticks: 512n, ns: 500_000_000n },
    { name: "10^-127, absurd", options: [{ code: 9, value: Uint8Array.of(127) }], ticks: 1n, ns: 0n },
    {
      name: "an offset of seconds, after options to pass over",
      options: [
        { code: 2, value: Buffer.from("eth0") },
        { code: 14, value: Uint8Array.of(10, 0, 0, 0, 0, 0, 0, 0) },
      ],
      ticks: 1n,
      ns: 10_000_001_000n,
    },
    {
      name: "a negative offset",
      options: [{ code: 14, value: new Uint8Array(8).fill(255) }],
      ticks: 2_000_000n,
      ns: 1_000_000_000n,
    },
  ];
  for (const { name, options, ticks, ns } of resolutions) {
    it(`counts time in ${name}`, async () => {
      const octets = Buffer.concat([
        little.sectionHeader(),
        little.interface(1, 0, options),
        little.enhancedPacket({ data, ticks }),
      ]);
      expect((await readAll(octets)).records[0]?.timestampNs).toBe(ns);
    });
  }
});

describe("a pcapng that is cut off", () => {
  it("yields what was whole and warns, wherever the cut is", async () => {
    const packet = little.enhancedPacket({ data });
    const octets = section(packet, little.block(4, new Uint8Array(8)), packet);
    const boundaries = [28, FIRST, FIRST + packet.length, FIRST + packet.length + 20, octets.length];
    for (let length = 28; length <= octets.length; length++) {
      const { records, warnings } = await readAll(octets.subarray(0, length));
      expect(records).toHaveLength(length === octets.length ? 2 : length >= FIRST + packet.length ? 1 : 0);
      expect(warnings).toHaveLength(boundaries.includes(length) ? 0 : 1);
    }
  });

  it("is refused when its first section header is not whole", async () => {
    for (let length = 4; length < 28; length++) {
      await expect(readAll(section().subarray(0, length))).rejects.toThrow("inside its first section header");
    }
  });

  it("takes a block that claims the rest of the world for cut off, without a buffer for it", async () => {
    const { records, warnings } = await readAll(
      section(little.enhancedPacket({ data }), little.block(0xbad, new Uint8Array(4), { first: 0xfffffffc })),
    );
    expect(records).toHaveLength(1);
    expect(warnings[0]?.message).toContain(`inside the block at byte ${FIRST + 40}`);
  });
});

describe("pcapng lengths that lie", () => {
  const cases = [
    {
      name: "a block shorter than its own framing",
      octets: section(little.block(4, new Uint8Array(4), { first: 8 })),
      says: `byte ${FIRST + 4}: the block claims a length of 8`,
    },
    {
      name: "a length of 0, which would never end",
      octets: section(little.block(4, new Uint8Array(4), { first: 0 })),
      says: `byte ${FIRST + 4}: the block claims a length of 0`,
    },
    {
      name: "a length that is no multiple of 4",
      octets: section(little.block(4, new Uint8Array(4), { first: 17 })),
      says: "expected a multiple of 4",
    },
    {
      name: "a packet block too short for its fields",
      octets: section(little.block(6, new Uint8Array(16))),
      says: "the packet block claims a length of 28",
    },
    {
      name: "an interface block too short for its fields",
      octets: Buffer.concat([little.sectionHeader(), little.block(1, new Uint8Array(4))]),
      says: "byte 32: the interface block claims a length of 16",
    },
    {
      name: "a section header too short for its fields",
      octets: Buffer.concat([little.uint32(0x0a0d0d0a, 16, 0x1a2b3c4d, 16)]),
      says: "the section header claims a length of 16",
    },
    {
      name: "two lengths that differ",
      octets: section(little.block(4, new Uint8Array(4), { last: 20 })),
      says: `byte ${FIRST + 12}: the block at byte ${FIRST} claims a length of 16 at its start and 20 at its end`,
    },
    {
      name: "more captured than the block holds",
      octets: section(little.enhancedPacket({ data, capturedLength: 9, originalLength: 9 })),
      says: `byte ${FIRST}: the packet claims 9 captured octets in a block that has room for 8`,
    },
    {
      name: "more captured than there was on the wire",
      octets: section(little.enhancedPacket({ data, originalLength: 4 })),
      says: "5 captured octets of a frame of 4",
    },
    {
      name: "a simple packet longer than its block",
      octets: section(little.simplePacket(data, 5000)),
      says: "room for 8",
    },
    {
      name: "more captured than any capture holds",
      octets: section(little.enhancedPacket({ data: new Uint8Array(MAX_RECORD_BYTES + 1) })),
      says: `more than any capture holds (${MAX_RECORD_BYTES})`,
    },
    {
      name: "an interface that was never described",
      octets: section(little.enhancedPacket({ data, interfaceIndex: 1 })),
      says: `byte ${FIRST + 8}: the packet names interface 1, and its section has described 1 so far`,
    },
    {
      name: "an interface option that reaches beyond its block",
      octets: Buffer.concat([
        little.sectionHeader(),
        little.block(1, Buffer.concat([little.uint32(1, 0), little.uint16(2, 60_000)])),
      ]),
      says: "byte 44: an interface option claims 60000 octets",
    },
  ];
  for (const { name, octets, says } of cases) {
    it(`refuses ${name}`, async () => {
      const failure = readAll(octets);
      await expect(failure).rejects.toThrow(says);
      await expect(failure).rejects.toMatchObject({ code: "CLUSTERIP_BAD_CAPTURE" });
    });
  }

  it("refuses a section without byte order, or of another version", async () => {
    const damaged = Buffer.from(section());
    damaged[8] = 0;
    await expect(readAll(damaged)).rejects.toThrow("byte 8: the section header has no byte-order magic");
    await expect(readAll(little.sectionHeader(2))).rejects.toThrow("byte 12: it says pcapng version 2");
  });

  it("refuses interfaces without end", async () => {
    const octets = Buffer.concat([
      little.sectionHeader(),
      ...new Array<Uint8Array>(65_537).fill(little.interface(1)),
    ]);
    await expect(readAll(octets)).rejects.toThrow("more than 65536 interfaces");
  });
});
