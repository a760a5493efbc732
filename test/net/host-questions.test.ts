/**
 * A node asks for its neighbours as itself: there are neighbours that answer nobody who claims a group MAC, and some
 * that answer no probe. Nobody on the LAN ever hears of the virtual IP with another MAC than the cluster's.
 *
 *     node1 (clusteripd)         client1, with a filter for the ARP requests that it hears
 *       ╧═════ 10.77.0.0/24 ═══════╧          virtual IP 10.77.0.100
 */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { repairsOf } from "../support/daemon/api.ts";
import { type Daemon, startDaemon } from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { type Host, NIC } from "../support/lab/host.ts";
import { devicesOf } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { until } from "../support/wait.ts";
import { type Capture, capture } from "../support/wire/capture.ts";
import { type ArpMessage, readFrames } from "../support/wire/frames.ts";

/** A second network on the same LAN. */
const SECOND = { node: "10.79.0.11", client: "10.79.0.201" };

/** What a neighbour does not answer. */
const filters: Record<string, string> = {
  "requests whose sender has a group MAC":
    "arp operation request arp saddr ether & 01:00:00:00:00:00 == 01:00:00:00:00:00 drop",
  "probes, and requests whose sender is of another network":
    "arp operation request arp saddr ip != { 10.77.0.0/24 } drop",
};

describeNet("host: the node's own questions", { tools: ["ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let client: Host;
  let daemon: Daemon;
  let recording: Capture;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    client = lab.client();
    const vip = { "total-nodes": 1, "local-node": [1], clustermac: CLUSTER_MAC };
    daemon = await startDaemon(lab, node, { vips: [vip] });
    // It knows the way, and so its own request does not tell the node where it is.
    await client.ip("neigh", "replace", lab.vip, "lladdr", CLUSTER_MAC, "dev", NIC, "nud", "permanent");
  });
  afterAll(() => lab.close());
  afterEach(() => client.exec(["nft", "flush", "ruleset"]));

  const forget = (): Promise<string> => node.ip("neigh", "flush", "all");
  const isAnswered = async (from = client.address): Promise<void> => {
    const argv = ["ping", "-q", "-c", "1", "-W", "2", "-I", from, lab.vip];
    expect((await client.tryExec(argv)).status, `a ping from ${from}`).toBe(0);
  };

  /** What the node says by ARP while `act` runs. */
  async function saidDuring(act: () => Promise<unknown>): Promise<ArpMessage[]> {
    recording = await capture(lab, lab.switch, "arp");
    await act();
    const frames = await readFrames(await recording.stop());
    const claims = frames.filter(({ arp }) => arp?.senderAddress === lab.vip);
    expect(claims.filter(({ arp }) => arp?.senderMac !== CLUSTER_MAC)).toEqual([]);
    const said = frames.flatMap(({ from, arp }) => (arp === undefined || from !== node.mac ? [] : [arp]));
    // A probe for the virtual IP itself asks whether another host claims it, and no neighbour.
    return said.filter((arp) => arp.targetAddress !== lab.vip || arp.senderAddress !== "0.0.0.0");
  }

  for (const [name, rule] of Object.entries(filters)) {
    it(`a neighbour that does not answer ${name} is found`, async () => {
      const table = `table arp deaf {\n chain in {\n type filter hook input priority 0\n ${rule}\n }\n}\n`;
      await client.exec(["nft", "-f", "-"], { input: table });
      const said = await saidDuring(async () => {
        await forget();
        await until(() => isAnswered());
      });
      expect(new Set(said.map((arp) => `${arp.senderAddress} ${arp.senderMac}`))).toEqual(
        new Set([`${node.address} ${node.mac}`]),
      );
    });
  }

  it("by the address whose network holds the neighbour, also one that comes later; no repair is counted", async () => {
    await client.ip("addr", "add", `${SECOND.client}/24`, "dev", NIC);
    await node.ip("addr", "add", `${SECOND.node}/24`, "dev", NIC);
    await until(async () =>
      expect(await node.exec(["nft", "list", "table", "arp", "clusteripd"])).toContain(SECOND.node),
    );
    const said = await saidDuring(async () => {
      await forget();
      await until(() => isAnswered(SECOND.client));
    });
    const asked = said.filter(({ targetAddress }) => targetAddress === SECOND.client);
    expect(new Set(asked.map((arp) => arp.senderAddress))).toEqual(new Set([SECOND.node]));
    expect((await repairsOf(daemon))["nft"]).toBe(0);
    await node.ip("addr", "del", `${SECOND.node}/24`, "dev", NIC);
    await client.ip("addr", "del", `${SECOND.client}/24`, "dev", NIC);
  });

  it("without an address of its own it asks as a probe does", async () => {
    await node.ip("addr", "flush", "dev", NIC);
    await node.ip("route", "add", "10.77.0.0/24", "dev", NIC);
    await until(async () =>
      expect(await node.exec(["nft", "list", "table", "arp", "clusteripd"])).not.toContain(node.address),
    );
    const said = await saidDuring(async () => {
      await forget();
      await until(() => isAnswered());
    });
    const asked = said.filter(({ targetAddress }) => targetAddress === client.address);
    expect(new Set(asked.map((arp) => `${arp.senderAddress} ${arp.senderMac}`))).toEqual(
      new Set([`0.0.0.0 ${node.mac}`]),
    );
    await node.ip("route", "del", "10.77.0.0/24", "dev", NIC);
    await node.ip("addr", "add", `${node.address}/24`, "dev", NIC);
  });

  it("what the kernel announces of the virtual IP tells the cluster MAC", async () => {
    // It announces the addresses of the interface itself.
    await node.setSysctl("net/ipv4/conf/all/arp_notify", 1);
    await node.setSysctl("net/ipv4/conf/all/arp_ignore", 1);
    await until(async () => expect(await devicesOf(node, lab.vip)).toContain(NIC));
    let announced: ArpMessage[] = [];
    await until(async () => {
      // To the kernel a MAC that is set is a new one, also when it is the old one.
      const said = await saidDuring(() => node.ip("link", "set", NIC, "address", node.mac));
      announced = said.filter(({ senderAddress, targetAddress }) => senderAddress === targetAddress);
      expect(announced.map(({ senderAddress }) => senderAddress)).toContain(lab.vip);
    });
    const macs = announced.flatMap((arp) => (arp.senderAddress === lab.vip ? [arp.senderMac] : []));
    expect(new Set(macs)).toEqual(new Set([CLUSTER_MAC]));
  });
});
