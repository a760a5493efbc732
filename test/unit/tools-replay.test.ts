import { createReadStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bucketOf, hashModes } from "../../src/core/bucket.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { type PcapFormat, type PcapFrame, writePcap } from "../../src/pcap/pcap-writer.ts";
import { linkTypes } from "../../src/pcap/record.ts";
import { renderReplay } from "../../src/tools/render-replay.ts";
import { replayCapture } from "../../src/tools/replay.ts";
import type { ReplayProgress } from "../../src/tools/replay-report.ts";
import { FlowTable } from "../../src/tools/replay-tally.ts";
import { fixture, inChunks } from "../support/captures/pcap-streams.ts";

const VIP = parseIpv4("10.77.9.100");
const OTHER_VIP = parseIpv4("10.77.9.101");

/** What test/fixtures/captures/make sends to the virtual IP, but for two later fragments. */
const sent = [
  ...[1, 2, 3, 4, 5, 6, 7, 8].flatMap((host) =>
    [40_000, 40_001, 40_002].map((port) => ({ protocol: 17, host, sourcePort: port, destinationPort: 53 })),
  ),
  { protocol: 17, host: 1, sourcePort: 41_000, destinationPort: 53 },
  { protocol: 6, host: 2, sourcePort: 42_000, destinationPort: 80 },
  { protocol: 1, host: 3, sourcePort: 0, destinationPort: 0 },
].map(({ host, ...flow }) => ({ ...flow, saddrHost: parseIpv4(`10.77.9.${host}`) }));

