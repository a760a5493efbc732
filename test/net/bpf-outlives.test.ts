/**
 * The verdict is the kernel's: a daemon that dies interrupts nothing, and the next one goes on where it was.
 *
 *     node1 (kill -9, restart)   node2   node3          client1
 *          │                       │       │              │ HTTP, new connections from 20 addresses, all the time
 *        ══╧═══════════════════════╧═══════╧══════════════╧══
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeBpf } from "../support/bpf/describe-bpf.ts";
import { type Attachment, attaching } from "../support/bpf/programs.ts";
import { Cluster, UDP_PORTS } from "../support/cluster/cluster.ts";
import { statusOf } from "../support/daemon/api.ts";
import { clusterip, startDaemon } from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot } from "../support/lab/host-state.ts";
import { duplicateRequests, startHttpLoad, udpRequests } from "../support/traffic/traffic.ts";

const ROUNDS = 2;
const DEAD_MS = 1000;
const PER_SECOND = 120;

describeBpf("bpf: the programs outlive the daemon", { tools: ["ping", "flock"] }, () => {
  let cluster: Cluster;
  let node: Host;

  beforeAll(async () => {
    cluster = await Cluster.create({ engine: "bpf", env: attaching(), sources: 20 });
    node = cluster.lab.node(1);
  });
  afterAll(() => cluster?.close());
  afterEach(() => cluster.recover());

  const frames = async (): Promise<{ received: number; local: number }> => {
    const { nics, virtualIps } = await statusOf(cluster.daemonOn(node));
    return {
      received: nics[0]?.received.frames ?? 0,
      local: virtualIps[0]?.buckets[0]?.local.frames ?? 0,
    };
  };

  const ways: [string, Attachment][] = [
    ["tcx", {}],
    ["a clsact qdisc", { clsact: true }],
    ["tcx behind XDP", { xdp: "native" }],
  ];
  for (const [way, options] of ways) {
    it(`${way}: killed ${ROUNDS} times and started again under load, not one request is lost`, async () => {
      await cluster.startAll({ env: attaching(options) });
      const load = await startHttpLoad(cluster.lab.client(), {
        ...{ url: cluster.url, sources: cluster.sources, rate: PER_SECOND, concurrency: 200 },
        ...{ timeoutMs: 5000, tag: `outlive-${way}` },
      });
      await sleep(500);
      const windows: [number, number][] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const before = await frames();
        await cluster.daemonOn(node).kill("SIGKILL");
        const died = Date.now();
        await sleep(DEAD_MS);
        windows.push([died, Date.now()]);
        await cluster.startDaemonOn(node, { env: attaching(options) });
        // The same maps: the counters have not begun anew, and nothing was missed in between.
        const after = await frames();
        expect(after.received).toBeGreaterThan(before.received);
        expect(after.local).toBeGreaterThan(before.local);
        await sleep(300);
      }
      const report = await load.stop();
      expect(report.records.filter(({ error }) => error !== undefined)).toEqual([]);
      expect(report.requests).toBeGreaterThan((PER_SECOND * ROUNDS * DEAD_MS) / 1000 / 2);
      expect(Object.keys(report.perNode).sort()).toEqual(["node1", "node2", "node3"]);
      expect(duplicateRequests(cluster.servers, "http")).toEqual([]);
      // While it was dead the node answered its share.
      for (const [from, to] of windows) {
        const inWindow = report.records.filter(
          (r) => r.node === "node1" && r.startedMs > from && r.startedMs < to,
        );
        expect(inWindow.length).toBeGreaterThan(PER_SECOND / 3 / 4);
      }
    });
  }

  it("a dead daemon's node answers its own buckets only, and cleanup silences it and removes everything", async () => {
    const before = await snapshot(node);
    await cluster.startDaemonOn(node);
    await cluster.daemonOn(node).kill("SIGKILL");
    const request = { to: cluster.lab.vip, sources: cluster.sources, count: 90, timeoutMs: 1500 };
    const answers = await udpRequests(cluster.lab.client(), { ...request, ports: UDP_PORTS.slice(0, 1) });
    const wrong = answers.filter(({ saddr, sport, dport, replies }) => {
      const isOurs = cluster.ownerOf({ protocol: "udp", saddr, sport, dport }) === "node1";
      return replies.length !== (isOurs ? 1 : 0);
    });
    expect(wrong).toEqual([]);
    const cleanup = await clusterip(cluster.lab, node, ["cleanup"]);
    expect(cleanup).toMatchObject({ status: 0, stderr: "" });
    expect(cleanup.stdout).toContain("removed BPF programs on eth0\n");
    const silent = await udpRequests(cluster.lab.client(), {
      ...request,
      ports: UDP_PORTS.slice(0, 1),
      firstPort: 40_000,
    });
    expect(silent.filter(({ replies }) => replies.length > 0)).toEqual([]);
    expect(await snapshot(node)).toBe(before);
    expect((await clusterip(cluster.lab, node, ["cleanup"])).stdout).toBe("nothing to remove\n");
  });

  for (const [way, options] of ways) {
    it(`${way}: SIGTERM leaves nothing, also after a kill -9 in between`, async () => {
      const before = await snapshot(node);
      await cluster.startDaemonOn(node, { env: attaching(options) });
      await cluster.daemonOn(node).kill("SIGKILL");
      expect(await snapshot(node)).toContain(`link  ${CLUSTER_MAC} static`);
      await cluster.startDaemonOn(node, { env: attaching(options) });
      expect(await cluster.daemonOn(node).kill("SIGTERM")).toEqual({ code: 0, signal: null });
      expect(await snapshot(node)).toBe(before);
      expect((await node.exec(["tc", "qdisc", "show", "dev", "eth0"])).includes("clsact")).toBe(false);
      expect((await clusterip(cluster.lab, node, ["cleanup"])).stdout).not.toContain("BPF");
    });
  }

  it("a daemon with another configuration takes the programs of the dead one away", async () => {
    const before = await snapshot(node);
    await cluster.startDaemonOn(node);
    await cluster.daemonOn(node).kill("SIGKILL");
    // What was served by request comes back; what only the configuration file wanted does not.
    const daemon = await startDaemon(cluster.lab, node, { vips: [] });
    expect(await snapshot(node)).not.toContain(CLUSTER_MAC);
    await daemon.kill("SIGTERM");
    expect(await snapshot(node)).toBe(before);
    expect((await clusterip(cluster.lab, node, ["cleanup"])).stdout).not.toContain("BPF");
  });

  it("a cluster MAC that the configuration does not have any more is not kept", async () => {
    const before = await snapshot(node);
    await cluster.startDaemonOn(node);
    await cluster.daemonOn(node).kill("SIGKILL");
    const other = "4d:e2:58:37:f1:f2";
    const vips = [{ ...cluster.settingsOf(node), clustermac: other }];
    const daemon = await startDaemon(cluster.lab, node, { vips });
    expect(await snapshot(node)).toContain(other);
    expect(await snapshot(node)).not.toContain(CLUSTER_MAC);
    await daemon.kill("SIGTERM");
    expect(await snapshot(node)).toBe(before);
  });

  it("a subscription that was there before stays", async () => {
    await node.ip("maddr", "add", CLUSTER_MAC, "dev", "eth0");
    const before = await snapshot(node);
    await cluster.startDaemonOn(node);
    await cluster.daemonOn(node).kill("SIGTERM");
    expect(await snapshot(node)).toBe(before);
    await node.ip("maddr", "del", CLUSTER_MAC, "dev", "eth0");
  });
});
