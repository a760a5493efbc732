/**
 * Several virtual IPs at once: two of different settings on one NIC, and one on a second NIC of the same nodes.
 *
 *        ══╤═══════════════════╤══════════════════╤════════════════════╤══   10.88.0.0/24, 10.88.0.100
 *          │ eth1              │                  │                    │
 *     node1              node2              node3                client1
 *          │ eth0              │                  │                    │
 *        ══╧═══════════════════╧══════════════════╧════════════════════╧══   10.77.0.0/24, .100 and .101
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { bucketOf, type HashSettings, parseIpv4, protocolNumbers } from "../../src/index.ts";
import { Cluster, TCP_PORTS, tally, UDP_PORTS } from "../support/cluster/cluster.ts";
import { clusterip } from "../support/daemon/daemon.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { addBridge, addNic } from "../support/lab/second-nic.ts";
import { sendFrames, tcpConnections, udpRequests } from "../support/traffic/traffic.ts";
import { capture } from "../support/wire/capture.ts";
import { BROADCAST_MAC, ethernetFrame, icmpEcho, ipv4Packet, readFrames } from "../support/wire/frames.ts";

interface VirtualIp extends HashSettings {
  vip: string;
  nic: string;
  /** By node: the buckets. */
  local: number[][];
}

const first: VirtualIp = {
  ...{ vip: "10.77.0.100", nic: "eth0", local: [[1], [2], [3]] },
  ...{ hashMode: "sourceip-sourceport", totalNodes: 3, hashInit: 0 },
};
const second: VirtualIp = {
  ...{
    vip: "10.77.0.101",
    nic: "eth0",
    local: [
      [6, 1],
      [2, 4],
      [3, 5],
    ],
  },
  ...{ hashMode: "sourceip", totalNodes: 6, hashInit: 7 },
};
const other: VirtualIp = {
  ...{ vip: "10.88.0.100", nic: "eth1", local: [[5], [1, 3], [2, 4]] },
  ...{ hashMode: "sourceip-sourceport-destport", totalNodes: 5, hashInit: 4_000_000_000 },
};
const OTHER_SOURCES = Array.from({ length: 20 }, (_, index) => `10.88.0.${50 + index}`);
const OTHER_CLIENT_MAC = "02:88:00:00:02:01";
const CONNECTIONS = 300;