describe("replayCapture on captures of tcpdump", () => {
  const whole = [
    "ethernet.pcap",
    "ethernet.pcapng",
    "nanosecond-snap64.pcap",
    "cooked-v1.pcap",
    "cooked-v2.pcap",
  ];
  for (const name of whole) {
    it(`finds the virtual IP and shares out the flows of ${name}`, async () => {
      for (const hashMode of hashModes) {
        const settings = { bucketCount: 4, hashMode, hashInit: 99 };
        const flows = [0, 0, 0, 0];
        for (const flow of sent) {
          const index = bucketOf(flow, settings) - 1;
          flows[index] = (flows[index] ?? 0) + 1;
        }
        const replay = await replayCapture({ source: fixture(name), ...settings });
        expect(replay.warnings).toEqual([]);
        expect(replay.total.frames).toBe(75);
        const [found] = replay.virtualIps;
        expect(found?.address).toBe(VIP);
        // One frame a flow was sent; the fragmented datagram has two more without a bucket.
        expect(found?.buckets.map((bucket) => bucket.flows)).toEqual(flows);
        expect(found?.buckets.map((bucket) => bucket.frames)).toEqual(flows);
        expect(found?.everyNode.frames).toBe(2);
        expect(found?.outgoing.frames).toBe(26);
        expect(found?.nodes.map((node) => node.accepted.frames)).toEqual(flows.map((count) => count + 2));
        expect(found?.nodes.map((node) => node.foreign.frames)).toEqual(flows.map((count) => 27 - count));
        expect(Object.fromEntries(replay.reasons.map(({ reason, frames }) => [reason, frames]))).toEqual({
          "local-bucket": 27,
          "later-fragment": 2,
          "not-ipv4": 18,
          "other-address": 2,
        });
      }
    });
  }

  it("does not guess what a short snap length has cut off", async () => {
    const replay = await replayCapture({ source: fixture("snap36.pcap"), bucketCount: 3 });
    expect(replay.cut.frames).toBe(27);
    expect(replay.virtualIps[0]?.everyNode.frames).toBe(2);
    expect(replay.warnings).toEqual([expect.stringContaining("tcpdump -s 0")]);
    // The source address is whole, but ports that are not there cannot be known to be no matter.
    const byAddress = await replayCapture({
      source: fixture("snap36.pcap"),
      bucketCount: 3,
      hashMode: "sourceip",
    });
    expect(byAddress.cut.frames).toBe(27);
  });

  it("judges raw IP once it is told the virtual IP", async () => {
    const source = fixture("raw.pcap");
    await expect(replayCapture({ source, bucketCount: 2 })).rejects.toMatchObject({
      code: "CLUSTERIP_BAD_CAPTURE",
      message: expect.stringContaining("The destinations are 10.77.9.100 (10)."),
    });
    const replay = await replayCapture({ source, bucketCount: 2, virtualIps: [VIP] });
    expect(replay.virtualIps[0]?.buckets.reduce((sum, bucket) => sum + bucket.flows, 0)).toBe(10);
    expect(replay.isVirtualIpGiven).toBe(true);
  });

  it("gives the buckets of a node that is down to the survivors", async () => {
    const replay = await replayCapture({ source: fixture("ethernet.pcap"), bucketCount: 3, down: [2] });
    const [first, second, third] = replay.virtualIps[0]?.nodes ?? [];
    expect(first?.buckets).toEqual([1, 2]);
    expect(second).toMatchObject({ isDown: true, flows: 0, accepted: { frames: 0 }, foreign: { frames: 0 } });
    expect((first?.flows ?? 0) + (third?.flows ?? 0)).toBe(27);
  });

  it("reports progress, twice through a file that has to be searched first", async () => {
    const progress: ReplayProgress[] = [];
    const onProgress = (step: ReplayProgress): number => progress.push(step);
    await replayCapture({ source: fixture("ethernet.pcap"), bucketCount: 2, onProgress });
    expect(progress.map(({ phase }) => phase)).toEqual(["find-virtual-ip", "judge"]);
    expect(progress.every(({ bytesRead, bytesTotal }) => bytesRead === bytesTotal)).toBe(true);
  });

  it("reads a pipe, for which the virtual IP must be given", async () => {
    const piped = () => createReadStream(fixture("ethernet.pcap"), { highWaterMark: 1000 });
    await expect(replayCapture({ source: piped(), bucketCount: 2 })).rejects.toMatchObject({
      code: "CLUSTERIP_USAGE",
    });
    const progress: ReplayProgress[] = [];
    const replay = await replayCapture({
      source: piped(),
      bucketCount: 2,
      virtualIps: [VIP],
      onProgress: (step) => progress.push(step),
    });
    expect(replay.total.frames).toBe(75);
    expect(progress.length).toBeGreaterThan(5);
    expect(progress.at(-1)).toMatchObject({ phase: "judge", bytesTotal: undefined });
  });
});

interface UdpFrame {
  readonly to: number;
  readonly from?: string;
  readonly port?: number;
  readonly mac?: readonly number[];
  /** What the IPv4 header says, if not the truth. */
  readonly totalLength?: number;
}

/** An Ethernet frame with an empty UDP datagram, to a cluster MAC unless told otherwise. */
function udp({ to, from = "198.51.100.7", port = 40_000, mac, totalLength = 28 }: UdpFrame): PcapFrame {
  const data = new Uint8Array(42);
  const view = new DataView(data.buffer);
  data.set(mac ?? [0x01, 0, 0x5e, 0x7f, 0, 1]);
  data.set([2, 0, 0, 0, 0, 9, 0x08, 0, 0x45], 6);
  view.setUint16(16, totalLength);
  data.set([64, 17], 22);
  view.setUint32(26, parseIpv4(from));
  view.setUint32(30, to);
  view.setUint16(34, port);
  view.setUint16(36, 53);
  view.setUint16(38, 8);
  return { data };
}

