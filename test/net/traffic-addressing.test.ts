/**
 * The destination MAC decides nothing: whatever frame the NIC takes for its host is judged by its bucket. Frames
 * of a VLAN and frames to another host's MAC are not for it. All frames are injected raw by the client.
 *
 *     node1 (bucket 1)   node2 (bucket 2)   node3 (bucket 3)        client1
 *          │                   │                  │                    │ raw frames
 *        ══╧═══════════════════╧══════════════════╧════════════════════╧══   capture of the answers
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Reason } from "../../src/index.ts";
import { Cluster, TCP_PORTS, UDP_PORTS } from "../support/cluster/cluster.ts";
import { autoEngine } from "../support/daemon/facts.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { type Host, NIC } from "../support/lab/host.ts";
import { sendFrames } from "../support/traffic/traffic.ts";
import { until } from "../support/wait.ts";
import { capture } from "../support/wire/capture.ts";
import {
  BROADCAST_MAC,
  type CapturedFrame,
  type EthernetAddresses,
  ethernetFrame,
  icmpEcho,
  ipv4Packet,
  readFrames,
  tcpSegment,
  udpDatagram,
} from "../support/wire/frames.ts";

const TCP_SYN = 0x02;
const STRANGER_MAC = "02:77:00:00:09:09";
const UDP_PORT = UDP_PORTS[0] ?? 0;
const TCP_PORT = TCP_PORTS[0] ?? 0;
const BUCKETS = [1, 2, 3];

describeNet("frames to the virtual IP, however they are addressed", {}, () => {
  let cluster: Cluster;
  /** No flow is used twice. */
  let nextPort = 30_000;

  beforeAll(async () => {
    cluster = await Cluster.start();
    // The nodes know the clients: no ARP, no queue between a request and its answer.
    for (const node of cluster.lab.nodes) {
      for (const source of cluster.sources) {
        await node.ip("neigh", "replace", source, "lladdr", cluster.lab.client().mac, "dev", "eth0");
      }
    }
  });

  afterAll(() => cluster?.close());

  // The guard looks for tags only where it has to.
  describe.each([
    { on: "nothing", add: [] },
    { on: "a macvlan", add: ["link", "add", "link", NIC, "name", "upper0", "up", "type", "macvlan"] },
  ])("with $on on the NIC", ({ add }) => {
    beforeAll(async () => {
      if (add.length === 0) return;
      for (const node of cluster.lab.nodes) {
        await node.ip(...add);
        await until(() => guardLooksForTags(node));
      }
    });

    describe("answered by the owner alone", () => {
      it.each([
        { what: "to the cluster MAC", destination: () => ({ to: cluster.clusterMac }) },
        { what: "with a priority tag (VLAN 0)", destination: () => ({ to: cluster.clusterMac, vlan: 0 }) },
        { what: "to the broadcast MAC", destination: () => ({ to: BROADCAST_MAC }) },
      ])("$what", async ({ destination }) => {
        const expected = BUCKETS.flatMap((bucket) => answersOf(bucket));
        expect(await answersTo(destination(), BUCKETS, expected.length)).toEqual(expected.sort());
      });

      it.each(BUCKETS)("to the own MAC of node %i", async (number) => {
        const { mac } = cluster.lab.node(number);
        expect(await answersTo({ to: mac }, BUCKETS, 3)).toEqual(answersOf(number).sort());
      });

      // The kernel takes priority tags off one after the other, behind every hook that sees the frame.
      it("to the own MAC of a node, with two priority tags", async () => {
        const { mac } = cluster.lab.node(2);
        expect(await answersTo({ to: mac, vlan: [0, 0] }, BUCKETS, 3)).toEqual(answersOf(2).sort());
      });

      it("with more of them than engine bpf looks behind: by engine userspace, or not at all", async () => {
        const { mac } = cluster.lab.node(2);
        const expected = autoEngine === "bpf" ? [] : answersOf(2).sort();
        expect(await answersTo({ to: mac, vlan: [0, 0, 0, 0, 0, 0] }, BUCKETS, expected.length)).toEqual(
          expected,
        );
      });
    });

    describe("not answered, but seen", () => {
      it.each([
        {
          what: "in VLAN 5",
          destination: () => ({ to: cluster.clusterMac, vlan: 5 }),
          reason: "vlan-tagged",
        },
        { what: "to another host's MAC", destination: () => ({ to: STRANGER_MAC }), reason: "other-host" },
      ] as const)("$what", async ({ destination, reason }) => {
        const before = await seen(reason);
        expect(await answersTo(destination(), BUCKETS, 0)).toEqual([]);
        // Three protocols and three buckets on every node.
        expect(await seen(reason)).toEqual(before.map((count) => count + 9));
      });
    });
  });

  function answersOf(bucket: number): string[] {
    return ["icmp", "tcp", "udp"].map((protocol) => `${protocol} of bucket ${bucket} from node${bucket}`);
  }

  /** Sends one request of each protocol for each bucket and tells who answered which; so many may take a while. */
  async function answersTo(
    destination: Omit<EthernetAddresses, "from">,
    buckets: number[],
    expected: number,
  ): Promise<string[]> {
    const bucketOfPort = new Map<number, number>();
    const packets = buckets.flatMap((bucket) => {
      const port = portOf(bucket);
      bucketOfPort.set(port, bucket);
      return requestsFrom(port, bucket);
    });
    const recording = await capture(cluster.lab, cluster.lab.switch, `ip and src host ${cluster.lab.vip}`);
    const from = cluster.lab.client().mac;
    await sendFrames(
      cluster.lab.client(),
      packets.map((packet) => ethernetFrame({ from, ...destination }, packet)),
    );
    await recording.waitFor(expected);
    const answers = (await readFrames(await recording.stop())).map((frame) => {
      const { protocol, port } = answerOf(frame);
      return `${protocol} of bucket ${bucketOfPort.get(port)} from ${cluster.nodeOfMac(frame.from)}`;
    });
    return answers.sort();
  }

  /** A port that gives the first source's TCP and UDP flows this bucket: the mode does not hash the protocol. */
  function portOf(bucket: number): number {
    const port = cluster.sourcePortFor(bucket, { protocol: "udp", saddr: source() }, nextPort);
    nextPort = port + 1;
    return port;
  }

  function source(): string {
    return cluster.sources[0] ?? "";
  }

  function requestsFrom(port: number, bucket: number): Buffer[] {
    const saddr = source();
    const pinger = cluster.sources.find((s) => cluster.bucketOf({ protocol: "icmp", saddr: s }) === bucket);
    const to = cluster.lab.vip;
    const syn = tcpSegment({ address: saddr, port }, { address: to, port: TCP_PORT }, TCP_SYN);
    return [
      ipv4Packet({ from: saddr, to, protocol: "udp" }, udpDatagram(port, UDP_PORT, `raw-${port} `)),
      ipv4Packet({ from: saddr, to, protocol: "tcp" }, syn),
      ipv4Packet({ from: pinger ?? "", to, protocol: "icmp" }, icmpEcho(port, 1)),
    ];
  }

  /** The client's port, or the id that stands for it in an echo reply; anything unexpected shows as itself. */
  function answerOf({ ip }: CapturedFrame): { protocol: string; port: number } {
    if (ip?.udp?.sport === UDP_PORT) return { protocol: "udp", port: ip.udp.dport };
    if (ip?.tcp?.flags.syn && ip.tcp.flags.ack) return { protocol: "tcp", port: ip.tcp.dport };
    if (ip?.icmp?.type === 0) return { protocol: "icmp", port: ip.icmp.rest.readUInt16BE(0) };
    return { protocol: `unexpected protocol ${ip?.protocol}`, port: 0 };
  }

  async function seen(reason: Reason): Promise<number[]> {
    const statuses = await Promise.all(cluster.lab.nodes.map((node) => cluster.status(node)));
    return statuses.map(({ nics }) => nics[0]?.byReason[reason].frames ?? -1);
  }
});

/** Or there is none, because the engine judges in place. */
async function guardLooksForTags(node: Host): Promise<boolean> {
  const guard = await node.exec(["nft", "list", "table", "netdev", "clusteripd"]);
  return !guard.includes("guard0") || guard.includes("@ll,96,16 0x800");
}
