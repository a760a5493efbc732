/**
 * A Linux bridge that snoops IGMP keeps IP frames to the cluster MAC to itself once a querier is there. What
 * docs/network.md says against it is run as it stands there, and so is what it says has no effect.
 *
 *     node1   node2   node3       client1         client2: sends an IGMP query, as a multicast router does
 *     ══╧═══════╧═══════╧════════════╧═══════════════╧═══  br0 with mcast_snooping 1
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster } from "../support/cluster/cluster.ts";
import { Document } from "../support/documents/document.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { BRIDGE } from "../support/lab/host.ts";
import { sendFrames } from "../support/traffic/traffic.ts";
import { until } from "../support/wait.ts";
import { capture } from "../support/wire/capture.ts";
import { ethernetFrame, ipv4Packet, readFrames } from "../support/wire/frames.ts";

const network = new Document("docs/network.md");
const REQUESTS = 5;
/** An IGMPv2 general query that asks for answers within 0.1 s: so long the bridge goes on flooding. */
const QUERY = Buffer.from([0x11, 1, 0xee, 0xfe, 0, 0, 0, 0]);

describeNet("a bridge with IGMP snooping", { tools: ["ping", "bridge"] }, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    const vip = { network: "192.0.2", vip: "192.0.2.10" };
    cluster = await Cluster.start({ ...vip, clients: 2, sources: 1 });
    await cluster.lab.switch.ip("link", "set", BRIDGE, "type", "bridge", "mcast_snooping", "1");
  });

  afterAll(() => cluster?.close());

  it("the document names this cluster's MAC", () => {
    // A boolean, because the whole document in the message of a failed test helps nobody.
    expect(network.text.includes(`grp ${cluster.clusterMac} permanent`), cluster.clusterMac).toBe(true);
  });

  it("floods before it knows of a querier", async () => {
    await expectReached(true);
  });

  it.each(["bridge mdb add dev br0", "bridge fdb replace"])(
    "keeps the frames from all nodes after a query, and %s changes nothing",
    async (entry) => {
      await query();
      await until(() => expectReached(false));
      const command = new RegExp(`\`(${entry}[^\`]*)\``).exec(network.text)?.[1];
      expect(command).toBeDefined();
      await onEachPort(command ?? "");
      // The entries stay: the next tests show what works with them and does not without.
      await expectReached(false);
    },
  );

  it("mcast_router 2 on the nodes' ports brings every frame to every node", async () => {
    await until(() => expectReached(false));
    const command = network.command("mcast_router");
    await onEachPort(command);
    await expectReached(true);
    await onEachPort(command.replace("mcast_router 2", "mcast_router 1"));
    await expectReached(false);
  });

  it("so does a bridge without snooping, although it sends queries itself", async () => {
    await cluster.lab.switch.ip("link", "set", BRIDGE, "type", "bridge", "mcast_querier", "1");
    await expectReached(false);
    await cluster.lab.switch.exec(network.command("mcast_snooping 0").split(" "));
    await expectReached(true);
  });

  async function query(): Promise<void> {
    const { address, mac } = cluster.lab.client(2);
    const packet = ipv4Packet({ from: address, to: "224.0.0.1", protocol: "igmp" }, QUERY);
    await sendFrames(cluster.lab.client(2), [ethernetFrame({ from: mac, to: "01:00:5e:00:00:01" }, packet)]);
  }

  /** The document's port is eth1; the lab's ports have the names of the nodes. */
  async function onEachPort(command: string): Promise<void> {
    for (const { name } of cluster.lab.nodes) {
      await cluster.lab.switch.exec(command.replace("eth1", name).split(" "));
    }
  }

  /** Five requests to the address: how many of them each node's NIC hears, and how many answers come. */
  async function expectReached(isReached: boolean): Promise<void> {
    const recordings = await Promise.all(cluster.lab.nodes.map((node) => capture(cluster.lab, node, "icmp")));
    // Without a question by ARP, which is a broadcast: what is asked is about frames to the cluster MAC.
    const neighbour = ["neigh", "replace", cluster.lab.vip, "lladdr", cluster.clusterMac, "dev", "eth0"];
    await cluster.lab.client().ip(...neighbour, "nud", "permanent");
    const ping = ["ping", "-q", "-n", "-c", String(REQUESTS), "-i", "0.05", "-W", isReached ? "20" : "1"];
    const { stdout } = await cluster.lab.client().tryExec([...ping, cluster.lab.vip]);
    const heard: number[] = [];
    for (const recording of recordings) {
      const frames = await readFrames(await recording.stop());
      heard.push(frames.filter(({ to, ip }) => to === cluster.clusterMac && ip?.icmp?.type === 8).length);
    }
    expect(heard).toEqual(isReached ? [REQUESTS, REQUESTS, REQUESTS] : [0, 0, 0]);
    expect(stdout).toContain(` ${isReached ? REQUESTS : 0} received`);
  }
});