describe("replayCapture on frames made for it", () => {
  let directory = "";
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "clusterip-replay-"));
  });
  afterAll(() => rm(directory, { recursive: true }));

  async function capture(frames: readonly PcapFrame[], format: PcapFormat = {}): Promise<string> {
    const path = join(directory, "capture.pcap");
    await writeFile(path, writePcap(frames, format));
    return path;
  }

  it("lists the candidates when several addresses are sent to a multicast MAC", async () => {
    const source = await capture([udp({ to: VIP }), udp({ to: OTHER_VIP }), udp({ to: OTHER_VIP })]);
    await expect(replayCapture({ source, bucketCount: 2 })).rejects.toThrow(
      "say with --vip which are meant: 10.77.9.101 (2), 10.77.9.100 (1).",
    );
  });

  it("takes neither multicast addresses nor broadcast frames for a virtual IP", async () => {
    const broadcast = [255, 255, 255, 255, 255, 255];
    const source = await capture([
      udp({ to: parseIpv4("224.0.0.251") }),
      udp({ to: parseIpv4("10.77.9.255"), mac: broadcast }),
      udp({ to: VIP }),
    ]);
    expect((await replayCapture({ source, bucketCount: 2 })).virtualIps[0]?.address).toBe(VIP);
  });

  it("says when there is no traffic at all", async () => {
    const source = await capture([]);
    await expect(replayCapture({ source, bucketCount: 2 })).rejects.toThrow("there is no other IPv4 traffic");
    const replay = await replayCapture({ source, bucketCount: 2, virtualIps: [VIP] });
    expect(replay).toMatchObject({ firstNs: undefined, total: { frames: 0 } });
    expect(replay.warnings).toEqual(["The capture holds nothing that a node would accept for 10.77.9.100."]);
    expect(renderReplay(replay)).toContain("No frame was judged.");
  });

  it("judges several virtual IPs each for itself", async () => {
    const source = await capture([udp({ to: VIP }), udp({ to: OTHER_VIP }), udp({ to: OTHER_VIP, port: 1 })]);
    const replay = await replayCapture({ source, bucketCount: 1, virtualIps: [VIP, OTHER_VIP, VIP] });
    expect(replay.virtualIps.map((virtualIp) => virtualIp.buckets[0]?.flows)).toEqual([1, 2]);
  });

  it("does not judge what the virtual IP sends, also where that is all there is", async () => {
    const source = await capture([udp({ to: parseIpv4("198.51.100.7"), from: "10.77.9.100" })]);
    const replay = await replayCapture({ source, bucketCount: 2, virtualIps: [VIP] });
    expect(replay.virtualIps[0]?.outgoing).toEqual({ frames: 1, bytes: 42 });
    expect(replay.reasons).toEqual([]);
    expect(replay.warnings).toEqual([expect.stringContaining("holds replies of 10.77.9.100 and nothing")]);
  });

  it("counts a flow once and its frames each time", async () => {
    const source = await capture([udp({ to: VIP }), udp({ to: VIP }), udp({ to: VIP, port: 2 })]);
    const replay = await replayCapture({ source, bucketCount: 1 });
    expect(replay.virtualIps[0]?.buckets).toEqual([{ bucket: 1, node: 1, flows: 2, frames: 3, bytes: 126 }]);
  });

  it("says when it has stopped telling flows apart", async () => {
    const source = await capture([1, 2, 3].map((port) => udp({ to: VIP, port })));
    const replay = await replayCapture({ source, bucketCount: 1, maxFlows: 2 });
    expect(replay.virtualIps[0]?.buckets[0]).toMatchObject({ flows: 2, frames: 3 });
    expect(replay.flowsAreComplete).toBe(false);
    expect(replay.warnings).toEqual([expect.stringContaining("lower bounds")]);
  });

  it("counts ICMP errors in the bucket of the flow inside them, and not as flows", async () => {
    const inner = udp({ to: parseIpv4("198.51.100.7"), from: "10.77.9.100", port: 53 }).data.subarray(14);
    const error = Buffer.concat([
      udp({ to: VIP, totalLength: 56 }).data.subarray(0, 34),
      Buffer.alloc(8),
      inner,
    ]);
    error.set([1], 23); // protocol
    error.set([3, 4], 34); // destination unreachable, fragmentation needed
    const source = await capture([{ data: error }]);
    const replay = await replayCapture({ source, bucketCount: 16 });
    const settings = { bucketCount: 16, hashMode: "sourceip-sourceport", hashInit: 0 } as const;
    const flow = { protocol: 17, saddrHost: parseIpv4("198.51.100.7"), sourcePort: 53, destinationPort: 53 };
    const bucket = replay.virtualIps[0]?.buckets[bucketOf(flow, settings) - 1];
    expect(bucket).toMatchObject({ frames: 1, flows: 0 });
  });

  it("tells a length that lies on the wire from one that the capture cut", async () => {
    const cutFrame = udp({ to: VIP, totalLength: 1000 });
    const source = await capture([
      { ...cutFrame, originalLength: 1014 },
      { ...cutFrame, originalLength: 1013 },
      udp({ to: VIP, totalLength: 1000 }),
    ]);
    const replay = await replayCapture({ source, bucketCount: 2 });
    const counts = Object.fromEntries(replay.reasons.map(({ reason, frames }) => [reason, frames]));
    expect(counts).toEqual({ "local-bucket": 1, "ipv4-total-length": 2 });
  });

  it("says which link types it does not understand", async () => {
    const source = await capture([udp({ to: VIP })], { linkType: 105 });
    const replay = await replayCapture({ source, bucketCount: 2, virtualIps: [VIP] });
    expect(replay.unsupported.frames).toBe(1);
    expect(replay.warnings[0]).toContain("1 frame of link type 105 could not be read");
    expect(renderReplay(replay)).toContain("not judged: The link type is not understood.");
  });

  /** A SLL2 record of the same packet, seen on an interface and addressed in a way. */
  function cooked(ifindex: number, packetType: number): PcapFrame {
    const header = [8, 0, 0, 0, 0, 0, 0, ifindex, 0, 1, packetType, 6, 0, 0, 0, 0, 0, 0, 0, 0];
    return { data: Buffer.concat([Uint8Array.from(header), udp({ to: VIP }).data.subarray(14)]) };
  }

  it("warns when frames to the virtual IP were seen on two interfaces", async () => {
    const source = await capture([cooked(2, 2), cooked(5, 0)], { linkType: linkTypes.linuxSll2 });
    const replay = await replayCapture({ source, bucketCount: 2 });
    expect(replay.warnings).toEqual([expect.stringContaining("captured on 2 interfaces")]);
  });

  it("leaves frames to another host's own MAC to that host", async () => {
    const source = await capture([cooked(2, 2), cooked(2, 3)], { linkType: linkTypes.linuxSll2 });
    const replay = await replayCapture({ source, bucketCount: 2 });
    expect(replay.reasons.map(({ reason }) => reason)).toEqual(["local-bucket", "other-host"]);
  });

  it("warns of a capture that is cut off and refuses one that is damaged", async () => {
    const octets = Buffer.from(writePcap([udp({ to: VIP }), udp({ to: VIP })]));
    const request = { bucketCount: 2, virtualIps: [VIP] };
    const replay = await replayCapture({
      source: inChunks(octets.subarray(0, octets.length - 1)),
      ...request,
    });
    expect(replay.total.frames).toBe(1);
    expect(replay.warnings).toEqual([expect.stringContaining("was cut off: the record at byte 82")]);
    octets.writeUInt32LE(0x7fffffff, 82 + 8);
    await expect(replayCapture({ source: inChunks(octets), ...request })).rejects.toThrow(
      "damaged at byte 90",
    );
  });
});

describe("FlowTable", () => {
  it("stops remembering at its limit and says so", () => {
    const table = new FlowTable(2);
    expect(["a", "a", "b", "b"].map((key) => table.isNew(key))).toEqual([true, false, true, false]);
    expect(table.isComplete).toBe(true);
    expect([table.isNew("c"), table.isNew("a"), table.isComplete]).toEqual([false, false, false]);
  });
});
