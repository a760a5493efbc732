import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ClusterIpError } from "../../src/core/errors.ts";
import { pcapFileHeader, pcapRecord, writePcap } from "../../src/pcap/pcap-writer.ts";
import { readCapture } from "../../src/pcap/read-capture.ts";
import { MAX_RECORD_BYTES } from "../../src/pcap/record.ts";
import { fixture, inChunks, readAll } from "../support/captures/pcap-streams.ts";

const frames = [
  { data: Uint8Array.of(1, 2, 3), timestampNs: 1_700_000_000_123_456_000n },
  { data: new Uint8Array(0), timestampNs: 1_700_000_001_000_000_000n, originalLength: 9 },
  { data: new Uint8Array(1500).fill(7), timestampNs: 1_700_000_002_999_999_000n, originalLength: 9000 },
];

/** A pcap of one record whose header says these lengths. */
function withLengths(captured: number, original: number): Uint8Array {
  const octets = Buffer.from(writePcap([{ data: new Uint8Array(60) }]));
  octets.writeUInt32LE(captured, 24 + 8);
  octets.writeUInt32LE(original, 24 + 12);
  return octets;
}

describe("pcap", () => {
  for (const byteOrder of ["little", "big"] as const) {
    for (const timestampUnit of ["microseconds", "nanoseconds"] as const) {
      it(`reads ${byteOrder}-endian files with ${timestampUnit}, in chunks of any size`, async () => {
        const octets = writePcap(frames, { byteOrder, timestampUnit, linkType: 113 });
        for (const chunkSize of [1, 3, 17, 1000, octets.length]) {
          const { records, warnings } = await readAll(octets, chunkSize);
          expect(warnings).toEqual([]);
          expect(records).toEqual(
            frames.map(({ data, timestampNs, originalLength }) => ({
              timestampNs,
              capturedLength: data.length,
              originalLength: originalLength ?? data.length,
              linkType: 113,
              interfaceIndex: 0,
              data,
            })),
          );
        }
      });
    }
  }

  it("keeps single nanoseconds where the file has them", async () => {
    const octets = writePcap([{ data: Uint8Array.of(1), timestampNs: 5_000_000_001n }], {
      timestampUnit: "nanoseconds",
    });
    expect((await readAll(octets)).records[0]?.timestampNs).toBe(5_000_000_001n);
  });

  it("reads a file without records", async () => {
    expect(await readAll(pcapFileHeader())).toEqual({ records: [], warnings: [] });
  });

  it("ignores the frame check sequence flags above the link type", async () => {
    const octets = writePcap([{ data: Uint8Array.of(1) }], { linkType: 0x44000001 });
    expect((await readAll(octets)).records[0]?.linkType).toBe(1);
  });

  it("reads what tcpdump wrote", async () => {
    const expected = {
      "ethernet.pcap": 1,
      "cooked-v1.pcap": 113,
      "cooked-v2.pcap": 276,
      "nanosecond-snap64.pcap": 1,
    };
    for (const [name, linkType] of Object.entries(expected)) {
      const { records, warnings } = await readAll(fixture(name));
      expect(warnings).toEqual([]);
      expect(records).toHaveLength(75);
      expect(new Set(records.map((record) => record.linkType))).toEqual(new Set([linkType]));
    }
    const raw = await readAll(fixture("raw.pcap"));
    expect(raw.records.map((record) => record.linkType)).toEqual(new Array(10).fill(101));
  });

  it("tells captured from original length in a capture with a snap length", async () => {
    const { records } = await readAll(fixture("nanosecond-snap64.pcap"));
    expect(Math.max(...records.map((record) => record.capturedLength))).toBe(64);
    expect(Math.max(...records.map((record) => record.originalLength))).toBe(1514);
    expect(records.some((record) => record.timestampNs % 1000n !== 0n)).toBe(true);
  });
});

describe("a pcap that is cut off", () => {
  it("yields what was whole and warns, wherever the cut is", async () => {
    const octets = writePcap(frames.slice(0, 2).concat({ data: new Uint8Array(5), timestampNs: 0n }));
    const recordEnds = [24 + 19, 24 + 19 + 16, octets.length];
    for (let length = 24; length <= octets.length; length++) {
      const { records, warnings } = await readAll(octets.subarray(0, length));
      expect(records).toHaveLength(recordEnds.filter((end) => end <= length).length);
      const isAtBoundary = length === 24 || recordEnds.includes(length);
      expect(warnings).toHaveLength(isAtBoundary ? 0 : 1);
    }
  });

  it("says where and how much is missing", async () => {
    const octets = writePcap([{ data: new Uint8Array(60) }]);
    const { warnings } = await readAll(octets.subarray(0, octets.length - 10));
    expect(warnings).toEqual([
      {
        offset: 24,
        message:
          "The capture was cut off: the record at byte 24 should hold 60 octets, and the file ends after 50 of them.",
      },
    ]);
  });

  it("is refused when not even the file header is whole", async () => {
    const header = pcapFileHeader();
    for (let length = 4; length < header.length; length++) {
      await expect(readAll(header.subarray(0, length))).rejects.toThrow(/ends inside the file header/);
    }
  });
});

