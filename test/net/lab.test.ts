/**
 * The lab itself, against the nodes' own addresses: what network tests stand on has to be true without a daemon.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeNet } from "../support/lab/describe-net.ts";
import { Lab } from "../support/lab/lab.ts";
import { run } from "../support/lab/processes.ts";
import {
  duplicateRequests,
  type NodeServer,
  sendFrames,
  startHttpLoad,
  startServer,
  tcpConnections,
  udpRequests,
} from "../support/traffic/traffic.ts";
import { until } from "../support/wait.ts";
import { capture } from "../support/wire/capture.ts";

describeNet("lab", { tools: ["curl", "ping"] }, () => {
  let lab: Lab;
  let server: NodeServer;
  let sources: string[];

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 2, clients: 1, router: {} });
    const node = lab.node(1);
    server = await startServer(lab, node, {
      tcp: [7001, 7002],
      udp: [7003],
      http: 80,
      udpAddress: node.address,
    });
    sources = await lab.addSources(lab.client(), 40);
  });

  afterAll(async () => {
    await lab.close();
    await lab.close();
  });

  it("answers TCP connections from chosen addresses and ports", async () => {
    const connections = await tcpConnections(lab.client(), {
      to: lab.node(1).address,
      ports: [7001, 7002],
      sources,
      count: 400,
    });
    expect(connections).toHaveLength(400);
    expect(connections.filter(({ node }) => node !== "node1")).toEqual([]);
    expect(new Set(connections.map(({ saddr, sport }) => `${saddr}:${sport}`)).size).toBe(400);
    expect(server.requestsSeen("tcp")).toHaveLength(400);
  });

  it("reports refused connections", async () => {
    const [connection] = await tcpConnections(lab.client(), {
      to: lab.node(2).address,
      ports: [7001],
      sources,
      count: 1,
    });
    expect(connection).toMatchObject({ error: "ECONNREFUSED" });
  });

  it("answers UDP once, also datagrams of 8,000 bytes", async () => {
    const to = lab.node(1).address;
    const requests = await udpRequests(lab.client(), { to, ports: [7003], sources, count: 200, bytes: 8000 });
    expect(requests.filter(({ replies }) => replies.length !== 1)).toEqual([]);
    expect(requests[7]?.replies[0]).toEqual({ node: "node1", id: "udp-7", bytes: 8000, from: `${to}:7003` });
    expect(duplicateRequests([server], "udp")).toEqual([]);
  });

  it("runs a load over new connections until it is told to stop", async () => {
    const url = `http://${lab.node(1).address}/`;
    const load = await startHttpLoad(lab.client(), { url, sources, rate: 200 });
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const report = await load.stop();
    expect(report.requests).toBeGreaterThan(100);
    expect(report.failed).toBe(0);
    expect(report.perNode).toEqual({ node1: report.requests });
    expect(new Set(report.records.map(({ saddr, sport }) => `${saddr}:${sport}`)).size).toBe(report.requests);
  });

  it("runs a load over kept connections", async () => {
    const url = `http://${lab.node(1).address}/`;
    const options = { url, sources: sources.slice(0, 4), seconds: 1, keepAlive: true, tag: "kept" };
    const report = await (await startHttpLoad(lab.client(), options)).finished();
    expect(report.failed).toBe(0);
    expect(new Set(report.records.map(({ saddr, sport }) => `${saddr}:${sport}`)).size).toBe(4);
  });

  it("captures every frame on the LAN once", async () => {
    const recording = await capture(lab, lab.switch, "icmp");
    await lab.client().exec(["ping", "-q", "-c", "5", "-i", "0.01", lab.node(2).address]);
    const file = await recording.stop();
    const frames = (await run(["tcpdump", "-n", "-r", file])).stdout.trim().split("\n");
    expect(frames).toHaveLength(10);
    expect((await lab.client().arpTable()).get(lab.node(2).address)).toBe(lab.node(2).mac);
  });

  it("injects raw frames", async () => {
    const recording = await capture(lab, lab.node(2), "ether proto 0x88b5");
    const frame = Buffer.from(`ffffffffffff02770000020188b5${"00".repeat(46)}`, "hex");
    await sendFrames(lab.client(), [frame, frame, frame]);
    // The pcap file header, then a record header and 60 bytes a frame.
    expect(statSync(await recording.stop()).size).toBe(24 + 3 * (16 + 60));
  });

  it("has a path of a small MTU to the far client", async () => {
    const recording = await capture(lab, lab.router, "icmp[icmptype] == 3 and icmp[icmpcode] == 4");
    const url = `http://${lab.node(1).address}/big?bytes=10000000`;
    const download = ["curl", "-sS", "--max-time", "60", "-o", "/dev/null", "-w", "%{size_download}", url];
    expect(await lab.farClient.exec(download)).toBe("10000000");
    const needFragmentation = (await run(["tcpdump", "-n", "-r", await recording.stop()])).stdout;
    expect(needFragmentation).toContain("need to frag (mtu 1300)");
  });

  it("takes a NIC away and brings it back", async () => {
    const node = lab.node(2);
    // Longer than until the next ARP request: the switch's port takes its time.
    const ping = ["ping", "-q", "-c", "1", "-W", "10", node.address];
    await node.deleteInterface();
    expect((await lab.client().tryExec(ping)).status).toBe(1);
    await node.createInterface();
    await node.renameInterface("eth0", "away0");
    await node.renameInterface("away0", "eth0");
    expect((await lab.client().tryExec(ping)).status).toBe(0);
    expect((await lab.farClient.tryExec(ping)).status).toBe(0);
  });

  it("leaves nothing behind", async () => {
    const other = await Lab.create({ nodes: 1, network: "10.99.0" });
    const child = other.node(1).spawn(["sleep", "1000"]);
    const { pid } = child;
    await other.node(1).exec(["sh", "-c", "sleep 1000 >/dev/null 2>&1 &"]);
    const orphan = (await run(["ip", "netns", "pids", other.node(1).namespace])).stdout.split("\n")[1];
    expect(existsSync(`/proc/${orphan}`)).toBe(true);
    await other.close();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    await until(() => expect(commandLine(orphan)).toBe(""));
    expect(existsSync(other.directory)).toBe(false);
    expect((await run(["ip", "netns", "list"])).stdout).not.toContain(other.node(1).namespace);
  });
});

/** Empty for a process that is gone, and for one that its new parent has not reaped yet. */
function commandLine(pid: string | undefined): string {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}
