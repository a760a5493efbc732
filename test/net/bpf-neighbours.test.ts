/**
 * Other people's programs on the interface: they stay, they see what was accepted, and what they do to ours is put
 * back. While ours are away the node is silent, not doubled.
 *
 *     node1 (bucket 1)   node2 (bucket 2)            client1
 *     │ other tc and XDP programs                      │ UDP from 20 addresses
 *     ╧══════════════════╧═════════════════════════════╧══
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeBpf } from "../support/bpf/describe-bpf.ts";
import { type Attachment, attaching, removePrograms } from "../support/bpf/programs.ts";
import { Cluster, UDP_PORTS } from "../support/cluster/cluster.ts";
import { add, repairsOf, statusOf } from "../support/daemon/api.ts";
import { startDaemon } from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot, sortedLines } from "../support/lab/host-state.ts";
import { projectRoot } from "../support/lab/paths.ts";
import { runChecked } from "../support/lab/processes.ts";
import { answersPing } from "../support/traffic/ask.ts";
import { udpRequests } from "../support/traffic/traffic.ts";
import { until } from "../support/wait.ts";

const FLOWS = 100;

describeBpf("bpf: neighbours on the interface", { tools: ["clang", "ping", "tc"] }, () => {
  let cluster: Cluster;
  let node: Host;
  /** No flow is used twice. */
  let firstPort = 20_000;

  beforeAll(async () => {
    cluster = await Cluster.create({ engine: "bpf", env: attaching(), nodes: 2, sources: 20 });
    node = cluster.lab.node(1);
  });
  afterAll(() => cluster?.close());
  afterEach(async () => {
    await node.tryExec(["ip", "link", "set", "dev", "eth0", "xdpgeneric", "off"]);
    await node.tryExec(["ip", "link", "set", "dev", "eth0", "xdpdrv", "off"]);
    await node.tryExec(["tc", "qdisc", "del", "dev", "eth0", "clsact"]);
    await node.tryExec(["ip", "link", "del", "seen0"]);
    await cluster.recover();
  });

  /** Every flow is answered once, by its owner. */
  async function expectOwnersAnswer(): Promise<void> {
    const requests = await sendFlows();
    const wrong = requests.filter(({ saddr, sport, dport, replies }) => {
      return (
        replies.length !== 1 || replies[0]?.node !== cluster.ownerOf({ protocol: "udp", saddr, sport, dport })
      );
    });
    expect(wrong).toEqual([]);
  }

  function sendFlows(timeoutMs = 5000): ReturnType<typeof udpRequests> {
    firstPort += 1000;
    return udpRequests(cluster.lab.client(), {
      ...{
        to: cluster.lab.vip,
        ports: UDP_PORTS.slice(0, 1),
        sources: cluster.sources,
        count: FLOWS,
        firstPort,
        timeoutMs,
      },
      tag: `flow-${firstPort}`,
    });
  }

  const programsOf = async (): Promise<unknown> => {
    const daemon = cluster.daemons.get(node);
    return daemon === undefined ? undefined : (await statusOf(daemon)).nics[0]?.programs;
  };

  for (const clsact of [false, true]) {
    it(`another tc filter sees what is accepted and nothing else (${clsact ? "clsact" : "tcx"})`, async () => {
      // It shows what it sees to an interface that leads nowhere, and that one counts.
      await node.ip("link", "add", "name", "seen0", "up", "type", "veth", "peer", "name", "seen1");
      await node.ip("link", "set", "seen1", "up");
      await node.exec(["tc", "qdisc", "add", "dev", "eth0", "clsact"]);
      const match = ["protocol", "ip", "prio", "5", "u32", "match", "ip", "dst", `${cluster.lab.vip}/32`];
      const show = ["action", "mirred", "egress", "mirror", "dev", "seen0"];
      await node.exec(["tc", "filter", "add", "dev", "eth0", "ingress", ...match, ...show]);
      const before = await snapshot(node);
      await cluster.startAll({ env: attaching({ clsact }) });
      expect(await programsOf()).toEqual({ tc: clsact ? "clsact" : "tcx", xdp: "off" });
      expect(await framesSeen()).toBe(0);
      await expectOwnersAnswer();
      const { virtualIps, nics } = await statusOf(cluster.daemonOn(node));
      const local = virtualIps[0]?.buckets[0]?.local.frames ?? 0;
      expect(nics[0]?.byVerdict.foreign.frames).toBeGreaterThan(FLOWS / 4);
      expect(local).toBeGreaterThan(FLOWS / 4);
      expect(await framesSeen()).toBe(local);
      await cluster.stopAll();
      expect(await snapshot(node)).toBe(before);
      expect(await node.exec(["tc", "filter", "show", "dev", "eth0", "ingress"])).toContain("match");
    });
  }

  it("somebody else's tcx program that comes to the front later gets what ours has accepted", async () => {
    await cluster.startAll();
    const other = node.spawn([
      "python3",
      path.join(projectRoot, "test/support/bpf/reach-program.py"),
      "eth0",
    ]);
    try {
      const daemon = cluster.daemonOn(node);
      await until(async () => expect((await repairsOf(daemon))["program"]).toBe(1));
      // It accepts every frame: in front, this node would answer what is node 2's as well.
      await expectOwnersAnswer();
      expect((await statusOf(daemon)).problems).toEqual([]);
      await cluster.stopAll();
    } finally {
      // What it accepts never comes to a clsact qdisc behind it.
      await other.kill("SIGTERM");
    }
    expect(await node.exec(["sh", "-c", "ip -d link show eth0"])).not.toContain("clusterip");
  });

  async function framesSeen(): Promise<number> {
    const [link] = JSON.parse(await node.ip("-json", "-s", "link", "show", "seen0")) as {
      stats64: { tx: { packets: number } };
    }[];
    return link?.stats64.tx.packets ?? -1;
  }

  for (const mode of ["xdpgeneric", "xdpdrv"] as const) {
    it(`somebody else's XDP program (${mode}) stays, and status says that ours is not there`, async () => {
      const object = await compilePass();
      await node.exec(["ip", "link", "set", "dev", "eth0", mode, "obj", object, "sec", "xdp"]);
      const before = await snapshot(node);
      await cluster.startAll({ env: attaching({ xdp: mode === "xdpdrv" ? "native" : "generic" }) });
      expect(await programsOf()).toMatchObject({
        tc: "tcx",
        xdp: "off",
        xdpOffBecause: expect.stringMatching(/^another XDP program is attached \(id \d+\)$/),
      });
      await expectOwnersAnswer();
      await cluster.stopAll();
      expect(await snapshot(node)).toBe(before);
    });
  }

  async function compilePass(): Promise<string> {
    const source = path.join(cluster.lab.directory, "pass.c");
    const object = path.join(cluster.lab.directory, "pass.o");
    writeFileSync(
      source,
      'struct xdp_md;\n__attribute__((section("xdp"), used)) int pass(struct xdp_md* context) { (void)context; return 2; }\n',
    );
    await runChecked(["clang", "-target", "bpf", "-O2", "-c", source, "-o", object]);
    return object;
  }

  for (const xdp of ["native", "generic"] as const) {
    it(`XDP ${xdp}: the owners answer, and every frame is counted once`, async () => {
      await cluster.startAll({ env: attaching({ xdp }) });
      expect(await programsOf()).toEqual({ tc: "tcx", xdp });
      await answersPing(cluster.lab.client(), cluster.lab.vip);
      const before = await countsOf();
      await expectOwnersAnswer();
      const after = await countsOf();
      // Each node sees all of it; both together accept it once.
      for (const index of [0, 1]) expect((after.all[index] ?? 0) - (before.all[index] ?? 0)).toBe(FLOWS);
      expect(after.accepted - before.accepted).toBe(FLOWS);
      await cluster.stopAll();
    });
  }

  async function countsOf(): Promise<{ all: number[]; accepted: number }> {
    const statuses = await Promise.all([...cluster.daemons.values()].map(statusOf));
    const buckets = statuses.map(({ virtualIps }) => virtualIps[0]?.buckets ?? []);
    const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
    return {
      all: buckets.map((list) => sum(list.map(({ local, foreign }) => local.frames + foreign.frames))),
      accepted: sum(buckets.flatMap((list) => list.map(({ local }) => local.frames))),
    };
  }

  const removals: [string, Attachment, () => Promise<unknown>][] = [
    ["tcx: the program detached", {}, () => removePrograms(node)],
    ["tcx: the program and XDP detached", { xdp: "native" }, () => removePrograms(node)],
    [
      "clsact: tc qdisc del",
      { clsact: true },
      () => node.exec(["tc", "qdisc", "del", "dev", "eth0", "clsact"]),
    ],
  ];
  for (const [name, options, remove] of removals) {
    it(`puts back, and nothing is answered twice meanwhile: ${name}`, async () => {
      await cluster.startAll({ env: attaching(options) });
      const daemon = cluster.daemonOn(node);
      const before = await snapshot(node);
      const attached = await programsOf();
      for (let round = 1; round <= 3; round += 1) {
        const repaired = (await repairsOf(daemon))["program"] ?? 0;
        const flows = sendFlows(700);
        await remove();
        // It may look between one program's removal and the next one's: two repairs.
        await until(async () => expect((await repairsOf(daemon))["program"]).toBeGreaterThan(repaired));
        await until(async () => expect(await programsOf()).toEqual(attached));
        const doubled = (await flows).filter(({ replies }) => replies.length > 1);
        expect(doubled).toEqual([]);
      }
      expect(await snapshot(node)).toContain(CLUSTER_MAC);
      expect(sortedLines(await snapshot(node))).toBe(sortedLines(before));
      await expectOwnersAnswer();
      await cluster.stopAll();
    });
  }

  it("both engines on one interface: each serves its own addresses", async () => {
    const second = "10.77.0.101";
    const daemon = await startDaemon(cluster.lab, node, {
      vips: [
        { "total-nodes": 1, "local-node": [1], engine: "bpf" },
        { "total-nodes": 1, "local-node": [1], engine: "userspace", vip: second },
      ],
    });
    const { virtualIps, nics } = await statusOf(daemon);
    expect(virtualIps.map(({ vip, engine }) => `${vip} ${engine}`).sort()).toEqual([
      `${cluster.lab.vip} bpf`,
      `${second} userspace`,
    ]);
    expect(nics.map(({ nic, engine }) => `${nic} ${engine}`)).toEqual(["eth0 bpf", "eth0 userspace"]);
    for (const vip of [cluster.lab.vip, second]) await answersPing(cluster.lab.client(), vip);
    await add(daemon, { vip: "10.77.0.102", nic: "eth0", "total-nodes": 2, "local-node": 2, engine: "bpf" });
    for (const vip of [cluster.lab.vip, second]) await answersPing(cluster.lab.client(), vip);
    await sleep(300);
    expect((await repairsOf(daemon))["program"]).toBe(0);
    await daemon.kill("SIGTERM");
  });
});
