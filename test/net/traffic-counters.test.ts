/**
 * The counters add up: received = accept + foreign + not-ours + malformed + drop on every NIC, and what the owner
 * of a bucket counts as local every other node counts as foreign.
 *
 *     node1 (bucket 1)   node2 (bucket 2)   node3 (bucket 3)        client1
 *          │                   │                  │                    │ ordinary traffic, and raw frames
 *        ══╧═══════════════════╧══════════════════╧════════════════════╧══
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StatusBody } from "../../src/api/contract.ts";
import type { Tally } from "../../src/engine/engine.ts";
import { type Reason, reasonCatalogue } from "../../src/index.ts";
import { Cluster, HTTP_PORT, TCP_PORTS, UDP_PORTS } from "../support/cluster/cluster.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { sendFrames, startHttpLoad, tcpConnections, udpRequests } from "../support/traffic/traffic.ts";
import { untilSteady } from "../support/wait.ts";
import { ethernetFrame, icmpMessage, ipv4Packet, tcpSegment, udpDatagram } from "../support/wire/frames.ts";

const BUCKETS = [1, 2, 3];
const REPEATS = 5;
const STRANGER_MAC = "02:77:00:00:09:09";
/** On the LAN, but nobody: what is sent in its name is never answered to anybody. */
const NOBODY = "10.77.0.250";

