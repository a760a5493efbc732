/**
 * Nobody on the LAN ever hears of the virtual IP with anything but the cluster MAC, and no switch ever sees the
 * cluster MAC as a sender: whatever is asked, flapped, restarted or killed meanwhile.
 *
 *                    ┌── eth1, same LAN
 *     node1        node2          node3           client1
 *     │ SIGTERM,   │ link         │ kill -9,       │ 1,000 requests by arping,
 *     │ restart    │ flaps        │ restart        │ 1,000 raw ones
 *   ══╧════════════╧══════════════╧════════════════╧══   capture of all ARP, and of all from the cluster MAC
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, tally } from "../support/cluster/cluster.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { addNic } from "../support/lab/second-nic.ts";
import { sendFrames } from "../support/traffic/traffic.ts";
import { type Capture, capture } from "../support/wire/capture.ts";
import { arpRequest, type CapturedFrame, readFrames } from "../support/wire/frames.ts";

const ARPINGS = 100;
const REQUESTS_EACH = 10;
const SECOND_MAC = "02:77:00:00:04:02";
const REPLY = 2;

describeNet("ARP for the virtual IP", { tools: ["arping", "ping"] }, () => {
  let cluster: Cluster;
  /** Addresses that nobody has: a question for each is asked on the LAN. */
  let nextStranger = 230;

  beforeAll(async () => {
    cluster = await Cluster.start({ sources: 1 });
  });

  afterAll(() => cluster?.close());

  it("each node answers each request with the cluster MAC, from its own", async () => {
    const { requests } = rawRequests(100);
    const recording = await captureArp();
    await sendFrames(cluster.lab.client(), requests, { intervalUs: 1000 });
    const frames = await readFrames(await recording.stop());
    expectNoPoison(frames);
    const replies = frames.filter(({ arp }) => isAnswer(arp));
    expect(tally(replies.map(({ from, arp }) => `${from} ${arp?.senderMac}`))).toEqual(
      new Map(cluster.lab.nodes.map(({ mac }) => [`${mac} ${cluster.clusterMac}`, 100])),
    );
  });

  it("what a node asks a neighbour to answer from the virtual IP, it asks as itself", async () => {
    const recording = await captureArp();
    for (const node of cluster.lab.nodes) await askFromVirtualIp(node);
    const frames = await readFrames(await recording.stop());
    expect(frames.filter(({ from }) => from === cluster.clusterMac)).toEqual([]);
    // Replies are what the nodes say to each other's probes.
    const claims = frames.filter(({ arp }) => arp?.senderAddress === cluster.lab.vip);
    expect(claims.filter(({ arp }) => arp?.operation !== REPLY)).toEqual([]);
    const asked = frames.flatMap(({ from, arp }) =>
      arp !== undefined && /\.2[345]\d$/.test(arp.targetAddress)
        ? [`${cluster.nodeOfMac(from)} ${arp.senderAddress} ${arp.senderMac}`]
        : [],
    );
    expect([...new Set(asked)].sort()).toEqual(
      cluster.lab.nodes.map(({ name, address, mac }) => `${name} ${address} ${mac}`),
    );
  });

  it("2,000 requests through link flaps, restarts and kill -9: not one poisoned frame", async () => {
    const [first, second, third] = [cluster.lab.node(1), cluster.lab.node(2), cluster.lab.node(3)];
    // The kernel announces the addresses of an interface that comes up: the most dangerous ARP of all.
    for (const node of cluster.lab.nodes) await node.setSysctl("net/ipv4/conf/all/arp_notify", 1);
    const recording = await captureArp();
    const { requests } = rawRequests(1000);
    const answered = arpings();
    await Promise.all([
      answered,
      sendFrames(cluster.lab.client(), requests, { intervalUs: 5000 }),
      restart(first, "SIGTERM", 3),
      flapLink(second, 6),
      restart(third, "SIGKILL", 3),
    ]);
    const frames = await readFrames(await recording.stop());

    expectNoPoison(frames);
    const asked = frames.filter(
      ({ arp }) => arp?.operation !== REPLY && arp?.targetAddress === cluster.lab.vip,
    );
    // An arping that waits for its CPU leaves out requests; the raw ones are all sent.
    expect(asked.length).toBeGreaterThan(requests.length);
    // Some node was there to answer at any moment.
    expect(
      (await answered).filter((text) => !text.includes(`Received `) || text.includes("Received 0")),
    ).toEqual([]);
    const answeringNodes = tally(
      frames
        .filter(({ arp }) => arp?.operation === REPLY && arp.senderAddress === cluster.lab.vip)
        .map(({ from }) => cluster.nodeOfMac(from)),
    );
    expect([...answeringNodes.keys()].sort()).toEqual(["node1", "node2", "node3"]);
    await cluster.lab.client().exec(["ping", "-q", "-c", "1", "-W", "10", cluster.lab.vip]);
    expect((await cluster.lab.client().arpTable()).get(cluster.lab.vip)).toBe(cluster.clusterMac);
  });

  it("a second NIC on the same LAN says nothing", async () => {
    const node = cluster.lab.node(2);
    await addNic(cluster.lab, node, { nic: "eth1", mac: SECOND_MAC, address: "10.77.0.22/24" });
    const { requests } = rawRequests(100);
    const recording = await captureArp();
    await sendFrames(cluster.lab.client(), requests, { intervalUs: 1000 });
    await askFromVirtualIp(node);
    const frames = await readFrames(await recording.stop());

    expectNoPoison(frames);
    const replies = frames.filter(({ arp }) => isAnswer(arp));
    expect(tally(replies.map(({ from }) => from))).toEqual(
      new Map(cluster.lab.nodes.map(({ mac }) => [mac, 100])),
    );
    // It is on the LAN, and answers for its own address.
    const probe = ["arping", "-c", "1", "-w", "2", "-I", "eth0", "10.77.0.22"];
    expect(await cluster.lab.client().exec(probe)).toContain("Received 1 response");
  });

  /** To a client; a daemon asks, too, whether somebody else has the address (RFC 5227), and is answered by its peers. */
  function isAnswer(arp: CapturedFrame["arp"]): boolean {
    return (
      arp?.operation === REPLY && arp.senderAddress === cluster.lab.vip && arp.targetAddress !== "0.0.0.0"
    );
  }

  function captureArp(): Promise<Capture> {
    const filter = `arp or ether src ${cluster.clusterMac}`;
    return capture(cluster.lab, cluster.lab.switch, filter);
  }

  function expectNoPoison(frames: readonly CapturedFrame[]): void {
    expect(frames.filter(({ from }) => from === cluster.clusterMac)).toEqual([]);
    const claims = frames.filter(({ arp }) => arp?.senderAddress === cluster.lab.vip);
    expect(claims.filter(({ arp }) => arp?.senderMac !== cluster.clusterMac)).toEqual([]);
    expect(claims.length).toBeGreaterThan(0);
  }

  function rawRequests(count: number): { requests: Buffer[] } {
    const { mac } = cluster.lab.client();
    const request = arpRequest({ mac, address: cluster.sources[0] ?? "" }, cluster.lab.vip);
    return { requests: Array.from({ length: count }, () => request) };
  }

  /** arping asks once a second: 1,000 requests in ten seconds take 100 of them. Half go on by unicast. */
  function arpings(): Promise<string[]> {
    return Promise.all(
      Array.from({ length: ARPINGS }, async (_, index) => {
        await sleep(index * 10);
        const mode = index % 2 === 0 ? ["-b"] : [];
        const argv = ["arping", ...mode, "-c", String(REQUESTS_EACH), "-I", "eth0", cluster.lab.vip];
        return (await cluster.lab.client().tryExec(argv)).stdout;
      }),
    );
  }

  async function askFromVirtualIp(node: Host): Promise<void> {
    for (let question = 0; question < 3; question += 1) {
      const stranger = `10.77.0.${nextStranger}`;
      nextStranger = nextStranger >= 254 ? 230 : nextStranger + 1;
      await node.tryExec(["ping", "-q", "-c", "1", "-W", "0.1", "-I", cluster.lab.vip, stranger]);
    }
  }

  async function restart(node: Host, signal: "SIGTERM" | "SIGKILL", times: number): Promise<void> {
    for (let round = 0; round < times; round += 1) {
      await sleep(1000);
      await cluster.daemonOn(node).kill(signal);
      // A dead daemon's node goes on asking and answering: its tables are still there.
      await askFromVirtualIp(node);
      await sleep(500);
      await cluster.startDaemonOn(node);
    }
  }

  async function flapLink(node: Host, times: number): Promise<void> {
    for (let round = 0; round < times; round += 1) {
      await sleep(500);
      await node.linkDown();
      await sleep(200);
      await node.linkUp();
      await askFromVirtualIp(node);
    }
  }
});
