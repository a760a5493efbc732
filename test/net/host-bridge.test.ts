/**
 * A bridge as the interface, with and without br_netfilter, as on a host with Docker: what the bridge's port hears is
 * judged where it leaves the bridge, and what only passes through the bridge is left alone.
 *
 *     node1 (clusteripd)
 *     br0 .11 ── vm0 ══ vm (a namespace: a virtual machine on the bridge)
 *      │ eth0            client1
 *      ╧═════ 10.77.0.0/24 ═╧          virtual IP 10.77.0.100 on br0
 */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { repairsOf, statusOf } from "../support/daemon/api.ts";
import { clusterip, recover, startDaemon } from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { type Host, NIC } from "../support/lab/host.ts";
import { Lab } from "../support/lab/lab.ts";
import { until } from "../support/wait.ts";
import { capture } from "../support/wire/capture.ts";

const PINGS = 5;

describeNet("host: a bridge as the interface", { tools: ["ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let client: Host;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1, clients: 2 });
    node = lab.node(1);
    client = lab.client();
    await node.ip("link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0");
    await node.ip("addr", "flush", "dev", NIC);
    await node.ip("link", "set", NIC, "master", "br0");
    await node.ip("addr", "add", `${node.address}/24`, "dev", "br0");
    await node.linkUp("br0");
    // The second client's own namespace is the virtual machine.
    const vm = ["peer", "name", "vm", "netns", lab.client(2).namespace];
    await node.ip("link", "add", "vm0", "type", "veth", ...vm);
    await node.ip("link", "set", "vm0", "master", "br0", "up");
    await lab.client(2).linkUp("vm");
  });
  afterAll(() => lab.close());
  // A bucket given up would stay so for the next daemon.
  afterEach(() => recover(lab, node));

  /** How many of the requests are answered, once and more than once. */
  async function answers(): Promise<{ once: number; again: number }> {
    const argv = ["ping", "-c", String(PINGS), "-i", "0.2", "-W", "2", lab.vip];
    const { stdout } = await client.tryExec(argv);
    const lines = stdout.split("\n").filter((line) => line.includes("bytes from"));
    const again = lines.filter((line) => line.includes("DUP")).length;
    return { once: lines.length - again, again };
  }

  for (const calls of [0, 1]) {
    const hasModule = `net.bridge.bridge-nf-call-iptables = ${calls}`;

    it(`answers each request once: ${hasModule}`, async () => {
      await node.setSysctl("net/bridge/bridge-nf-call-iptables", calls);
      const vip = { nic: "br0", clustermac: CLUSTER_MAC, "total-nodes": 1, "local-node": [1] };
      const daemon = await startDaemon(lab, node, { vips: [vip] });
      await until(async () => expect((await answers()).once).toBeGreaterThan(0));
      const onVm = await capture(lab, lab.client(2), `icmp and dst ${lab.vip}`, "vm");
      const { once, again } = await answers();
      expect({ once, again }).toEqual({ once: PINGS, again: 0 });
      await onVm.waitFor(PINGS);
      const passed = await onVm.stop();
      const { stdout } = await lab.client(2).tryExec(["tcpdump", "-n", "-r", passed]);
      expect(stdout.split("\n").filter((line) => line.includes("echo request"))).toHaveLength(PINGS);
      const { virtualIps, problems } = await statusOf(daemon);
      expect(problems).toEqual([]);
      expect(virtualIps[0]?.buckets[0]?.local.frames).toBeGreaterThanOrEqual(PINGS);
      await daemon.kill();
    });

    it(`is silent for the bucket of another node: ${hasModule}`, async () => {
      await node.setSysctl("net/bridge/bridge-nf-call-iptables", calls);
      const vip = { nic: "br0", clustermac: CLUSTER_MAC, "total-nodes": 1, "local-node": [1] };
      const daemon = await startDaemon(lab, node, { vips: [vip] });
      await until(async () => expect((await answers()).once).toBeGreaterThan(0));
      expect((await clusterip(lab, node, ["nodes", lab.vip, "-1"])).status).toBe(0);
      expect(await answers()).toEqual({ once: 0, again: 0 });
      await daemon.kill();
    });

    it(`another bridge on the same LAN says nothing: ${hasModule}`, async () => {
      await node.setSysctl("net/bridge/bridge-nf-call-iptables", calls);
      await lab.switch.tryExec(["ip", "link", "del", "node1-eth9"]);
      const port = ["peer", "name", "eth9", "netns", node.namespace];
      await lab.switch.ip("link", "add", "node1-eth9", "type", "veth", ...port);
      await lab.switch.ip("link", "set", "node1-eth9", "master", "br0", "up");
      await node.tryExec(["ip", "link", "del", "br9"]);
      await node.ip("link", "add", "br9", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0");
      await node.ip("link", "set", "eth9", "master", "br9", "up");
      await node.ip("addr", "add", "10.77.0.19/24", "dev", "br9");
      await node.linkUp("br9");
      const vip = { nic: "br0", clustermac: CLUSTER_MAC, "total-nodes": 1, "local-node": [1] };
      const daemon = await startDaemon(lab, node, { vips: [vip] });
      await until(async () => expect((await answers()).once).toBeGreaterThan(0));
      expect(await answers()).toEqual({ once: PINGS, again: 0 });
      // A bridge that goes takes its chain along, and comes: nobody has touched our tables.
      const before = (await repairsOf(daemon))["nft"];
      await node.ip("link", "del", "br9");
      await until(async () =>
        expect(await node.exec(["nft", "list", "table", "ip", "clusteripd"])).not.toContain("br9"),
      );
      expect((await repairsOf(daemon))["nft"]).toBe(before);
      expect((await statusOf(daemon)).problems).toEqual([]);
      await daemon.kill();
    });
  }
});
