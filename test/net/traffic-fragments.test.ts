/**
 * Packets that do not fit: datagrams in fragments, and a path with a small MTU.
 *
 *     node1 (bucket 1)   node2 (bucket 2)   node3 (bucket 3)     client1      router ─ MTU 1300 ─ farrouter ─ farclient
 *          │                   │                  │                 │           │
 *        ══╧═══════════════════╧══════════════════╧═════════════════╧═══════════╧══   capture
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster, HTTP_PORT, UDP_PORTS } from "../support/cluster/cluster.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { duplicateRequests, sendFrames, udpRequests } from "../support/traffic/traffic.ts";
import { capture } from "../support/wire/capture.ts";
import {
  type CapturedFrame,
  ethernetFrame,
  fragmentsOf,
  type Ipv4Fields,
  readFrames,
  udpDatagram,
} from "../support/wire/frames.ts";

const DATAGRAM_BYTES = 8000;
/** What a datagram's piece holds on a path with MTU 1500. */
const PIECE_BYTES = 1480;
const UDP_PORT = UDP_PORTS[0] ?? 0;
const BUCKETS = [1, 2, 3];
const DOWNLOAD_BYTES = 10_000_000;
const FAR_CLIENT = "10.78.0.2";
const SMALL_MTU = 1300;

