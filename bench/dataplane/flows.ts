/** The flows of a flood: chosen so that a node has, or has not, the bucket under the hash of every contender. */
import { bucketOf, formatIpv4, parseIpv4, protocolNumbers } from "../../src/index.ts";
import { ethernetFrame, ipv4Packet, tcpSegment } from "../../test/support/wire/frames.ts";
import { nftBucketOf } from "./contenders/netfilter.ts";

/** As many as the map of flood.bpf.c holds. */
export const FLOWS = 16_384;
const SERVER_PORT = 80;
/** 198.18.0.0/15: the range for benchmarks (RFC 2544). */
const FIRST_SOURCE = parseIpv4("198.18.0.0");
const SOURCES = 2 ** 17;
const FIRST_PORT = 1024;
const PORTS = 65_536 - FIRST_PORT;
/** What a NIC delivers at least, without the checksum. */
const MIN_FRAME = 60;
const SYN = 0x02;

/** An EtherType for local experiments (IEEE 802): no protocol handler takes such a frame. */
const ETHERTYPE_NOBODYS = 0x88b5;

export interface FloodFrames {
  /** the frame of the first flow */
  readonly template: Buffer;
  /** `struct flow` of flood.bpf.c, one after the other */
  readonly flows: Buffer;
}

export interface FloodTarget {
  readonly vip: string;
  readonly clusterMac: string;
  readonly bucketCount: number;
  readonly sourceMac: string;
}

/** Whose frames: those of other nodes' buckets, or those of bucket 1, which the node under test has. */
export type Ownership = "foreign" | "own";

export function floodFrames(target: FloodTarget, ownership: Ownership): FloodFrames {
  const random = xorshift(0x2545f491);
  const records: Buffer[] = [];
  let template: Buffer | undefined;
  while (records.length < FLOWS) {
    const saddrHost = FIRST_SOURCE + (random() % SOURCES);
    const sourcePort = FIRST_PORT + (random() % PORTS);
    const buckets = bucketsOf(saddrHost, sourcePort, target.bucketCount);
    const isOurs = ownership === "own";
    if (buckets.some((bucket) => (bucket === 1) !== isOurs)) continue;
    const frame = synFrame(target, saddrHost, sourcePort);
    template ??= frame;
    records.push(recordOf(frame));
  }
  if (template === undefined) throw new Error("no flows");
  return { template, flows: Buffer.concat(records) };
}

/** The same frame with an EtherType that nobody takes: the way of a frame through the kernel and nothing else. */
export function nobodysFrames(frames: FloodFrames): FloodFrames {
  const template = Buffer.from(frames.template);
  template.writeUInt16BE(ETHERTYPE_NOBODYS, 12);
  return { ...frames, template };
}

/** The bucket under each hash in use: clusteripd's, and that of nft and xt_cluster. */
function bucketsOf(saddrHost: number, sourcePort: number, bucketCount: number): number[] {
  const flow = { protocol: protocolNumbers.tcp, saddrHost, sourcePort, destinationPort: SERVER_PORT };
  const ours = bucketOf(flow, { hashMode: "sourceip-sourceport", totalNodes: bucketCount, hashInit: 0 });
  return [ours, nftBucketOf(saddrHost, bucketCount)];
}

function synFrame(target: FloodTarget, saddrHost: number, sourcePort: number): Buffer {
  const from = formatIpv4(saddrHost);
  const { vip, clusterMac, sourceMac } = target;
  const segment = tcpSegment({ address: from, port: sourcePort }, { address: vip, port: SERVER_PORT }, SYN);
  const packet = ipv4Packet({ from, to: vip, protocol: "tcp" }, segment);
  const frame = ethernetFrame({ from: sourceMac, to: clusterMac }, packet);
  return Buffer.concat([frame, Buffer.alloc(MIN_FRAME - frame.length)]);
}

/** What flood.bpf.c writes into the frame: offsets as there. */
function recordOf(frame: Buffer): Buffer {
  const [source, sourcePort, ipChecksum, tcpChecksum] = [
    frame.subarray(26, 30),
    frame.subarray(34, 36),
    frame.subarray(24, 26),
    frame.subarray(50, 52),
  ];
  return Buffer.concat([source, sourcePort, ipChecksum, tcpChecksum, Buffer.alloc(2)]);
}

/** Marsaglia's xorshift32: the same flows in every run. */
function xorshift(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