describeNet("the counters", { tools: ["ping"] }, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start();
  });

  afterAll(() => cluster?.close());

  it("each bucket: what was sent is local on the owner and foreign on the others, to the octet", async () => {
    const before = await bucketCounters();
    const count = 600;
    const bytes = 100;
    const requests = await udpRequests(cluster.lab.client(), {
      ...{ to: cluster.lab.vip, ports: UDP_PORTS, sources: cluster.sources, count, bytes, lingerMs: 0 },
    });
    const sent = BUCKETS.map(
      (bucket) =>
        requests.filter((request) => cluster.bucketOf({ protocol: "udp", ...request }) === bucket).length,
    );
    expect(Math.min(...sent)).toBeGreaterThan(100);
    const after = await bucketCounters();
    for (const [index, node] of cluster.lab.nodes.entries()) {
      const expected = BUCKETS.map((bucket) => {
        const frames = sent[bucket - 1] ?? 0;
        // Ethernet 14, IPv4 20, UDP 8.
        const tally = { frames, bytes: frames * (14 + 20 + 8 + bytes) };
        const none = { frames: 0, bytes: 0 };
        return bucket === index + 1 ? { local: tally, foreign: none } : { local: none, foreign: tally };
      });
      const counted = after[index]?.map(({ local, foreign }, at) => ({
        local: difference(local, before[index]?.[at]?.local),
        foreign: difference(foreign, before[index]?.[at]?.foreign),
      }));
      expect({ node: node.name, counted }).toEqual({ node: node.name, counted: expected });
    }
  });

  it("raw frames: each is counted by its reason, on every node", async () => {
    const frames = rawFrames();
    const before = await statuses();
    await sendFrames(
      cluster.lab.client(),
      frames.flatMap(({ frame }) => Array.from({ length: REPEATS }, () => frame)),
    );
    await settled();
    const after = await statuses();
    const reasons = new Set(frames.map(({ reason }) => reason));
    for (const [index, { nics }] of after.entries()) {
      const was = before[index]?.nics[0]?.byReason;
      const counted = [...reasons].map((reason) => [
        reason,
        difference(nics[0]?.byReason[reason], was?.[reason]).frames,
      ]);
      const expected = [...reasons].map((reason) => [
        reason,
        frames.filter((frame) => frame.reason === reason).length * REPEATS,
      ]);
      expect(Object.fromEntries(counted)).toEqual(Object.fromEntries(expected));
    }
    // The list is whole, but for what ordinary traffic is and for frames too short to pass the lab.
    const missing = Object.keys(reasonCatalogue).filter((reason) => !reasons.has(reason as Reason));
    expect(missing).toEqual(["local-bucket", "foreign-bucket", "not-ipv4", "ethernet-truncated"]);
    after.forEach(expectIdentity);
  });

  it("the sum is right at any moment, under all kinds of traffic", async () => {
    const url = `http://${cluster.lab.vip}:${HTTP_PORT}/`;
    const client = cluster.lab.client();
    const to = cluster.lab.vip;
    const { sources } = cluster;
    const http = await startHttpLoad(client, { url, sources, rate: 100 });
    let isOver = false;
    const traffic = Promise.all([
      tcpConnections(client, { to, ports: TCP_PORTS, sources, count: 800 }),
      udpRequests(client, { to, ports: UDP_PORTS, sources, count: 400, bytes: 8000 }),
      sendFrames(
        client,
        rawFrames().flatMap(({ frame }) => Array.from({ length: 50 }, () => frame)),
        { intervalUs: 500 },
      ),
      client.exec(["ping", "-q", "-c", "100", "-i", "0.01", to]),
    ]).finally(() => {
      isOver = true;
    });
    let looks = 0;
    while (!isOver) {
      (await statuses()).forEach(expectIdentity);
      looks += 1;
      await sleep(20);
    }
    await traffic;
    await http.stop();
    expect(looks).toBeGreaterThan(5);
    const [first] = await statuses();
    for (const tally of Object.values(first?.nics[0]?.byVerdict ?? {}))
      expect(tally.frames).toBeGreaterThan(0);
    (await statuses()).forEach(expectIdentity);
  });

  function expectIdentity({ nics }: StatusBody): void {
    expect(nics).toHaveLength(1);
    for (const { received, byVerdict } of nics) {
      const { accept, foreign, malformed, drop, "not-ours": notOurs } = byVerdict;
      const parts = [accept, foreign, notOurs, malformed, drop];
      const sum = (of: (tally: Tally) => number): number =>
        parts.reduce((total, part) => total + of(part), 0);
      expect({ frames: sum((t) => t.frames), bytes: sum((t) => t.bytes) }).toEqual(received);
    }
  }

  function statuses(): Promise<StatusBody[]> {
    return Promise.all(cluster.lab.nodes.map((node) => cluster.status(node)));
  }

  async function bucketCounters() {
    await settled();
    return (await statuses()).map(({ virtualIps }) => virtualIps[0]?.buckets ?? []);
  }

  /** Waits until no node has received anything for a moment. */
  async function settled(): Promise<void> {
    await untilSteady(async () => JSON.stringify((await statuses()).map(({ nics }) => nics[0]?.received)));
  }

  /** At least one frame for each reason that no ordinary traffic has. */
  function rawFrames(): { reason: Reason; frame: Buffer }[] {
    const vip = cluster.lab.vip;
    const addresses = { from: cluster.lab.client().mac, to: cluster.clusterMac };
    const framed = (packet: Uint8Array): Buffer => ethernetFrame(addresses, packet);
    const toVip = { from: NOBODY, to: vip };
    const udp = ipv4Packet({ ...toVip, protocol: "udp" }, udpDatagram(4000, 4001, "raw "));
    const icmp = (type: number, rest: Uint8Array): Buffer =>
      framed(ipv4Packet({ ...toVip, protocol: "icmp" }, icmpMessage(type, 0, rest)));
    /** An ICMP error about a packet: four unused octets, then as much of it as there is. */
    const about = (packet: Uint8Array): Buffer => icmp(3, Buffer.concat([Buffer.alloc(4), packet]));
    const fromVip = { from: vip, to: NOBODY };
    const answer = ipv4Packet(
      { ...fromVip, protocol: "tcp" },
      tcpSegment({ address: vip, port: 80 }, { address: NOBODY, port: 4000 }, 0x10),
    );
    return [
      { reason: "ipv4-truncated", frame: framed(udp.subarray(0, 19)) },
      { reason: "ipv4-version", frame: framed(patched(udp, 0, 0x65)) },
      { reason: "ipv4-header-length", frame: framed(patched(udp, 0, 0x44)) },
      { reason: "ipv4-header-length", frame: framed(patched(udp, 0, 0x4f)) },
      { reason: "ipv4-total-length", frame: framed(udp.subarray(0, udp.length - 1)) },
      {
        reason: "ports-truncated",
        frame: framed(ipv4Packet({ ...toVip, protocol: "udp" }, Buffer.alloc(3))),
      },
      {
        reason: "ports-truncated",
        frame: framed(ipv4Packet({ ...toVip, protocol: "tcp" }, Buffer.alloc(0))),
      },
      {
        reason: "icmp-truncated",
        frame: framed(ipv4Packet({ ...toVip, protocol: "icmp" }, Buffer.alloc(7))),
      },
      { reason: "icmp-inner-truncated", frame: about(answer.subarray(0, 19)) },
      { reason: "icmp-inner-truncated", frame: about(answer.subarray(0, 23)) },
      { reason: "icmp-inner-malformed", frame: about(patched(answer, 0, 0x65)) },
      {
        reason: "icmp-inner-fragment",
        frame: about(ipv4Packet({ ...fromVip, protocol: "udp", fragmentOffset: 8 }, answer)),
      },
      { reason: "icmp-inner-spi", frame: about(patched(answer, 9, 50)) },
      { reason: "icmp-other-flow", frame: about(udp) },
      { reason: "icmp-unsolicited", frame: icmp(0, Buffer.alloc(8)) },
      {
        reason: "later-fragment",
        frame: framed(ipv4Packet({ ...toVip, protocol: "udp", fragmentOffset: 1480 }, udp)),
      },
      {
        reason: "other-address",
        frame: framed(ipv4Packet({ from: NOBODY, to: "10.77.0.99", protocol: "udp" }, udp)),
      },
      { reason: "other-host", frame: ethernetFrame({ ...addresses, to: STRANGER_MAC }, udp) },
      { reason: "vlan-tagged", frame: ethernetFrame({ ...addresses, vlan: 5 }, udp) },
    ];
  }
});

function difference(after: Tally | undefined, before: Tally | undefined): Tally {
  return {
    frames: (after?.frames ?? 0) - (before?.frames ?? 0),
    bytes: (after?.bytes ?? 0) - (before?.bytes ?? 0),
  };
}

function patched(octets: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(octets);
  copy.writeUInt8(value, at);
  return copy;
}