describeNet("packets that do not fit", { tools: ["curl"] }, () => {
  let cluster: Cluster;
  let nextIpId = 1000;

  beforeAll(async () => {
    cluster = await Cluster.start({ router: { linkMtu: SMALL_MTU } });
  });

  afterAll(() => cluster?.close());

  describe("UDP datagrams of 8,000 bytes", () => {
    it("in order, as a kernel sends them", async () => {
      const recording = await capture(cluster.lab, cluster.lab.switch, "udp");
      const requests = await udpRequests(cluster.lab.client(), {
        ...{ to: cluster.lab.vip, ports: [UDP_PORT], sources: cluster.sources, count: 120 },
        ...{ bytes: DATAGRAM_BYTES, tag: "kernel" },
      });
      const fragments = (await readFrames(await recording.stop())).filter(isFragment);
      expect(fragments.length).toBe(120 * Math.ceil((DATAGRAM_BYTES + 8) / PIECE_BYTES));
      const expected = requests.map(({ id, saddr, sport, dport }) => [
        { node: ownerOf(saddr, sport), id, bytes: DATAGRAM_BYTES, from: `${cluster.lab.vip}:${dport}` },
      ]);
      expect(requests.map(({ replies }) => replies)).toEqual(expected);
      expectDeliveredOnce(requests.map((r) => [r.id, ownerOf(r.saddr, r.sport)]));
    });

    it.each([
      { order: "reversed", arrange: (pieces: Buffer[]) => pieces.toReversed() },
      {
        order: "the first one last",
        arrange: ([first, ...rest]: Buffer[]) => [...rest, first ?? Buffer.alloc(0)],
      },
      // A fragment that overlaps another one ends the datagram; an exact duplicate does not.
      {
        order: "reversed, each one twice",
        arrange: (pieces: Buffer[]) => pieces.toReversed().flatMap((p) => [p, p]),
      },
    ])("$order", async ({ order, arrange }) => {
      const tag = order.replaceAll(/\W+/g, "-");
      const sent = cluster.sources.map((saddr, index) => ({
        id: `${tag}-${index}`,
        saddr,
        sport: 42_000 + index,
      }));
      const recording = await capture(cluster.lab, cluster.lab.switch, `udp and src host ${cluster.lab.vip}`);
      const frames = sent.flatMap(({ id, saddr, sport }) =>
        arrange(datagramPieces(id, saddr, sport)).map(toCluster),
      );
      await sendFrames(cluster.lab.client(), frames);
      await recording.waitFor(sent.length);
      const replies = await readFrames(await recording.stop());
      expect(replies.map((frame) => frame.ip?.udp?.payload.toString()).sort()).toEqual(
        sent.map(({ id, saddr, sport }) => `${ownerOf(saddr, sport)} ${id} ${DATAGRAM_BYTES}`).sort(),
      );
      expectDeliveredOnce(sent.map(({ id, saddr, sport }) => [id, ownerOf(saddr, sport)]));
    });

    it("never completed: at most the owner tells the sender so", async () => {
      for (const node of cluster.lab.nodes) await node.setSysctl("net/ipv4/ipfrag_time", 1);
      const recording = await capture(cluster.lab, cluster.lab.switch, "icmp");
      const saddr = cluster.sources[0] ?? "";
      const ports = BUCKETS.map((bucket) => portOf(saddr, bucket));
      // Of one flow in each bucket the first piece alone, of another one all but the first.
      const pieces = ports.flatMap((sport) => [
        ...datagramPieces("incomplete", saddr, sport).slice(0, 1),
        ...datagramPieces("incomplete", saddr, sport).slice(1),
      ]);
      await sendFrames(cluster.lab.client(), pieces.map(toCluster));
      await sleep(2500);
      const errors = (await readFrames(await recording.stop())).filter(
        ({ ip }) => ip?.from === cluster.lab.vip,
      );
      const reporters = errors.map(({ from, ip }) => {
        const sport = ip?.icmp?.rest.readUInt16BE(24) ?? 0;
        return { type: ip?.icmp?.type, by: cluster.nodeOfMac(from), owner: ownerOf(saddr, sport), sport };
      });
      expect(reporters.filter(({ type, by, owner }) => type !== 11 || by !== owner)).toEqual([]);
      expect(new Set(reporters.map(({ sport }) => sport)).size).toBe(reporters.length);
      expect(cluster.servers.flatMap((server) => server.requestsSeen("udp"))).not.toContain("incomplete");
    });
  });

  it.each(BUCKETS)("a download of 10 MB over a path with MTU 1300, from node %i", async (bucket) => {
    const flow = { protocol: "tcp", saddr: FAR_CLIENT, dport: HTTP_PORT } as const;
    const sport = cluster.sourcePortFor(bucket, flow);
    const owner = cluster.lab.node(bucket);
    expect(await learntMtu(bucket)).toBeUndefined();
    const recording = await capture(
      cluster.lab,
      cluster.lab.switch,
      "icmp[icmptype] == 3 and icmp[icmpcode] == 4",
    );
    const url = `http://${cluster.lab.vip}:${HTTP_PORT}/big?bytes=${DOWNLOAD_BYTES}`;
    const curl = ["curl", "-sS", "--max-time", "60", "--local-port", String(sport), "-o", "/dev/null"];
    const size = await cluster.lab.farClient.exec([...curl, "-w", "%{size_download}", url], {
      timeoutMs: 25_000,
    });
    const errors = await readFrames(await recording.stop());

    expect(size).toBe(String(DOWNLOAD_BYTES));
    expect(errors.length).toBeGreaterThan(0);
    for (const { to, ip } of errors) {
      const rest = ip?.icmp?.rest ?? Buffer.alloc(32);
      expect({
        to,
        mtu: rest.readUInt16BE(2),
        from: rest.readUInt16BE(24),
        about: rest.readUInt16BE(26),
      }).toEqual({
        ...{ to: cluster.clusterMac, mtu: SMALL_MTU, from: HTTP_PORT, about: sport },
      });
    }
    // All nodes saw the error; the owner of the flow that it is about, and nobody else, heeded it.
    expect(await learntMtu(bucket)).toBe(SMALL_MTU);
    const later = BUCKETS.filter((other) => other > bucket);
    expect(await Promise.all(later.map(learntMtu))).toEqual(later.map(() => undefined));
    expect(owner.name).toBe(cluster.ownerOf({ ...flow, sport }));
  });

  /** What a node's kernel knows about the path from the virtual IP to the far client. */
  async function learntMtu(number: number): Promise<number | undefined> {
    const route = await cluster.lab.node(number).ip("route", "get", FAR_CLIENT, "from", cluster.lab.vip);
    const mtu = /mtu (\d+)/.exec(route)?.[1];
    return mtu === undefined ? undefined : Number(mtu);
  }

  function ownerOf(saddr: string, sport: number): string {
    return cluster.ownerOf({ protocol: "udp", saddr, sport, dport: UDP_PORT });
  }

  function portOf(saddr: string, bucket: number): number {
    return cluster.sourcePortFor(bucket, { protocol: "udp", saddr, dport: UDP_PORT }, 43_000);
  }

  function datagramPieces(id: string, saddr: string, sport: number): Buffer[] {
    nextIpId += 1;
    const fields: Ipv4Fields = { from: saddr, to: cluster.lab.vip, protocol: "udp", id: nextIpId };
    const text = `${id} `.padEnd(DATAGRAM_BYTES, "clusterip ");
    return fragmentsOf(fields, udpDatagram(sport, UDP_PORT, text), PIECE_BYTES);
  }

  function toCluster(packet: Buffer): Buffer {
    return ethernetFrame({ from: cluster.lab.client().mac, to: cluster.clusterMac }, packet);
  }

  function expectDeliveredOnce(expected: (readonly [id: string, node: string])[]): void {
    expect(duplicateRequests(cluster.servers, "udp")).toEqual([]);
    const ids = new Set(expected.map(([id]) => id));
    const seen = cluster.servers.flatMap((server) =>
      server
        .requestsSeen("udp")
        .filter((id) => ids.has(id))
        .map((id) => [id, server.node.name] as const),
    );
    expect(new Map(seen)).toEqual(new Map(expected));
  }
});

function isFragment({ ip }: CapturedFrame): boolean {
  return ip !== undefined && (ip.moreFragments || ip.fragmentOffset > 0);
}
