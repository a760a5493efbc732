/**
 * Foreign traffic gets silence: of three nodes only the owner says that a port is closed, and nobody says
 * anything to a flow whose bucket no node has.
 *
 *     node1 (bucket 1)   node2 (bucket 2)   node3 (bucket 3)   bucket 4: nobody    client1
 *          │                   │                  │                                  │ 40 source addresses
 *        ══╧═══════════════════╧══════════════════╧══════════════════════════════════╧══   capture
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, HTTP_PORT, TCP_PORTS, tally, UDP_PORTS } from "../support/cluster/cluster.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { sendFrames, tcpConnections, udpRequests } from "../support/traffic/traffic.ts";
import { capture } from "../support/wire/capture.ts";
import {
  type CapturedFrame,
  ethernetFrame,
  ipv4Packet,
  readFrames,
  tcpSegment,
} from "../support/wire/frames.ts";

const CLOSED_PORT = 9;
const FLOWS = 160;
const ORPHAN_BUCKET = 4;
const TCP_ACK = 0x10;
const unreachable = { type: 3, portCode: 3 };

describeNet("foreign traffic gets silence", { tools: ["ping"] }, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start({ totalNodes: 4 });
    // What is shown is who answers, not how often a kernel is willing to.
    for (const node of cluster.lab.nodes) {
      await node.setSysctl("net/ipv4/icmp_ratelimit", 0);
      await node.setSysctl("net/ipv4/icmp_msgs_burst", 10_000);
    }
  });

  afterAll(() => cluster?.close());

  it("a closed TCP port: the owner alone refuses", async () => {
    const recording = await capture(cluster.lab, cluster.lab.switch, "ip");
    const connections = await tcpConnections(cluster.lab.client(), {
      ...{
        to: cluster.lab.vip,
        ports: [CLOSED_PORT],
        sources: cluster.sources,
        count: FLOWS,
        parallel: FLOWS,
      },
      timeoutMs: 2000,
    });
    const fromNodes = framesFromNodes(await readFrames(await recording.stop()));

    const expectedErrors = connections.map((c) =>
      ownerOf("tcp", c) === undefined ? "timeout" : "ECONNREFUSED",
    );
    expect(connections.map(({ error }) => error)).toEqual(expectedErrors);
    expect(fromNodes.filter(({ ip }) => ip?.tcp?.flags.rst !== true)).toEqual([]);
    const refusals = fromNodes.map(
      ({ from, ip }) => `${cluster.nodeOfMac(from)} ${ip?.from} ${ip?.to}:${ip?.tcp?.dport}`,
    );
    expect(refusals.sort()).toEqual(
      owned("tcp", connections)
        .map(({ owner, saddr, sport }) => `${owner} ${cluster.lab.vip} ${saddr}:${sport}`)
        .sort(),
    );
  });

  it("a closed UDP port: the owner alone says that it is unreachable", async () => {
    const recording = await capture(cluster.lab, cluster.lab.switch, "ip");
    const requests = await udpRequests(cluster.lab.client(), {
      ...{
        to: cluster.lab.vip,
        ports: [CLOSED_PORT],
        sources: cluster.sources,
        count: FLOWS,
        parallel: FLOWS,
      },
      timeoutMs: 500,
    });
    const fromNodes = framesFromNodes(await readFrames(await recording.stop()));

    expect(requests.flatMap(({ replies }) => replies)).toEqual([]);
    const errors = fromNodes.map(({ from, ip }) => {
      const { type, code, rest } = ip?.icmp ?? { type: -1, code: -1, rest: Buffer.alloc(32) };
      // Behind four unused octets, the datagram that it is about: an IPv4 header of 20, then the ports.
      return `${cluster.nodeOfMac(from)} ${type}/${code} ${ip?.to}:${rest.readUInt16BE(24)}`;
    });
    expect(errors.sort()).toEqual(
      owned("udp", requests)
        .map(
          ({ owner, saddr, sport }) =>
            `${owner} ${unreachable.type}/${unreachable.portCode} ${saddr}:${sport}`,
        )
        .sort(),
    );
  });

  it("an ACK of no connection: the owner alone resets it", async () => {
    const flows = cluster.sources.map((saddr, index) => ({ saddr, sport: 40_000 + index, dport: HTTP_PORT }));
    const recording = await capture(cluster.lab, cluster.lab.switch, "tcp");
    await sendFrames(
      cluster.lab.client(),
      flows.map(({ saddr, sport, dport }) => {
        const segment = tcpSegment(
          { address: saddr, port: sport },
          { address: cluster.lab.vip, port: dport },
          TCP_ACK,
        );
        const packet = ipv4Packet({ from: saddr, to: cluster.lab.vip, protocol: "tcp" }, segment);
        return ethernetFrame({ from: cluster.lab.client().mac, to: cluster.clusterMac }, packet);
      }),
    );
    const fromNodes = framesFromNodes(await readFrames(await recording.stop()));
    expect(
      tally(fromNodes.map(({ from, ip }) => `${cluster.nodeOfMac(from)} ${ip?.to} ${ip?.tcp?.flags.rst}`)),
    ).toEqual(new Map(owned("tcp", flows).map(({ owner, saddr }) => [`${owner} ${saddr} true`, 1])));
  });

  it("a bucket that no node has: not one frame, from open ports either", async () => {
    const flow = { protocol: "tcp", saddr: cluster.sources[0] ?? "" } as const;
    const firstPort = cluster.sourcePortFor(ORPHAN_BUCKET, flow);
    const sources = [flow.saddr];
    const pinger = cluster.sources.find(
      (saddr) => cluster.bucketOf({ protocol: "icmp", saddr }) === ORPHAN_BUCKET,
    );
    expect(pinger).toBeDefined();
    const before = await foreignInOrphanBucket();
    const recording = await capture(cluster.lab, cluster.lab.switch, "ip");
    const client = cluster.lab.client();
    const options = { to: cluster.lab.vip, sources, count: 1, firstPort, timeoutMs: 800 };
    const [connection] = await tcpConnections(client, { ...options, ports: TCP_PORTS.slice(0, 1) });
    const [request] = await udpRequests(client, { ...options, ports: UDP_PORTS.slice(0, 1) });
    const ping = await client.tryExec([
      "ping",
      "-q",
      "-I",
      pinger ?? "",
      "-c",
      "5",
      "-i",
      "0.05",
      "-W",
      "1",
      cluster.lab.vip,
    ]);
    const frames = await readFrames(await recording.stop());

    expect(connection?.error).toBe("timeout");
    expect(request?.replies).toEqual([]);
    expect(ping.stdout).toContain("5 packets transmitted, 0 received");
    expect(framesFromNodes(frames)).toEqual([]);
    // The silence is a verdict, not a loss: every node saw and counted every one of these frames.
    const sent = frames.filter(({ ip }) => ip?.to === cluster.lab.vip).length;
    expect(sent).toBeGreaterThanOrEqual(7);
    expect(await foreignInOrphanBucket()).toEqual(before.map((count) => count + sent));
  });

  function ownerOf(protocol: "tcp" | "udp", flow: { saddr: string; sport: number; dport: number }) {
    const bucket = cluster.bucketOf({ protocol, ...flow });
    return bucket === ORPHAN_BUCKET ? undefined : `node${bucket}`;
  }

  function owned<Flow extends { saddr: string; sport: number; dport: number }>(
    protocol: "tcp" | "udp",
    flows: readonly Flow[],
  ): (Flow & { owner: string })[] {
    const result = flows.flatMap((flow) => {
      const owner = ownerOf(protocol, flow);
      return owner === undefined ? [] : [{ ...flow, owner }];
    });
    // The test would show less if one kind of flow were missing.
    expect(new Set(result.map(({ owner }) => owner)).size).toBe(3);
    expect(result.length).toBeLessThan(flows.length);
    return result;
  }

  function framesFromNodes(frames: readonly CapturedFrame[]): CapturedFrame[] {
    return frames.filter(({ from }) => cluster.lab.nodes.some((node) => node.mac === from));
  }

  async function foreignInOrphanBucket(): Promise<number[]> {
    const statuses = await Promise.all(cluster.lab.nodes.map((node) => cluster.virtualIpStatus(node)));
    return statuses.map(({ buckets }) => buckets[ORPHAN_BUCKET - 1]?.foreign.frames ?? -1);
  }
});
