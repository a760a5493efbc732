/**
 * Firewalls with connection tracking on the nodes, as docs/network.md describes them: what the client of a bucket
 * sees that moves while it has a connection.
 *
 *     node1 (bucket 1)  ── bucket 1 moves ──►  node2: gets a segment of a connection that it does not know
 *     ══╧════════════════════════════════════════╧════════════════════════════════════╧══
 *                                                                                  client1
 */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { Cluster, HTTP_PORT } from "../support/cluster/cluster.ts";
import { Document } from "../support/documents/document.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { HttpSession } from "../support/traffic/http-session.ts";
import { sendFrames } from "../support/traffic/traffic.ts";
import { until } from "../support/wait.ts";
import { capture } from "../support/wire/capture.ts";
import {
  type CapturedFrame,
  ethernetFrame,
  ipv4Packet,
  readFrames,
  tcpSegment,
} from "../support/wire/frames.ts";

const network = new Document("docs/network.md");
const ACK = 0x10;
/** So often a client has sent its request when it counts as one that hangs. */
const SENT_IN_VAIN = 4;

/** A firewall that drops what is not said to be accepted. */
const firewall = (accept: string): string => `
  table inet filter {
    chain input {
      type filter hook input priority filter; policy drop;
      iif "lo" accept
      ct state established,related accept
      ct state invalid drop
      ip protocol icmp accept
      ${accept}
    }
  }`;

const documented = network.block("nft");
const anySegment = firewall("tcp dport 80 accept");
const beginningsOnly = firewall("tcp dport 80 tcp flags syn / fin,syn,rst,ack ct state new accept");

describeNet("the client of a moved bucket, behind a firewall", { tools: ["sysctl"] }, () => {
  let cluster: Cluster;
  let source: string;
  let nextPort = 30_000;
  let owner = 1;

  beforeAll(async () => {
    cluster = await Cluster.start({ network: "192.0.2", vip: "192.0.2.10", nodes: 2, sources: 1 });
    source = cluster.sources[0] ?? "";
  });

  afterEach(() => moveBucket1(1));
  afterAll(() => cluster?.close());

  it.each([
    ["no firewall", "", 1],
    ["one that accepts the port", anySegment, 1],
    ["the document's rules", documented, 1],
    ["the document's rules, nf_conntrack_tcp_loose=0", documented, 0],
  ])("%s: is reset, and the new owner answers its next connection", async (_, rules, loose) => {
    await protect(rules, loose);
    const session = await openOnNode1();
    await moveBucket1(2);
    session.send("after");
    await until(() => expect(session.events).toEqual(["before node1", "closed ECONNRESET"]));
    const next = await open("again");
    await until(() => expect(next.events).toEqual(["again node2"]));
    await next.close();
  });

  it.each([
    ["one that accepts the beginnings of connections", beginningsOnly, 1],
    ["ct state invalid drop, nf_conntrack_tcp_loose=0", anySegment, 0],
  ])("%s: hangs", async (_, rules, loose) => {
    await protect(rules, loose);
    const session = await openOnNode1();
    const { sourcePort } = session.options;
    const recording = await capture(cluster.lab, cluster.lab.client(), `tcp port ${sourcePort}`);
    await moveBucket1(2);
    session.send("after");
    await until(async () => {
      const frames = await readFrames(recording.file);
      expect(frames.filter(isFrom(source)).length).toBeGreaterThanOrEqual(SENT_IN_VAIN);
    });
    const frames = await readFrames(await recording.stop());
    expect(frames.filter(isFrom(cluster.lab.vip))).toEqual([]);
    expect(session.events).toEqual(["before node1"]);
    await session.close();
  });

  it.each([
    [0, true],
    [1, false],
  ])(
    "nf_conntrack_tcp_be_liberal=%i: a late segment of a living connection, reset: %s",
    async (value, isReset) => {
      await protect(documented, 1);
      const command = network.command("be_liberal").replace("=1", `=${value}`);
      for (const node of cluster.lab.nodes) await node.exec(command.split(" "));
      const session = await openOnNode1();
      const { sourcePort } = session.options;
      const recording = await capture(cluster.lab, cluster.lab.client(), `tcp port ${sourcePort}`);
      // From all over the sequence numbers, of which most are outside of every window, whatever the connection's are.
      const from = { address: source, port: sourcePort };
      const to = { address: cluster.lab.vip, port: HTTP_PORT };
      const ethernet = { from: cluster.lab.client().mac, to: cluster.clusterMac };
      const late = [1, 3, 5, 7, 9, 11, 13, 15].map((sixteenth) => {
        const segment = tcpSegment(from, to, ACK, sixteenth * 2 ** 28);
        const packet = ipv4Packet({ from: source, to: cluster.lab.vip, protocol: "tcp" }, segment);
        return ethernetFrame(ethernet, packet);
      });
      const send = (): Promise<unknown> => sendFrames(cluster.lab.client(), late);
      await send();
      const resets = async (file: string): Promise<number> =>
        (await readFrames(file)).filter((frame) => isFrom(cluster.lab.vip)(frame) && frame.ip?.tcp?.flags.rst)
          .length;
      if (isReset) {
        await until(async () => {
          // One that got lost on the way says nothing.
          await send();
          expect(await resets(recording.file)).toBeGreaterThan(0);
        });
      }
      session.send("after");
      await until(() => expect(session.events).toEqual(["before node1", "after node1"]));
      expect((await resets(await recording.stop())) > 0).toBe(isReset);
      await session.close();
    },
  );

  async function protect(rules: string, loose: number): Promise<void> {
    for (const node of cluster.lab.nodes) {
      const input = `table inet filter {}\ndelete table inet filter\n${rules}`;
      await node.exec(["nft", "-f", "-"], { input });
      await node.setSysctl("net/netfilter/nf_conntrack_tcp_loose", loose);
    }
  }

  /** A connection whose flow has bucket 1, after its first answer. */
  async function openOnNode1(): Promise<HttpSession> {
    const session = await open("before");
    await until(() => expect(session.events).toEqual(["before node1"]));
    return session;
  }

  async function open(firstRequest: string): Promise<HttpSession> {
    const flow = { protocol: "tcp", saddr: source, dport: HTTP_PORT } as const;
    const sourcePort = cluster.sourcePortFor(1, flow, nextPort);
    nextPort = sourcePort + 1;
    const { vip } = cluster.lab;
    const session = await HttpSession.open(cluster.lab.client(), {
      ...{ to: vip, port: HTTP_PORT, source, sourcePort },
    });
    session.send(firstRequest);
    return session;
  }

  async function moveBucket1(to: number): Promise<void> {
    if (to === owner) return;
    await cluster.changeNodes(cluster.lab.node(owner), "-1");
    await cluster.changeNodes(cluster.lab.node(to), "+1");
    owner = to;
  }
});

function isFrom(address: string): (frame: CapturedFrame) => boolean {
  return ({ ip }) => ip?.from === address;
}
