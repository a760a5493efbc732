/** Interfaces under every name that the kernel allows: served, or refused with a sentence; never another one, never a command. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { call } from "../../src/api/client.ts";
import { paths } from "../../src/api/contract.ts";
import { statusOf } from "../support/daemon/api.ts";
import { clusterip, type Daemon, recover, startDaemon } from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { type Host, NIC } from "../support/lab/host.ts";
import { snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { pings } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const SETTINGS = { "total-nodes": 2, "local-node": [1, 2] };

interface LinkJson {
  ifname: string;
  addr_info: { local: string; prefixlen: number }[];
}

describeNet("host: names of interfaces", { tools: ["ping", "curl"] }, () => {
  let lab: Lab;
  let node: Host;
  let client: Host;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    client = lab.client();
    // What a name that is cut off, or taken for a word of a command or a pattern, would lead to.
    for (const [one, other] of [
      ["a", "x"],
      ["e1f", "eth"],
    ] as const) {
      await node.ip("link", "add", "name", one, "type", "veth", "peer", "name", other);
      for (const decoy of [one, other]) await node.ip("link", "set", "dev", decoy, "up");
    }
  });
  afterAll(() => lab.close());
  afterEach(() => recover(lab, node));

  async function rename(from: string, to: string): Promise<void> {
    await node.ip("link", "set", "dev", from, "down");
    await node.ip("link", "set", "dev", from, "name", to);
    await node.ip("link", "set", "dev", to, "up");
  }

  /** The interfaces that have the virtual IP. */
  async function holders(): Promise<string[]> {
    const text = await node.ip("-json", "address", "show");
    const links = JSON.parse(text) as LinkJson[];
    const isVip = ({ local, prefixlen }: { local: string; prefixlen: number }): boolean =>
      local === lab.vip && prefixlen === 32;
    return links.filter((link) => link.addr_info.some(isVip)).map(({ ifname }) => ifname);
  }

  const answers = (): Promise<unknown> =>
    until(async () => expect(await pings(client, lab.vip, 2)).toBe(true));
  const add = (nic: string) =>
    clusterip(lab, node, ["add", lab.vip, "--nic", nic, "--total-nodes", "2", "--local-node", "1,2"]);

  it("is served under its name, whatever that is, and nothing else is", { timeout: 600_000 }, async () => {
    const daemon = await startDaemon(lab, node, { vips: [] });
    for (const name of ["a#b", "-x", "dev", "$(id)`id`", "'q;{z}", "e*f", "é", "b\\c", "x,y|z&"]) {
      await rename(NIC, name);
      expect(await add(name)).toMatchObject({ status: 0, stderr: "" });
      await answers();
      const { nics, device, virtualIps } = await statusOf(daemon);
      expect(nics.map(({ nic }) => nic)).toEqual([name]);
      const ours = virtualIps[0]?.engine === "userspace" && device !== undefined ? [device] : [];
      expect((await holders()).sort()).toEqual(["lo", ...ours].sort());
      expect((await clusterip(lab, node, ["del", lab.vip])).status).toBe(0);
      expect(await holders()).toEqual([]);
      expect((await statusOf(daemon)).problems).toEqual([]);
      await rename(name, NIC);
    }
    await daemon.kill();
  });

  it("what was served on an interface is removed from it when it gets another such name", async () => {
    const daemon = await startDaemon(lab, node, { vips: [{ ...SETTINGS, clustermac: CLUSTER_MAC }] });
    await answers();
    expect(await node.ip("maddr", "show", "dev", NIC)).toContain(CLUSTER_MAC);
    await rename(NIC, "eth#0");
    try {
      await until(async () =>
        expect(await node.ip("maddr", "show", "dev", "eth#0")).not.toContain(CLUSTER_MAC),
      );
      expect(await holders()).not.toContain("eth#0");
      expect(await pings(client, lab.vip, 1)).toBe(false);
      expect(daemon.running).toBe(true);
    } finally {
      await rename("eth#0", NIC);
    }
    await answers();
    await daemon.kill();
  });

  it.each(['q"r', "eth*"])("%s is refused with a sentence", async (name) => {
    const daemon = await startDaemon(lab, node, { vips: [] });
    await rename(NIC, name);
    try {
      const before = await snapshot(node);
      const { status, stderr } = await add(name);
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: expect.stringMatching(/cannot be served under this name: .*nft.* \[CLUSTERIP_BAD_NIC\]\n$/),
      });
      expect(await snapshot(node)).toBe(before);
    } finally {
      await daemon.kill();
      await rename(name, NIC);
    }
  });

  it("control characters in the name and the alias of another interface trouble nobody", async () => {
    await node.ip("link", "add", "name", "n\u0001\u001b[31m", "type", "bridge");
    await node.ip("link", "set", "dev", NIC, "alias", "cable\u0007 3");
    const daemon = await startDaemon(lab, node, { vips: [SETTINGS] });
    await answers();
    await daemon.kill();
    await node.ip("link", "del", "dev", "n\u0001\u001b[31m");
    await node.ip("link", "set", "dev", NIC, "alias", "");
  });

  it("an alternative name is the interface's: in a file, a request, an agent's request and a reload", async () => {
    const alternative = "enp0s31f6-the-cable-to-the-left";
    await node.ip("link", "property", "add", "dev", NIC, "altname", alternative);
    const daemon: Daemon = await startDaemon(lab, node, { vips: [{ ...SETTINGS, nic: alternative }] });
    await answers();
    const nics = async (): Promise<string[]> => (await statusOf(daemon)).virtualIps.map(({ nic }) => nic);
    expect(await nics()).toEqual([NIC]);
    const take = (nic: string): Promise<string> =>
      node.exec([
        ...["curl", "-sS", "--unix-socket", daemon.socket, "-X", "PUT", "-d"],
        JSON.stringify({ nic, "total-nodes": 2 }),
        `http://x${paths.bucket(lab.vip, 1)}`,
      ]);
    for (const nic of [alternative, NIC]) expect(await take(nic)).toBe('{"nodes":[1,2]}\n');
    expect(await take("a")).toContain("nic eth0, not a");
    const second = { vip: "10.77.0.101", nic: alternative, "total-nodes": 1, "local-node": 1 };
    await call(daemon.socket, "POST", paths.virtualIps, second);
    await call(daemon.socket, "POST", paths.reload);
    await until(async () => expect(await pings(client, second.vip, 2)).toBe(true));
    await answers();
    await daemon.kill();
    const again = await startDaemon(lab, node, { vips: [{ ...SETTINGS, nic: alternative }] });
    await answers();
    expect((await statusOf(again)).virtualIps.map(({ vip, nic }) => `${vip} ${nic}`).sort()).toEqual([
      `${lab.vip} ${NIC}`,
      `${second.vip} ${NIC}`,
    ]);
    await again.kill();
    await node.ip("link", "property", "del", "dev", NIC, "altname", alternative);
  });
});