describe("lengths that lie", () => {
  it("refuses more than any capture holds, with the offset and without allocating it", async () => {
    for (const claimed of [MAX_RECORD_BYTES + 1, 0x7fffffff, 0xffffffff]) {
      await expect(readAll(withLengths(claimed, 0xffffffff))).rejects.toThrow(
        `The capture is damaged at byte 32: the record claims ${claimed} captured octets, more than any capture`,
      );
    }
  });

  it("refuses more captured than there was on the wire", async () => {
    await expect(readAll(withLengths(60, 59))).rejects.toThrow(
      "The capture is damaged at byte 32: the record claims 60 captured octets of a frame of 59.",
    );
  });

  it("takes the largest record that is allowed", async () => {
    const { records } = await readAll(writePcap([{ data: new Uint8Array(MAX_RECORD_BYTES) }]));
    expect(records[0]?.capturedLength).toBe(MAX_RECORD_BYTES);
  });
});

describe("what is no capture", () => {
  const cases = [
    { name: "nothing", octets: [], says: "it is empty" },
    { name: "three octets", octets: [0xd4, 0xc3, 0xb2], says: "it ends after 3 octets" },
    { name: "gzip", octets: [0x1f, 0x8b, 8, 0, 0], says: "compressed with gzip" },
    { name: "zstd", octets: [0x28, 0xb5, 0x2f, 0xfd, 0], says: "compressed with zstd" },
    { name: "xz", octets: [0xfd, 0x37, 0x7a, 0x58, 0x5a], says: "compressed with xz" },
    { name: "modified pcap", octets: [0x34, 0xcd, 0xb2, 0xa1, 0], says: "editcap" },
    { name: "text", octets: [0x68, 0x65, 0x6c, 0x6c, 0x6f], says: "it begins with the octets 68656c6c" },
  ];
  for (const { name, octets, says } of cases) {
    it(`says so: ${name}`, async () => {
      const failure = readAll(Uint8Array.from(octets));
      await expect(failure).rejects.toThrow(says);
      await expect(failure).rejects.toMatchObject({ code: "CLUSTERIP_BAD_CAPTURE" });
    });
  }

  it("refuses a version that does not exist", async () => {
    const octets = Buffer.from(pcapFileHeader());
    octets.writeUInt16LE(3, 4);
    await expect(readAll(octets)).rejects.toThrow("byte 4: it says pcap version 3");
  });

  it("names a file that cannot be read", async () => {
    await expect(readAll(fixture("missing.pcap"))).rejects.toMatchObject({
      code: "CLUSTERIP_BAD_CAPTURE",
      message: expect.stringContaining("missing.pcap' cannot be read: ENOENT"),
    });
  });
});

describe("resources", () => {
  it("closes its source when the consumer stops early", async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
      try {
        yield writePcap(frames);
        yield* inChunks(new Uint8Array(1000));
      } finally {
        isClosed = true;
      }
    }
    for await (const _ of readCapture(source())) break;
    expect(isClosed).toBe(true);
  });

  it("reads 256 MB in constant memory", async () => {
    const record = pcapRecord({ data: new Uint8Array(65_000) });
    const repeats = Math.ceil((256 * 1024 * 1024) / record.length);
    async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
      yield pcapFileHeader();
      // Fresh chunks, as a file's are, and not aligned with the records.
      for (let i = 0; i < repeats; i++) yield Uint8Array.from(record);
    }
    let records = 0;
    let mostBytes = 0;
    for await (const { data } of readCapture(source())) {
      records++;
      if (records % 256 === 0 && data.length > 0)
        mostBytes = Math.max(mostBytes, process.memoryUsage().arrayBuffers);
    }
    expect(records).toBe(repeats);
    expect(mostBytes).toBeLessThan(128 * 1024 * 1024);
  });

  it("survives any damage: records, a warning or CLUSTERIP_BAD_CAPTURE, never anything else", async () => {
    const captures = await Promise.all(
      ["ethernet.pcap", "ethernet.pcapng"].map((name) => readFile(fixture(name))),
    );
    const damage = fc.array(fc.tuple(fc.nat(12_000), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...captures),
        damage,
        fc.nat(12_000),
        async (capture, changes, length) => {
          const octets = Buffer.from(capture.subarray(0, Math.max(length, 100)));
          for (const [at, value] of changes) octets[at % octets.length] = value;
          try {
            await readAll(octets, 4096);
          } catch (error) {
            if (!(error instanceof ClusterIpError)) throw error;
            expect(error.code).toBe("CLUSTERIP_BAD_CAPTURE");
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
