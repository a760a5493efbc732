/**
 * The daemon as a guest: a host that it leaves is byte for byte what it was, however it ends.
 *
 *     node1 (clusteripd, other people's nft tables)      client1
 *     eth0 .11  clusterip0                               eth0 .201
 *       ╧══════════════════ 10.77.0.0/24 ══════════════════╧        virtual IP 10.77.0.100
 */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { add, settingsOf, statusOf } from "../support/daemon/api.ts";
import {
  clusterip,
  type Daemon,
  recover,
  startDaemon,
  type VirtualIpConfig,
} from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import { envWithNft } from "../support/daemon/failing-tools.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { processesOn, snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { answersPing, arpSenderOf, pings } from "../support/traffic/ask.ts";
import { startServer, udpRequests } from "../support/traffic/traffic.ts";
import { until } from "../support/wait.ts";

/** A firewall as one finds it: the same families and hooks as ours, a set, and a table with a similar name. */
const OTHER_TABLES = `
table netdev filter {
  chain incoming { type filter hook ingress device "eth0" priority -500; policy accept; ether type 0x88cc drop; }
}
table arp filter {
  chain outgoing { type filter hook output priority 0; policy accept; arp saddr ip 10.77.0.99 drop; }
}
table inet clusteripd2 {
  set blocked { type ipv4_addr; flags timeout; timeout 10m; }
  chain incoming { type filter hook input priority 0; policy accept; ip saddr @blocked drop; tcp dport 9 reject; }
}
`;
const SECOND_VIP = "10.77.0.101";
const FOUR_LOCAL = { "total-nodes": 4, "local-node": [1, 2, 3, 4] };