describeNet("several virtual IPs", { tools: ["ping"] }, () => {
  let cluster: Cluster;
  let nextPort = 20_000;

  beforeAll(async () => {
    cluster = await Cluster.start();
    const { lab } = cluster;
    await addBridge(lab, "br1");
    for (const [index, node] of lab.nodes.entries()) {
      const mac = `02:88:00:00:01:0${index + 1}`;
      await addNic(lab, node, { nic: "eth1", mac, address: `10.88.0.${11 + index}/24`, bridge: "br1" });
    }
    await addNic(lab, lab.client(), { nic: "eth1", mac: OTHER_CLIENT_MAC, bridge: "br1" });
    for (const source of OTHER_SOURCES) await lab.client().ip("addr", "add", `${source}/24`, "dev", "eth1");
    for (const virtualIp of [second, other])
      await Promise.all(lab.nodes.map((_, index) => add(virtualIp, index)));
  });

  afterAll(() => cluster?.close());

  it("all three are answered, each by its own rules", async () => {
    const recording = await capture(cluster.lab, cluster.lab.switch, "tcp");
    const recordingOther = await capture(cluster.lab, cluster.lab.switch, "tcp", "br1");
    const answers = await Promise.all([connect(first), connect(second), connect(other)]);
    const frames = [
      ...(await readFrames(await recording.stop())),
      ...(await readFrames(await recordingOther.stop())),
    ];
    expect(answers).toEqual([[], [], []]);
    const segments = frames.flatMap(({ ip }) => (ip?.tcp === undefined ? [] : [{ ip, flags: ip.tcp.flags }]));
    expect(tally(segments.filter(({ flags }) => flags.syn && flags.ack).map(({ ip }) => ip.from))).toEqual(
      new Map([first, second, other].map(({ vip }) => [vip, CONNECTIONS])),
    );
    const vips = [first, second, other].map(({ vip }) => vip);
    expect(segments.filter(({ ip, flags }) => flags.rst && vips.includes(ip.from))).toEqual([]);
  });

  it("a bucket of one moves, the others stay where they are", async () => {
    await nodesOf(0, second.vip, "-1");
    await nodesOf(2, second.vip, "+1");
    const moved = { ...second, local: [[6], [2, 4], [3, 5, 1]] };
    expect(await Promise.all([connect(first), connect(moved), connect(other)])).toEqual([[], [], []]);
    await nodesOf(2, second.vip, "-1");
    await nodesOf(0, second.vip, "+1");
  });

  it("they go one by one", async () => {
    for (const [index, node] of cluster.lab.nodes.entries()) {
      await clusterOrThrow(index, ["del", second.vip]);
      expect(await node.ip("addr")).not.toContain(second.vip);
    }
    expect(await Promise.all([connect(first), connect(other)])).toEqual([[], []]);
    const ping = ["ping", "-q", "-c", "2", "-i", "0.1", "-W", "10", second.vip];
    expect((await cluster.lab.client().tryExec(ping)).status).not.toBe(0);
    await Promise.all(cluster.lab.nodes.map((_, index) => add(second, index)));
    expect(await connect(second)).toEqual([]);
  });

  it("frames for one that come in by the other's NIC are nobody's", async () => {
    const frames = [cluster.clusterMac, BROADCAST_MAC].flatMap((to) =>
      cluster.sources.map((saddr) => {
        const packet = ipv4Packet({ from: saddr, to: first.vip, protocol: "icmp" }, icmpEcho(1, 1));
        return ethernetFrame({ from: OTHER_CLIENT_MAC, to }, packet);
      }),
    );
    const recordings = [
      await capture(cluster.lab, cluster.lab.switch, `icmp and src host ${first.vip}`),
      await capture(cluster.lab, cluster.lab.switch, `icmp and src host ${first.vip}`, "br1"),
    ];
    await sendFrames(cluster.lab.client(), frames, { nic: "eth1" });
    for (const recording of recordings) {
      expect((await readFrames(await recording.stop())).map(({ from }) => cluster.nodeOfMac(from))).toEqual(
        [],
      );
    }
  });

  it("a third NIC that gets the same frames once more changes nothing", async () => {
    // A veth takes frames to any group MAC, as a promiscuous NIC does or a bridge.
    const address = "10.77.0.22/24";
    await addNic(cluster.lab, cluster.lab.node(2), { nic: "eth2", mac: "02:77:00:00:04:02", address });
    expect(await connect(first)).toEqual([]);
    const client = cluster.lab.client();
    // ping waits for the last reply no longer than this interval.
    const ping = (saddr: string): string[] => ["ping", "-q", "-I", saddr, "-c", "3", "-i", "0.5", first.vip];
    const outputs = await Promise.all(cluster.sources.slice(0, 12).map((saddr) => client.exec(ping(saddr))));
    for (const output of outputs) {
      expect(output).toContain("3 packets transmitted, 3 received, 0% packet loss");
    }
    const to = first.vip;
    const requests = await udpRequests(client, {
      to,
      ports: UDP_PORTS,
      sources: cluster.sources,
      count: 120,
    });
    expect(requests.filter(({ replies }) => replies.length !== 1)).toEqual([]);
  });

  /** Connections from many addresses; returns those that were not answered by the node that has their bucket. */
  async function connect(virtualIp: VirtualIp) {
    const sources = virtualIp.nic === "eth0" ? cluster.sources : OTHER_SOURCES;
    nextPort += 1000;
    const connections = await tcpConnections(cluster.lab.client(), {
      ...{ to: virtualIp.vip, ports: TCP_PORTS, sources, count: CONNECTIONS, firstPort: nextPort },
    });
    expect(new Set(connections.map(({ node }) => node)).size).toBe(3);
    return connections.filter(({ saddr, sport, dport, node }) => {
      const flow = {
        protocol: protocolNumbers.tcp,
        saddrHost: parseIpv4(saddr),
        sourcePort: sport,
        destinationPort: dport,
      };
      const bucket = bucketOf(flow, virtualIp);
      return node !== `node${virtualIp.local.findIndex((buckets) => buckets.includes(bucket)) + 1}`;
    });
  }

  async function add(virtualIp: VirtualIp, index: number): Promise<void> {
    const { vip, nic, hashMode, totalNodes, hashInit, local } = virtualIp;
    await clusterOrThrow(index, [
      ...["add", vip, "--nic", nic, "--hashmode", hashMode, "--total-nodes", String(totalNodes)],
      ...["--hash-init", String(hashInit), "--local-node", (local[index] ?? []).join()],
    ]);
  }

  async function nodesOf(index: number, vip: string, change: string): Promise<void> {
    await clusterOrThrow(index, ["nodes", vip, change]);
  }

  async function clusterOrThrow(index: number, args: string[]): Promise<void> {
    const { status, stderr } = await clusterip(cluster.lab, cluster.lab.node(index + 1), args);
    if (status !== 0) throw new Error(`clusterip ${args.join(" ")}: ${stderr}`);
  }
});
