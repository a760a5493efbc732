/**
 * Three machines answer as one: every request is answered once, by the node that the library names.
 *
 *     node1 (bucket 1)   node2 (bucket 2)   node3 (bucket 3)        client1
 *          │                   │                  │                    │ 40 source addresses
 *        ══╧═══════════════════╧══════════════════╧════════════════════╧══   capture of all frames
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type HashMode, hashModes } from "../../src/index.ts";
import { Cluster, TCP_PORTS, tally, UDP_PORTS } from "../support/cluster/cluster.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { inParallel } from "../support/programs/parallel.ts";
import { duplicateRequests, tcpConnections, udpRequests } from "../support/traffic/traffic.ts";
import { capture } from "../support/wire/capture.ts";
import { type CapturedFrame, type Ipv4Header, readFrames, type TcpHeader } from "../support/wire/frames.ts";

const CONNECTIONS = 2000;
const ECHOES_PER_SOURCE = 5;

describeNet("every request is answered once, by the owner of its bucket", { tools: ["ping"] }, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start();
  });

  afterAll(() => cluster?.close());

  describe.each(hashModes)("hash mode %s", (hashMode) => {
    beforeEach(async () => {
      await serveIn(hashMode);
    });

    it("2,000 TCP connections from 40 addresses", async () => {
      const recording = await capture(cluster.lab, cluster.lab.switch, "tcp");
      const connections = await tcpConnections(cluster.lab.client(), {
        to: cluster.lab.vip,
        ports: TCP_PORTS,
        sources: cluster.sources,
        count: CONNECTIONS,
      });
      const frames = await readFrames(await recording.stop());

      expect(connections).toHaveLength(CONNECTIONS);
      expect(new Set(connections.map(({ saddr }) => saddr)).size).toBe(40);
      const wrong = connections.filter(
        (c) => c.node !== cluster.ownerOf({ protocol: "tcp", ...c }, hashMode),
      );
      expect(wrong).toEqual([]);
      expectEveryNode(connections.map(({ node }) => node ?? "nobody"));

      const segments = tcpSegments(frames);
      const synsByFlow = tally(segments.filter(({ tcp }) => tcp.flags.syn && !tcp.flags.ack).map(clientFlow));
      const synAcks = segments.filter(({ tcp }) => tcp.flags.syn && tcp.flags.ack);
      expect(synsByFlow.size).toBe(CONNECTIONS);
      expect(tally(synAcks.map(serverFlow))).toEqual(synsByFlow);
      // Of the cluster: on a busy machine a client resets a FIN that comes once more after its connection ended.
      const resets = segments.filter(({ ip, tcp }) => tcp.flags.rst && ip.from === cluster.lab.vip);
      expect(resets).toEqual([]);
      const fromWrongNode = synAcks.filter(({ frame, ip, tcp }) => {
        const flow = { protocol: "tcp", saddr: ip.to, sport: tcp.dport, dport: tcp.sport } as const;
        return cluster.nodeOfMac(frame.from) !== cluster.ownerOf(flow, hashMode);
      });
      expect(fromWrongNode).toEqual([]);
    });

    it("2,000 UDP datagrams from 40 addresses", async () => {
      const tag = `udp-${hashMode}`;
      const requests = await udpRequests(cluster.lab.client(), {
        to: cluster.lab.vip,
        ports: UDP_PORTS,
        sources: cluster.sources,
        count: CONNECTIONS,
        tag,
      });
      expect(requests).toHaveLength(CONNECTIONS);
      expect(requests.filter(({ replies }) => replies.length !== 1)).toEqual([]);
      const wrong = requests.filter((request) => {
        const reply = request.replies[0];
        return (
          reply?.node !== cluster.ownerOf({ protocol: "udp", ...request }, hashMode) ||
          reply.id !== request.id
        );
      });
      expect(wrong).toEqual([]);
      expectEveryNode(requests.map(({ replies }) => replies[0]?.node ?? "nobody"));
      expect(duplicateRequests(cluster.servers, "udp")).toEqual([]);
      const seen = cluster.servers.flatMap((server) => server.requestsSeen("udp"));
      expect(seen.filter((id) => id.startsWith(`${tag}-`))).toHaveLength(CONNECTIONS);
    });

    it("ICMP echo from 40 addresses", async () => {
      const recording = await capture(cluster.lab, cluster.lab.switch, "icmp");
      const outputs = await inParallel(cluster.sources.length, 10, (index) => {
        const saddr = cluster.sources[index] ?? "";
        const count = String(ECHOES_PER_SOURCE);
        const ping = [
          "ping",
          "-q",
          "-n",
          "-I",
          saddr,
          "-c",
          count,
          "-i",
          "0.02",
          "-W",
          "10",
          cluster.lab.vip,
        ];
        return cluster.lab.client().exec(ping);
      });
      // ping waits for the last reply only twice as long as the replies before it took; the capture decides.
      await sleep(500);
      const frames = await readFrames(await recording.stop());

      expect(outputs.filter((text) => text.includes("duplicate"))).toEqual([]);
      const replies = frames.filter(({ ip }) => ip?.icmp?.type === 0);
      const expected = cluster.sources.map(
        (saddr) =>
          [`${cluster.ownerOf({ protocol: "icmp", saddr }, hashMode)} ${saddr}`, ECHOES_PER_SOURCE] as const,
      );
      expect(tally(replies.map(({ from, ip }) => `${cluster.nodeOfMac(from)} ${ip?.to}`))).toEqual(
        new Map(expected),
      );
      expectEveryNode(replies.map(({ from }) => cluster.nodeOfMac(from)));
      // Requests and replies, and not one error message.
      expect(frames.filter(({ ip }) => ip?.icmp?.type !== 0 && ip?.icmp?.type !== 8)).toEqual([]);
    });
  });

  /** The daemons begin in the default mode; for another one they are started anew. */
  async function serveIn(hashMode: HashMode): Promise<void> {
    const served = await Promise.all(cluster.lab.nodes.map((node) => cluster.virtualIpStatus(node)));
    if (served.every((status) => status.hashMode === hashMode)) return;
    await cluster.stopAll();
    await cluster.startAll({ hashMode });
  }

  /** A test in which one node got nothing would not show much. */
  function expectEveryNode(answeredBy: string[]): void {
    expect([...tally(answeredBy).keys()].sort()).toEqual(["node1", "node2", "node3"]);
  }
});

interface Segment {
  frame: CapturedFrame;
  ip: Ipv4Header;
  tcp: TcpHeader;
}

function tcpSegments(frames: readonly CapturedFrame[]): Segment[] {
  return frames.flatMap((frame) =>
    frame.ip?.tcp === undefined ? [] : [{ frame, ip: frame.ip, tcp: frame.ip.tcp }],
  );
}

const clientFlow = ({ ip, tcp }: Segment): string => `${ip.from}:${tcp.sport} ${tcp.dport}`;
const serverFlow = ({ ip, tcp }: Segment): string => `${ip.to}:${tcp.dport} ${tcp.sport}`;
