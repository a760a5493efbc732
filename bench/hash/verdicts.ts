/** Who judges whole frames: a mix of what arrives at a virtual IP, of one's own and of foreign buckets. */
import { classify } from "../../src/core/classify.ts";
import { bucketMask } from "../../src/model/bucket-set.ts";
import { buildFrame } from "../../src/verdict-table/build-frame.ts";
import type { NativeTrial } from "../../test/support/verdict/native-trial.ts";
import type { Contender } from "./contenders.ts";
import { randomFlows } from "./flows.ts";

const VIP = 0xc0000264; // 192.0.2.100
const MULTICAST = 2; // PACKET_MULTICAST of linux/if_packet.h
const target = {
  address: VIP,
  hashMode: "sourceip-sourceport",
  bucketCount: 4,
  hashInit: 0,
  localBuckets: [1],
} as const;

/** Of eight frames: four TCP, two UDP, a ping and a TCP segment behind IP options. */
const kinds = ["tcp", "udp", "tcp", "icmp", "tcp", "udp", "tcp", "options"] as const;

export function verdictFrames(count: number): readonly Uint8Array[] {
  const { saddr, sport } = randomFlows(count);
  return Array.from({ length: count }, (_, i) => {
    const address = saddr[i] ?? 0;
    const from = [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
    const kind = kinds[i % kinds.length];
    const ip = `eth to cluster / ipv4 ${from} > vip${kind === "options" ? " options 12" : ""}`;
    const rest =
      kind === "icmp"
        ? "icmp echo-request / data 32"
        : `${kind === "udp" ? "udp" : "tcp"} ${sport[i] ?? 0} > 80 / data 200`;
    return buildFrame(`${ip} / ${rest}`, VIP).frame;
  });
}

/** @param results gets of every frame whether it is accepted, by every contender in the same way */
export function verdictContenders(
  native: NativeTrial,
  frames: readonly Uint8Array[],
  results: Uint32Array,
): readonly Contender[] {
  const { address, localBuckets, bucketCount, hashInit } = target;
  const judge = new native.Judge([
    {
      addressHost: address,
      hashMode: 1,
      bucketCount,
      hashInit,
      localMask: bucketMask(localBuckets),
    },
  ]);
  const ends = new Uint32Array(frames.length);
  let end = 0;
  for (const [i, frame] of frames.entries()) {
    end += frame.length;
    ends[i] = end;
  }
  const octets = new Uint8Array(Buffer.concat(frames));
  return [
    {
      name: "native-batch",
      title: "native verdict, one call for all",
      run: () => judge.judgeAll(octets, ends, MULTICAST, results),
    },
    {
      name: "native-call",
      title: "native verdict, one call each",
      run: () => {
        for (const [i, frame] of frames.entries()) results[i] = judge.judge(frame, MULTICAST);
      },
    },
    {
      name: "typescript",
      title: "TypeScript, classify()",
      run: () => {
        for (const [i, frame] of frames.entries()) {
          // The native form: the reason, and the bucket above it. Only these two reasons occur.
          const { reason, bucket = 0 } = classify(frame, target, { packetType: "multicast" });
          results[i] = (reason === "local-bucket" ? 0 : 3) | (bucket << 8);
        }
      },
    },
  ];
}
