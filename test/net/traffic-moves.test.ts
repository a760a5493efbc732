/**
 * Buckets move from node to node under load, and no request is ever answered twice.
 *
 *     node1 (bucket 1)   node2 (bucket 2)   node3 (bucket 3)     client1              client2
 *          │     ───────────►  │                  │                │ load: HTTP, UDP     │ probes
 *        ══╧═══════════════════╧══════════════════╧════════════════╧═════════════════════╧══
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster, HTTP_PORT, UDP_PORTS } from "../support/cluster/cluster.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { duplicateRequests, startHttpLoad } from "../support/traffic/traffic.ts";
import { UdpProber } from "../support/traffic/udp-prober.ts";
import { until } from "../support/wait.ts";

const MOVES = 100;
const HTTP_PER_SECOND = 150;
const UDP_INTERVAL_MS = 2;
/** Between two moves, so that every one finds requests on their way. */
const PAUSE_MS = 50;
const LOAD_PORT = UDP_PORTS[0] ?? 0;
const PROBE_PORT = UDP_PORTS[1] ?? 0;

describeNet("buckets move under load", {}, () => {
  let cluster: Cluster;
  let load: UdpProber;
  let prober: UdpProber;
  let ticker: NodeJS.Timeout | undefined;

  beforeAll(async () => {
    cluster = await Cluster.start({ clients: 2 });
    load = await UdpProber.start(cluster.lab.client(1), cluster.lab.vip, LOAD_PORT);
    prober = await UdpProber.start(cluster.lab.client(2), cluster.lab.vip, PROBE_PORT);
  });

  afterAll(async () => {
    clearInterval(ticker);
    await cluster?.close();
  });

  it("100 moves to and fro: the next packet follows the new owner, nothing is answered twice", async () => {
    const url = `http://${cluster.lab.vip}:${HTTP_PORT}/`;
    const http = await startHttpLoad(cluster.lab.client(), {
      ...{ url, sources: cluster.sources, rate: HTTP_PER_SECOND, concurrency: 400, timeoutMs: 4000 },
    });
    startUdpLoad("load");
    const owners = [1, 2, 3];
    const wrong: string[] = [];
    const begun = performance.now();
    const movesMs: number[] = [];
    for (let move = 0; move < MOVES; move += 1) {
      const bucket = 1 + (move % 3);
      const from = owners[bucket - 1] ?? 0;
      const to = 1 + (from % 3);
      const moveBegun = performance.now();
      await cluster.changeNodes(cluster.lab.node(from), `-${bucket}`);
      await cluster.changeNodes(cluster.lab.node(to), `+${bucket}`);
      movesMs.push(performance.now() - moveBegun);
      owners[bucket - 1] = to;
      const answeredBy = await probe(`probe-${move}`, bucket);
      if (answeredBy !== `node${to}`) wrong.push(`move ${move}: ${answeredBy} instead of node${to}`);
      await sleep(PAUSE_MS);
    }
    clearInterval(ticker);
    // The bucket that moves, one of three, is nobody's meanwhile: for longer where the machine is busy.
    const movingMs = movesMs.reduce((sum, ms) => sum + ms, 0);
    const expectedLoss = movingMs / (performance.now() - begun) / 3;
    const report = await http.stop();

    expect(wrong).toEqual([]);
    expect(duplicateRequests(cluster.servers, "http")).toEqual([]);
    expect(duplicateRequests(cluster.servers, "udp")).toEqual([]);
    expect(repliedTwice(load)).toEqual([]);
    expect(repliedTwice(prober)).toEqual([]);
    // There was a load, and each move cost no more than what was on its way through the bucket.
    expect(load.sent).toBeGreaterThan(500);
    expect(1 - load.replies.size / load.sent).toBeLessThan(2 * expectedLoss + 0.05);
    expect(report.requests).toBeGreaterThan(200);
    expect(1 - report.answered / report.requests).toBeLessThan(2 * expectedLoss + 0.05);
    expect(Object.keys(report.perNode).sort()).toEqual(["node1", "node2", "node3"]);
  });

  it("a bucket on two nodes is answered twice, and these tests would notice", async () => {
    const [bucket, owner] = await ownerOfFirstBucket();
    const second = cluster.lab.nodes.find((node) => node !== owner) ?? owner;
    await cluster.changeNodes(second, `+${bucket}`);
    await probe("two-owners", bucket);
    await until(() => expect(repliedTwice(prober)).toEqual(["two-owners"]));
    await cluster.changeNodes(second, `-${bucket}`);
    expect(duplicateRequests(cluster.servers, "udp")).toEqual(["two-owners"]);
    expect(repliedTwice(prober)).toEqual(["two-owners"]);
  });

  function startUdpLoad(tag: string): void {
    let sent = 0;
    ticker = setInterval(() => {
      const source = cluster.sources[sent % cluster.sources.length] ?? "";
      load.send(`${tag}-${sent}`, source, 41_000 + (sent % 7));
      sent += 1;
    }, UDP_INTERVAL_MS);
  }

  /** One datagram, from a flow of its own, in this bucket. */
  async function probe(id: string, bucket: number): Promise<string | undefined> {
    const saddr = cluster.lab.client(2).address;
    const flow = { protocol: "udp", saddr, dport: PROBE_PORT } as const;
    const sport = cluster.sourcePortFor(bucket, flow, 30_000 + prober.sent * 20);
    return await prober.probe(id, saddr, sport);
  }

  async function ownerOfFirstBucket(): Promise<[number, Host]> {
    for (const node of cluster.lab.nodes) {
      const bucket = (await cluster.virtualIpStatus(node)).localNodes[0];
      if (bucket !== undefined) return [bucket, node];
    }
    throw new Error("no node has a bucket");
  }
});

function repliedTwice(prober: UdpProber): string[] {
  return [...prober.replies].flatMap(([id, nodes]) => (nodes.length > 1 ? [id] : []));
}
