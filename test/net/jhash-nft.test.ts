/**
 * A second opinion from the running kernel: nft's `jhash` computes CLUSTERIP's buckets when the
 * source address is byte-swapped.
 *
 *     client1 ── 10,000 UDP frames ──> node1: nft at ingress counts them by the bucket it computes
 *
 * Why they correspond (kernel: net/netfilter/nft_hash.c, include/linux/jhash.h):
 *  - nft lays the parts of a concatenation one after the other, each padded with zeros to four
 *    octets, and takes `jhash()` over these octets. For 4, 8 or 12 octets that is one `final`
 *    mix over words read little-endian, started with length + JHASH_INITVAL + seed: the same as
 *    `jhash_1word`, `_2words` and `_3words`, whose `words << 2` is that length.
 *  - A port, two octets on the wire and two zeros, read little-endian: CLUSTERIP's port word.
 *  - An address, four octets on the wire, read little-endian: CLUSTERIP takes it in host order,
 *    so on little-endian machines the octets have to be turned round. A rule cannot do that,
 *    hence no nft rule replaces CLUSTERIP; this test sends frames whose address is turned round.
 *  - `mod N` is no modulo but `reciprocal_scale(hash, N)`, and `offset 1` makes it 1 to N.
 *
 * Each frame carries, after its UDP header, the bucket that the library gives it under each of
 * the settings, so that nft compares frame by frame.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { bucketOf, type HashMode, type HashSettings, protocolNumbers } from "../../src/core/bucket.ts";
import { formatIpv4 } from "../../src/core/ipv4.ts";
import { buildFrame } from "../../src/verdict-table/build-frame.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { NIC } from "../support/lab/host.ts";
import { Lab } from "../support/lab/lab.ts";
import { sendFrames } from "../support/traffic/traffic.ts";
import { Random } from "../support/verdict/differential-frames.ts";

const FRAMES = 10_000;
const UDP_HEADER_BITS = 64;

const words: Record<HashMode, string> = {
  sourceip: "ip saddr",
  "sourceip-sourceport": "ip saddr . udp sport",
  "sourceip-sourceport-destport": "ip saddr . udp sport . udp dport",
};

const settings: readonly HashSettings[] = Object.keys(words).flatMap((mode) => [
  { hashMode: mode as HashMode, bucketCount: 2, hashInit: 0 },
  { hashMode: mode as HashMode, bucketCount: 7, hashInit: 1 },
  { hashMode: mode as HashMode, bucketCount: 16, hashInit: 0xdeadbeef },
]);

interface Agreement {
  /** by bucket - 1 */
  agree: number[];
  differ: number[];
}

describeNet("nft's jhash", {}, () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1, clients: 1 });
  });
  afterAll(async () => {
    await lab.close();
  });

  it(`gives the library's bucket to each of ${FRAMES} frames, in every mode`, async () => {
    const node = lab.node(1);
    await node.exec(["nft", "-f", "-"], { input: renderRules() });
    const random = new Random(0x6a68_6173);
    const expected = settings.map(({ bucketCount }) => new Array<number>(bucketCount).fill(0));
    const frames = Array.from({ length: FRAMES }, () => {
      const flow = randomFlow(random);
      const buckets = settings.map((each) => bucketOf(flow, each));
      for (const [index, bucket] of buckets.entries()) {
        const counts = expected[index] ?? [];
        counts[bucket - 1] = (counts[bucket - 1] ?? 0) + 1;
      }
      return frameOf(flow, buckets);
    });
    await sendFrames(lab.client(), frames);
    const listing = await node.exec(["nft", "-j", "list", "table", "netdev", "opinion"]);
    expect(readCounters(listing)).toEqual(expected.map((agree) => ({ agree, differ: agree.map(() => 0) })));
  });
});

interface UdpFlow {
  readonly protocol: number;
  readonly saddrHost: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

function randomFlow(random: Random): UdpFlow {
  return {
    protocol: protocolNumbers.udp,
    saddrHost: random.word(),
    sourcePort: random.number(65_535),
    destinationPort: random.number(65_535),
  };
}

/** The flow's frame with its source address turned round, and the library's buckets as payload. */
function frameOf(flow: UdpFlow, buckets: readonly number[]): Uint8Array {
  const { saddrHost, sourcePort, destinationPort } = flow;
  const turned = new DataView(new ArrayBuffer(4));
  turned.setUint32(0, saddrHost, true);
  const source = formatIpv4(turned.getUint32(0));
  const udp = `udp ${sourcePort} > ${destinationPort} no-checksum / data ${buckets.length}`;
  const { frame } = buildFrame(`eth to broadcast / ipv4 ${source} > vip / ${udp}`, 0xc000_0264);
  frame.set(buckets, frame.length - buckets.length);
  return frame;
}

/** Two rules a bucket: nft's bucket is K and the frame says K; nft's is K and the frame says another. */
function renderRules(): string {
  const rules = settings.flatMap(({ hashMode, bucketCount, hashInit }, index) =>
    Array.from({ length: bucketCount }, (_, bucket) => {
      const hash = `jhash ${words[hashMode]} mod ${bucketCount} seed ${hashInit} offset 1`;
      const told = `@th,${UDP_HEADER_BITS + 8 * index},8`;
      const nth = `${hash} ${bucket + 1}`;
      return [
        `    ${nth} ${told} ${bucket + 1} counter comment "${index} agree ${bucket}"`,
        `    ${nth} ${told} != ${bucket + 1} counter comment "${index} differ ${bucket}"`,
      ];
    }).flat(),
  );
  return [
    "table netdev opinion {",
    "  chain input {",
    `    type filter hook ingress device "${NIC}" priority 0; policy accept;`,
    "    ip daddr != 192.0.2.100 accept",
    "    meta l4proto != udp accept",
    ...rules,
    "  }",
    "}",
    "",
  ].join("\n");
}

interface NftListing {
  nftables: { rule?: { comment?: string; expr: { counter?: { packets: number } }[] } }[];
}

function readCounters(json: string): Agreement[] {
  const result = settings.map((): Agreement => ({ agree: [], differ: [] }));
  for (const { rule } of (JSON.parse(json) as NftListing).nftables) {
    const match = /^(\d+) (agree|differ) (\d+)$/.exec(rule?.comment ?? "");
    const packets = rule?.expr.find(({ counter }) => counter !== undefined)?.counter?.packets;
    if (match === null || packets === undefined) continue;
    const counters = result[Number(match[1])]?.[match[2] as keyof Agreement];
    if (counters !== undefined) counters[Number(match[3])] = packets;
  }
  return result;
}