describeNet("host: traces", { tools: ["arping", "ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let client: Host;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    client = lab.client();
    await startServer(lab, node, { udp: [7003], tcp: [7001] });
  });
  afterAll(() => lab.close());
  beforeEach(() => client.ip("neigh", "flush", "all"));
  afterEach(() => recover(lab, node));

  const start = (vips: VirtualIpConfig[] = [FOUR_LOCAL]): Promise<Daemon> => startDaemon(lab, node, { vips });

  for (const tables of ["no other", "other people's"]) {
    it(`SIGTERM removes everything, with ${tables} nft tables`, async () => {
      await withTables(tables, async () => {
        const before = await snapshot(node);
        const daemon = await start();
        await add(daemon, { vip: SECOND_VIP, nic: "eth0", "total-nodes": 1, "local-node": 1 });
        await answersPing(client, lab.vip);
        await answersPing(client, SECOND_VIP);
        const during = await snapshot(node);
        expect(await daemon.kill("SIGTERM")).toEqual({ code: 0, signal: null });
        expect(await snapshot(node)).toBe(before);
        expect(existsSync(daemon.socket)).toBe(false);
        // Otherwise the comparison above says nothing.
        for (const trace of [lab.vip, SECOND_VIP, CLUSTER_MAC, "clusterip0", "table arp clusteripd "]) {
          expect(during).toContain(trace);
          expect(before).not.toContain(trace);
        }
      });
    });

    it(`kill -9 and 'clusterip cleanup' remove everything, with ${tables} nft tables`, async () => {
      await withTables(tables, async () => {
        const before = await snapshot(node);
        const daemon = await start();
        await add(daemon, { vip: SECOND_VIP, nic: "eth0", "total-nodes": 1, "local-node": 1 });
        await daemon.kill("SIGKILL");
        const left = await snapshot(node);
        expect(left).toContain(`inet ${lab.vip}/32`);
        expect(left).toContain("table netdev clusteripd ");

        const cleanup = await clusterip(lab, node, ["cleanup"]);
        expect(cleanup).toMatchObject({ status: 0, stderr: "" });
        expect(cleanup.stdout).toContain(`removed address ${lab.vip}/32 on lo\n`);
        expect(cleanup.stdout).toContain("removed nft table netdev clusteripd\n");
        expect(await snapshot(node)).toBe(before);
        expect(await clusterip(lab, node, ["cleanup"])).toMatchObject({
          status: 0,
          stdout: "nothing to remove\n",
        });
        expect(existsSync(daemon.socket)).toBe(false);
      });
    });
  }

  it("SIGINT ends it like SIGTERM", async () => {
    const before = await snapshot(node);
    const daemon = await start();
    expect(await daemon.kill("SIGINT")).toEqual({ code: 0, signal: null });
    expect(await snapshot(node)).toBe(before);
  });

  it("cleanup is refused while a daemon runs, and changes nothing", async () => {
    const daemon = await start();
    const before = await snapshot(node);
    const cleanup = await clusterip(lab, node, ["cleanup"]);
    expect(cleanup).toMatchObject({ status: 1, stdout: "" });
    expect(cleanup.stderr).toContain("[CLUSTERIP_ALREADY_RUNNING]");
    expect(await snapshot(node)).toBe(before);
    await answersPing(client, lab.vip);
    await daemon.kill();
  });

  it("a daemon that would start amid clean-ups is refused, and starts after them", async () => {
    await (await start()).kill("SIGKILL");
    const gate = path.join(lab.directoryOf(node), "gate");
    writeFileSync(gate, "");
    // Before it has the lock it only looks.
    const env = await envWithNft(
      lab,
      node,
      `case "$*" in *-f*) while [ -e ${gate} ]; do sleep 0.05; done ;; esac`,
    );
    const cleanup = clusterip(lab, node, ["cleanup"], { env });
    try {
      await until(() => node.ip("link", "show", "clusterip-lock"), 5);
      // What a daemon of an earlier version would take.
      await until(() => node.ip("link", "show", "clusterip0"), 5);
      await expect(start()).rejects.toThrow("CLUSTERIP_ALREADY_RUNNING");
    } finally {
      rmSync(gate);
    }
    // As the resource agents of a clone do when all are stopped: each waits for the others.
    const cleanups = await Promise.all([
      cleanup,
      ...[1, 2].map(() => clusterip(lab, node, ["cleanup"], { env })),
    ]);
    expect(cleanups.map(({ status, stderr }) => [status, stderr])).toEqual(Array(3).fill([0, ""]));
    const daemon = await start();
    await answersPing(client, lab.vip);
    expect((await statusOf(daemon)).repairs.nft.count).toBe(0);
    await daemon.kill();
  });

  it("after kill -9 the node is silent for every bucket, and ARP still tells the cluster MAC", async () => {
    // With engine bpf it goes on answering: bpf-outlives.test.ts.
    const daemon = await start([{ ...FOUR_LOCAL, engine: "userspace" }]);
    const request = { to: lab.vip, sources: [client.address], count: 100, timeoutMs: 500 };
    const served = await udpRequests(client, {
      ...request,
      ports: [7003],
      firstPort: 30_000,
      timeoutMs: 2000,
    });
    expect(served.filter(({ replies }) => replies.length === 1)).toHaveLength(100);
    expect((await processesOn(node)).filter((line) => line.includes("monitor"))).toHaveLength(1);

    await daemon.kill("SIGKILL");
    await until(async () =>
      expect((await processesOn(node)).join("\n")).not.toMatch(/ monitor|bin\/clusteripd/),
    );
    const dead = await udpRequests(client, { ...request, ports: [7003], firstPort: 31_000 });
    expect(dead.filter(({ replies }) => replies.length > 0)).toEqual([]);
    // A port unreachable would be an answer too: 7004 is closed.
    const closed = await udpRequests(client, { ...request, ports: [7004], firstPort: 32_000 });
    expect(closed.filter(({ error, replies }) => error !== undefined || replies.length > 0)).toEqual([]);
    expect(await pings(client, lab.vip)).toBe(false);
    await client.ip("neigh", "flush", "all");
    expect(await arpSenderOf(client, lab.vip)).toBe(CLUSTER_MAC);
    // The host itself lives: it is the guard that is silent.
    await answersPing(client, node.address);
    await clusterip(lab, node, ["cleanup"]);
  });

  it("a restart after kill -9 takes over what is there and serves", async () => {
    const before = await snapshot(node);
    const first = await start();
    await first.kill("SIGKILL");
    const addressLeft = await node.ip("-o", "addr", "show", "dev", "lo");
    expect(addressLeft).toContain(`${lab.vip}/32`);
    const second = await start();
    // Not removed and added again: the neighbours' view of it does not change.
    expect(await node.ip("-o", "addr", "show", "dev", "lo")).toBe(addressLeft);
    await answersPing(client, lab.vip);
    expect((await statusOf(second)).problems).toEqual([]);
    await second.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("a restart with another configuration removes what the dead daemon left", async () => {
    const before = await snapshot(node);
    const first = await startDaemon(lab, node, { vips: [FOUR_LOCAL, { ...FOUR_LOCAL, vip: SECOND_VIP }] });
    await answersPing(client, SECOND_VIP);
    await first.kill("SIGKILL");
    const second = await startDaemon(lab, node, { vips: [{ ...FOUR_LOCAL, vip: SECOND_VIP }] });
    const during = await snapshot(node);
    expect(during).not.toContain(`${lab.vip}/32`);
    expect(during).not.toContain(CLUSTER_MAC);
    await answersPing(client, SECOND_VIP);
    await second.kill("SIGKILL");
    const third = await startDaemon(lab, node, { vips: [] });
    // The device is the daemon's own; nothing else is left.
    expect(await snapshot(node)).not.toMatch(/10\.77\.0\.10[01]|table (arp|netdev) clusteripd/);
    await third.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("starting twice with the same configuration is the same as once", async () => {
    const first = await start();
    const once = withoutNumbers(await snapshot(node));
    const settings = await settingsOf(first);
    await first.kill("SIGKILL");
    const second = await start();
    expect(withoutNumbers(await snapshot(node))).toBe(once);
    expect(await settingsOf(second)).toEqual(settings);
    await second.kill();
  });

  it("an address that was there before is served, and stays when the daemon goes", async () => {
    await node.ip("addr", "add", `${lab.vip}/24`, "dev", "eth0");
    const before = await snapshot(node);
    const daemon = await start([]);
    await add(daemon, { vip: lab.vip, nic: "eth0", ...FOUR_LOCAL });
    await answersPing(client, lab.vip);
    expect(await arpSenderOf(client, lab.vip)).toBe(CLUSTER_MAC);
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
    await node.ip("addr", "del", `${lab.vip}/24`, "dev", "eth0");
  });

  it("an adopted address stays also after kill -9 and cleanup", async () => {
    await node.ip("addr", "add", `${lab.vip}/32`, "dev", "eth0");
    const before = await snapshot(node);
    const daemon = await startDaemon(lab, node, { vips: [{ ...FOUR_LOCAL, clustermac: CLUSTER_MAC }] });
    await answersPing(client, lab.vip);
    await daemon.kill("SIGKILL");
    await clusterip(lab, node, ["cleanup"]);
    expect(await snapshot(node)).toBe(before);
    await node.ip("addr", "del", `${lab.vip}/32`, "dev", "eth0");
  });

  it("the control socket has mode 0660", async () => {
    const daemon = await start();
    expect((await node.exec(["stat", "-c", "%a %F", daemon.socket])).trim()).toBe("660 socket");
    await daemon.kill();
  });

  async function withTables(which: string, body: () => Promise<void>): Promise<void> {
    if (which === "no other") return body();
    await node.exec(["nft", "-f", "-"], { input: OTHER_TABLES });
    try {
      await body();
      const ruleset = await node.exec(["nft", "list", "ruleset"]);
      for (const table of ["netdev filter", "arp filter", "inet clusteripd2"]) {
        expect(ruleset).toContain(`table ${table} {`);
      }
    } finally {
      await node.exec(["nft", "flush", "ruleset"]);
    }
  }
});

/** Without the numbers of interfaces, and the order in which things were added. */
function withoutNumbers(state: string): string {
  return state
    .replace(/^\d+:/gm, "N:")
    .replace(/\bifindex \d+/g, "ifindex N")
    .split("\n")
    .sort()
    .join("\n");
}
