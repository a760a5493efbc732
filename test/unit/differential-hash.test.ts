/** The hash alone, on random flows: its words, TypeScript against native, and the edges of buckets. */
import { expect, test } from "vitest";
import {
  bucketOf,
  bucketOfHash,
  type Flow,
  type HashSettings,
  hashModes,
  hashOf,
  hashWords,
  portsOffset,
  portWireLittleEndian,
} from "../../src/core/bucket.ts";
import { jhash1word, jhash2words, jhash3words } from "../../src/core/jhash.ts";
import { Random } from "../support/verdict/differential-frames.ts";
import { loadTrial } from "../support/verdict/native-trial.ts";

const FLOWS = 20_000;

function* randomFlows(): Generator<{ readonly flow: Flow; readonly settings: HashSettings }> {
  const random = new Random(0x6861_7368);
  for (let count = 0; count < FLOWS; count += 1) {
    yield {
      flow: {
        protocol: random.chance(70) ? random.pick([6, 17, 33, 50, 51, 132, 136]) : random.below(256),
        saddrHost: random.number(0xffffffff),
        sourcePort: random.number(65_535),
        destinationPort: random.number(65_535),
      },
      settings: {
        hashMode: random.pick(hashModes),
        bucketCount: random.between(1, 16),
        hashInit: random.number(0xffffffff),
      },
    };
  }
}

// One assertion at the end each: thousands of them would be most of the time.
test("the words of a flow are those that are hashed", () => {
  const wrong = [...randomFlows()].filter(({ flow, settings: { hashMode, hashInit } }) => {
    const words = hashWords(flow, hashMode);
    const [a = -1, b = -1, c = -1] = words;
    const hash = [jhash1word(a, hashInit), jhash2words(a, b, hashInit), jhash3words(a, b, c, hashInit)];
    return (
      words.length !== 1 + hashModes.indexOf(hashMode) ||
      hashOf(flow, { hashMode, hashInit }) !== hash[words.length - 1]
    );
  });
  expect(wrong).toEqual([]);
});

test("native finds the same bucket", () => {
  const native = loadTrial();
  const wrong = [...randomFlows()].filter(({ flow, settings }) => {
    const { protocol, saddrHost, sourcePort, destinationPort } = flow;
    const ports = [portWireLittleEndian(sourcePort), portWireLittleEndian(destinationPort)] as const;
    const { hashMode, bucketCount, hashInit } = settings;
    const mode = hashModes.indexOf(hashMode);
    const bucket = native.bucketOf(mode, bucketCount, hashInit, protocol, saddrHost, ...ports);
    return bucket !== bucketOf(flow, settings);
  });
  expect(wrong).toEqual([]);
});

test("port words are the wire's octets read little-endian", () => {
  expect(portWireLittleEndian(40_000)).toBe(0x409c);
  expect(portWireLittleEndian(255)).toBe(0xff00);
  expect(portWireLittleEndian(256)).toBe(0x0001);
});

test("the port table is proto_ports_offset's", () => {
  const offsets = Array.from({ length: 256 }, (_, protocol) => portsOffset(protocol));
  const known = offsets.flatMap((offset, protocol) => (offset === undefined ? [] : [[protocol, offset]]));
  expect(known).toEqual([
    [6, 0],
    [17, 0],
    [33, 0],
    [50, 0],
    [51, 4],
    [132, 0],
    [136, 0],
  ]);
});

test.each([
  [0, 1, 1],
  [0xffffffff, 1, 1],
  [0, 16, 1],
  [0x0fffffff, 16, 1],
  [0x10000000, 16, 2],
  [0xefffffff, 16, 15],
  [0xf0000000, 16, 16],
  [0xffffffff, 16, 16],
  // A third of 2^32 is 0x55555555.55: the first whole number above it is in the next bucket.
  [0x55555555, 3, 1],
  [0x55555556, 3, 2],
  [0xaaaaaaaa, 3, 2],
  [0xaaaaaaab, 3, 3],
])("hash %d of %d nodes is bucket %d", (hash, bucketCount, bucket) => {
  expect(bucketOfHash(hash, bucketCount)).toBe(bucket);
});
