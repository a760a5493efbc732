/**
 * An address that is somebody else's: the host's own, one that means no host, and one of another host of the LAN.
 *
 *     node1 (clusteripd)   node2 (clusteripd)   client1            client2, the other host
 *     .11   bucket 1       .12   bucket 2       .201, asks         .202, and at times .100
 *   ══╧════════════════════╧════════════════════╧══════════════════╧══════   virtual IPs .100 and .101
 */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { gratuitousArp } from "../../src/core/arp.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { add, del, repairsOf, statusOf } from "../support/daemon/api.ts";
import {
  clusterip,
  type Daemon,
  recover,
  startDaemon,
  type VirtualIpConfig,
  writeConfig,
} from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { addNic } from "../support/lab/second-nic.ts";
import { answersPing } from "../support/traffic/ask.ts";
import { sendFrames } from "../support/traffic/traffic.ts";
import { until } from "../support/wait.ts";

const LOCAL: VirtualIpConfig = { "total-nodes": 2, "local-node": [1, 2] };
const SECOND_VIP = "10.77.0.101";
const FLOOD = 5000;

describeNet("addresses of others", { tools: ["ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let peer: Host;
  let client: Host;
  let other: Host;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 2, clients: 2 });
    [node, peer, client, other] = [lab.node(1), lab.node(2), lab.client(1), lab.client(2)];
  });
  afterAll(() => lab.close());
  afterEach(async () => {
    for (const host of [node, peer]) await recover(lab, host);
    await other.tryExec(["ip", "addr", "del", `${lab.vip}/24`, "dev", "eth0"]);
    await client.ip("neigh", "flush", "all");
  });

  const start = (vips: VirtualIpConfig[], host = node): Promise<Daemon> => startDaemon(lab, host, { vips });
  const problems = async (daemon: Daemon): Promise<string[]> =>
    (await statusOf(daemon)).problems.map(({ code, nic, vip }) => [code, nic, vip].join(" "));
  const messages = async (daemon: Daemon): Promise<string> =>
    (await statusOf(daemon)).problems.map(({ message }) => message).join("\n");
  const claimed = (vip = lab.vip): string => `address-claimed eth0 ${vip}`;
  const soon = (check: () => Promise<void>): Promise<unknown> => until(check, 100);
  const warnings = (daemon: Daemon): string[] =>
    daemon
      .log()
      .split("\n")
      .filter((line) => /says that it has|no other host claims/.test(line));
  /** The other host says, unasked, that the address has this MAC. */
  const announce = (operation: "request" | "reply", vip: string, mac: string): Promise<void> =>
    sendFrames(other, [gratuitousArp(operation, parseIpv4(vip), mac, other.mac)]);

  it("the host's own address, the network's and the broadcast address are refused to every asker", async () => {
    const refused = [node.address, "10.77.0.0", "10.77.0.255"];
    const before = await snapshot(node);
    const daemon = await start([...refused.map((vip) => ({ ...LOCAL, vip })), LOCAL]);
    // At a start the others are served.
    expect(await problems(daemon)).toEqual(refused.map((vip) => `not-served  ${vip}`));
    await answersPing(client, lab.vip);
    await answersPing(client, node.address);
    for (const vip of refused) await del(daemon, vip);
    expect(await problems(daemon)).toEqual([]);

    const codes = ["CLUSTERIP_ADDRESS_IN_USE", "CLUSTERIP_BAD_ADDRESS", "CLUSTERIP_BAD_ADDRESS"];
    for (const [index, vip] of refused.entries()) {
      await expect(add(daemon, { ...LOCAL, vip, nic: "eth0" })).rejects.toMatchObject({ code: codes[index] });
      writeConfig(lab, node, [LOCAL, { ...LOCAL, vip }]);
      daemon.signal("SIGHUP");
      await soon(async () => expect(daemon.log()).toContain(`reload refused, nothing changed: ${vip} is `));
    }
    expect((await statusOf(daemon)).virtualIps.map(({ vip }) => vip)).toEqual([lab.vip]);
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("the host's own address stays, also where it is a /32 and the daemon that refused it is killed", async () => {
    await addNic(lab, node, { nic: "eth1", mac: "02:77:00:00:04:01", address: "10.99.0.1/32" });
    try {
      const before = await snapshot(node);
      const own = { ...LOCAL, vip: "10.99.0.1", nic: "eth1", clustermac: "01:00:5e:00:00:21" };
      for (const signal of ["SIGKILL", "SIGTERM"] as const) {
        // The second daemon finds what the first one has saved.
        const daemon = await start([own, LOCAL]);
        expect(await problems(daemon)).toEqual(["not-served  10.99.0.1"]);
        await daemon.kill(signal);
        expect(await node.ip("addr", "show", "dev", "eth1")).toContain("10.99.0.1/32");
        if (signal === "SIGTERM") continue;
        expect((await clusterip(lab, node, ["cleanup", "--keep-state"])).stdout).not.toContain("10.99.0.1");
      }
      expect(await snapshot(node)).toBe(before);
    } finally {
      await node.ip("link", "del", "eth1");
    }
  });

  it("a host that has the address is found by asking, named while it lasts, and no node is taken for one", async () => {
    await other.ip("addr", "add", `${lab.vip}/24`, "dev", "eth0");
    const daemons = [
      await start([{ ...LOCAL, "local-node": [1] }]),
      await start([{ ...LOCAL, "local-node": [2] }], peer),
    ];
    for (const daemon of daemons) {
      await soon(async () => expect(await problems(daemon)).toEqual([claimed()]));
      expect(await messages(daemon)).toContain(`by the MAC ${other.mac}:`);
    }
    // What the kernel has noted is no change of our tables by somebody else.
    for (const daemon of daemons) {
      expect(await repairsOf(daemon)).toMatchObject({ nft: 0, address: 0 });
      expect(warnings(daemon)).toHaveLength(1);
    }
    await other.ip("addr", "del", `${lab.vip}/24`, "dev", "eth0");
    for (const daemon of daemons) {
      await soon(async () => expect(await problems(daemon)).toEqual([]));
      expect(warnings(daemon)).toHaveLength(2);
    }
  });

  it("a host that takes it later is heard, by question and by answer, also while our tables change", async () => {
    const daemon = await start([LOCAL, { ...LOCAL, vip: SECOND_VIP }]);
    await announce("request", lab.vip, "02:77:00:00:09:01");
    await announce("reply", SECOND_VIP, "02:77:00:00:09:02");
    await soon(async () => expect(await problems(daemon)).toEqual([claimed(), claimed(SECOND_VIP)]));
    expect(await messages(daemon)).toMatch(
      /has 10\.77\.0\.100, by the MAC 02:77:00:00:09:01:.*\n.* 10\.77\.0\.101, by the MAC 02:77:00:00:09:02:/,
    );
    await add(daemon, { ...LOCAL, vip: "10.77.0.102", nic: "eth0" });
    expect(await problems(daemon)).toEqual([claimed(), claimed(SECOND_VIP)]);
    expect(warnings(daemon)).toHaveLength(2);
    await answersPing(client, "10.77.0.102");
    // One message and no answer to what is asked since: it was a slip, and is over soon.
    await soon(async () => expect(await problems(daemon)).toEqual([]));
    expect(warnings(daemon)).toHaveLength(4);
  });

  it("the cluster MAC and this host's other interface are nobody else's", async () => {
    const second = "02:77:00:00:04:01";
    await addNic(lab, node, { nic: "eth1", mac: second, address: "10.77.0.21/24" });
    try {
      const daemon = await start([LOCAL]);
      for (const mac of [CLUSTER_MAC, second]) await announce("reply", lab.vip, mac);
      // Heard after them.
      await announce("reply", lab.vip, "02:77:00:00:09:03");
      await soon(async () => expect(await problems(daemon)).toEqual([claimed()]));
      expect(await messages(daemon)).toContain("by the MAC 02:77:00:00:09:03:");
    } finally {
      await node.ip("link", "del", "eth1");
    }
  });

  it("a flood of claims is bounded, and keeps nobody from being served", async () => {
    const daemon = await start([LOCAL]);
    const macOf = (number: number): string =>
      `06:00:00:00:${(number >> 8).toString(16).padStart(2, "0")}:${(number & 255).toString(16).padStart(2, "0")}`;
    await sendFrames(
      other,
      Array.from({ length: FLOOD }, (_, index) =>
        gratuitousArp(index % 2 === 0 ? "request" : "reply", parseIpv4(lab.vip), macOf(index), other.mac),
      ),
    );
    await soon(async () => expect(await messages(daemon)).toMatch(/^Another host .* and 253 more: .*$/));
    const listing = await node.exec(["nft", "-j", "list", "set", "arp", "clusteripd", "claims"]);
    expect(listing.match(/"concat"/g)?.length).toBeLessThanOrEqual(256);
    expect(warnings(daemon)).toHaveLength(1);
    await client.ip("neigh", "flush", "all");
    await answersPing(client, lab.vip);
    expect(await repairsOf(daemon)).toMatchObject({ nft: 0 });
  });
});
