/**
 * The prefilter in front of real traffic. With one dropped frame in 65,536 passing it does all the work: what is
 * answered has passed it, and what is not has ended there.
 *
 *     node1 (bucket 1)   node2 (bucket 2)   node3 (bucket 3)        client1
 *          │                   │                  │                    │ real clients, raw frames, a flood
 *        ══╧═══════════════════╧══════════════════╧════════════════════╧══
 */
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { NicStatus } from "../../src/daemon/status.ts";
import { type Reason, verdicts } from "../../src/index.ts";
import { Cluster, HTTP_PORT, TCP_PORTS, UDP_PORTS } from "../support/cluster/cluster.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import {
  duplicateRequests,
  sendFrames,
  startHttpLoad,
  tcpConnections,
  udpRequests,
} from "../support/traffic/traffic.ts";
import { until } from "../support/wait.ts";
import { ethernetFrame, fragmentsOf, icmpMessage, ipv4Packet, udpDatagram } from "../support/wire/frames.ts";

const STRANGER_MAC = "02:77:00:00:09:09";
const BUCKETS = [1, 2, 3];

async function nicOf(cluster: Cluster, number: number): Promise<NicStatus> {
  const [nic] = (await cluster.status(cluster.lab.node(number))).nics;
  if (nic === undefined) throw new Error(`node ${number} has no interface`);
  return nic;
}

function expectSumsToHold({ received, byVerdict }: NicStatus): void {
  const sum = verdicts.reduce((frames, verdict) => frames + byVerdict[verdict].frames, 0);
  expect(received.frames).toBe(sum);
}

/** Copies of one datagram of the given bucket to a port without a server. */
function datagrams(cluster: Cluster, bucket: number, count: number, to = cluster.clusterMac): Buffer[] {
  const saddr = cluster.sources[0] ?? "";
  const port = cluster.sourcePortFor(bucket, { protocol: "udp", saddr });
  const packet = ipv4Packet({ from: saddr, to: cluster.lab.vip, protocol: "udp" }, udpDatagram(port, 9, "x"));
  return Array.from({ length: count }, () => ethernetFrame({ from: cluster.lab.client().mac, to }, packet));
}

/** One dropped frame in so many passes: of the few that are sent here, next to none. */
const SAMPLING = 65_536;

for (const workers of [1, 3])
  describeNet(`the prefilter does all the work, workers: ${workers}`, { tools: ["ping", "taskset"] }, () => {
    let cluster: Cluster;

    beforeAll(async () => {
      cluster = await Cluster.start({
        engine: "userspace",
        config: { "foreign-sampling": SAMPLING, workers },
      });
    });
    afterAll(() => cluster?.close());

    it("the kernel takes the program", async () => {
      for (const number of BUCKETS) {
        const { prefilter } = await nicOf(cluster, number);
        expect(prefilter).toMatchObject({ state: "attached", sampling: SAMPLING, passedUp: [] });
        expect(prefilter?.instructions).toBeGreaterThan(50);
      }
    });

    it("there are as many threads, and all share the device", async () => {
      const names = ioThreads(cluster.daemonOn(cluster.lab.node(1)).pid).map(({ name }) => name);
      expect(names.sort()).toEqual(["clusteripd-io", "clusteripd-io1", "clusteripd-io2"].slice(0, workers));
    });

    it("frames that come in on another CPU are another worker's, and counted with the rest", async () => {
      const pid = cluster.daemonOn(cluster.lab.node(1)).pid;
      for (const cpu of availableParallelism() > 1 ? [0, 1] : [0]) {
        const [before, wokenBefore] = [await cluster.virtualIpStatus(cluster.lab.node(1)), ioThreads(pid)];
        await sendFrames(cluster.lab.client(), datagrams(cluster, 1, 200), { cpu, intervalUs: 500 });
        const local = (status: typeof before): number => status.buckets[0]?.local.frames ?? 0;
        await until(async () => {
          const after = await cluster.virtualIpStatus(cluster.lab.node(1));
          expect(local(after) - local(before)).toBe(200);
        });
        const wakeUps = ioThreads(pid).map(
          ({ switches }, index) => switches - (wokenBefore[index]?.switches ?? 0),
        );
        expect(wakeUps.indexOf(Math.max(...wakeUps))).toBe(cpu % workers);
      }
    });

    it("TCP, UDP and ping: every flow is answered by its owner, once, in every mode of fragments", async () => {
      const common = { to: cluster.lab.vip, sources: cluster.sources, count: 240 };
      const connections = await tcpConnections(cluster.lab.client(), { ...common, ports: TCP_PORTS });
      expect(connections.filter((c) => c.node !== cluster.ownerOf({ protocol: "tcp", ...c }))).toEqual([]);
      for (const bytes of [40, 1472, 5000]) {
        const requests = await udpRequests(cluster.lab.client(), {
          ...common,
          ports: UDP_PORTS,
          bytes,
          tag: `size-${bytes}-`,
        });
        expect(
          requests.filter(
            (r) => String(r.replies.map(({ node }) => node)) !== cluster.ownerOf({ protocol: "udp", ...r }),
          ),
        ).toEqual([]);
      }
      const [saddr = ""] = cluster.sources;
      // ping waits for the last reply no longer than this interval.
      const ping = ["ping", "-q", "-I", saddr, "-c", "3", "-i", "0.5", cluster.lab.vip];
      expect(await cluster.lab.client().exec(ping)).toContain("3 packets transmitted, 3 received");
    });

    it("what it drops does not reach the engine, and what it must not decide does", async () => {
      const before = await nicOf(cluster, 1);
      await sendFrames(cluster.lab.client(), [
        ...datagrams(cluster, 2, 100),
        ...datagrams(cluster, 1, 100, STRANGER_MAC),
        ...laterFragments(50),
        ...unsolicited(50),
      ]);
      await until(async () => {
        const after = await nicOf(cluster, 1);
        const counted = (reason: Reason): number =>
          after.byReason[reason].frames - before.byReason[reason].frames;
        // One that passed by chance stands for as many as are dropped for each.
        expect([0, SAMPLING]).toContain(counted("foreign-bucket"));
        expect([0, SAMPLING]).toContain(counted("other-host"));
        expect(counted("later-fragment")).toBe(50);
        expect(counted("icmp-unsolicited")).toBe(50);
        expectSumsToHold(after);
      });
    });

    it("a bucket moves: the filter goes with it, and a flow is answered from the next packet on", async () => {
      const options = {
        to: cluster.lab.vip,
        ports: UDP_PORTS.slice(0, 1),
        sources: cluster.sources,
        count: 60,
      };
      for (let move = 0; move < 12; move += 1) {
        const bucket = 1 + (move % 3);
        const [from, to] = [cluster.lab.node(bucket), cluster.lab.node(1 + (bucket % 3))];
        await cluster.changeNodes(from, `-${bucket}`);
        await cluster.changeNodes(to, `+${bucket}`);
        const moved = await udpRequests(cluster.lab.client(), {
          ...options,
          lingerMs: 0,
          tag: `moved-${move}-`,
        });
        const ownerOf = (request: (typeof moved)[number]): string =>
          cluster.bucketOf({ protocol: "udp", ...request }) === bucket
            ? to.name
            : cluster.ownerOf({ protocol: "udp", ...request });
        expect(moved.filter((r) => String(r.replies.map(({ node }) => node)) !== ownerOf(r))).toEqual([]);
        await cluster.changeNodes(to, `-${bucket}`);
        await cluster.changeNodes(from, `+${bucket}`);
      }
      expect(duplicateRequests(cluster.servers, "udp")).toEqual([]);
    });

    it("under load no request is answered twice while buckets move", async () => {
      const load = await startHttpLoad(cluster.lab.client(), {
        ...{ url: `http://${cluster.lab.vip}:${HTTP_PORT}/`, sources: cluster.sources, rate: 150 },
        ...{ concurrency: 400, timeoutMs: 4000 },
      });
      for (let move = 0; move < 20; move += 1) {
        await cluster.changeNodes(cluster.lab.node(1), "-1");
        await cluster.changeNodes(cluster.lab.node(2), "+1");
        await sleep(20);
        await cluster.changeNodes(cluster.lab.node(2), "-1");
        await cluster.changeNodes(cluster.lab.node(1), "+1");
        await sleep(20);
      }
      const report = await load.stop();
      expect(duplicateRequests(cluster.servers, "http")).toEqual([]);
      // What is on its way while its bucket moves, here most of the time, is lost.
      expect(report.answered / report.requests).toBeGreaterThan(0.5);
    });

    function laterFragments(count: number): Buffer[] {
      const fields = {
        from: cluster.sources[0] ?? "",
        to: cluster.lab.vip,
        protocol: "udp",
        id: 77,
      } as const;
      const [, later = Buffer.alloc(0)] = fragmentsOf(fields, udpDatagram(1, 9, "y".repeat(100)), 56);
      const addresses = { from: cluster.lab.client().mac, to: cluster.clusterMac };
      return Array.from({ length: count }, () => ethernetFrame(addresses, later));
    }

    function unsolicited(count: number): Buffer[] {
      const message = icmpMessage(0, 0, Buffer.alloc(40));
      const packet = ipv4Packet(
        { from: cluster.sources[0] ?? "", to: cluster.lab.vip, protocol: "icmp" },
        message,
      );
      const addresses = { from: cluster.lab.client().mac, to: cluster.clusterMac };
      return Array.from({ length: count }, () => ethernetFrame(addresses, packet));
    }
  });

/** The threads of the packet path, and how often each has gone to sleep and been woken. */
function ioThreads(pid: number): { name: string; switches: number }[] {
  return readdirSync(`/proc/${pid}/task`)
    .map((thread) => readFileSync(`/proc/${pid}/task/${thread}/status`, "utf8"))
    .map((status) => ({
      name: /^Name:\s+(.+)$/m.exec(status)?.[1] ?? "",
      switches: Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(status)?.[1]),
    }))
    .filter(({ name }) => name.startsWith("clusteripd-io"))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

describeNet("foreign frames counted by samples", {}, () => {
  let cluster: Cluster;
  const DENSE_SAMPLING = 16;
  const SENT = 20_000;

  beforeAll(async () => {
    cluster = await Cluster.start({
      engine: "userspace",
      nodes: 2,
      config: { "foreign-sampling": DENSE_SAMPLING },
    });
  });
  afterAll(() => cluster?.close());

  it("the estimate is within five standard errors, and says how good it is", async () => {
    const before = await cluster.virtualIpStatus(cluster.lab.node(1));
    await sendFrames(cluster.lab.client(), datagrams(cluster, 2, SENT));
    // The owner counts what is its own, every frame.
    await until(async () => {
      const owner = await cluster.virtualIpStatus(cluster.lab.node(2));
      expect(owner.buckets[1]?.local.frames).toBeGreaterThanOrEqual(SENT);
    });
    await sleep(200);
    const status = await cluster.virtualIpStatus(cluster.lab.node(1));
    const counted = (status.buckets[1]?.foreign.frames ?? 0) - (before.buckets[1]?.foreign.frames ?? 0);
    const standardError = Math.sqrt(SENT * (DENSE_SAMPLING - 1));
    expect(Math.abs(counted - SENT)).toBeLessThan(5 * standardError);
    expect(counted % DENSE_SAMPLING).toBe(0);
    expect(status.foreignStandardError / standardError).toBeCloseTo(1, 0);
    const nic = await nicOf(cluster, 1);
    expectSumsToHold(nic);
    expect(nic.receivedStandardError).toBeGreaterThanOrEqual(status.foreignStandardError);
  });
});

describeNet("foreign-sampling auto", {}, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start({ engine: "userspace", nodes: 2 });
  });
  afterAll(() => cluster?.close());

  it("counts exactly while foreign frames are few, and filters when they are many", async () => {
    await sleep(1500);
    const { prefilter, byReason } = await nicOf(cluster, 1);
    expect(prefilter?.state).toBe("off");
    await sendFrames(cluster.lab.client(), datagrams(cluster, 2, 500));
    await until(async () => {
      const exact = await nicOf(cluster, 1);
      expect(exact.byReason["foreign-bucket"].frames).toBe(byReason["foreign-bucket"].frames + 500);
      expect(exact.receivedStandardError).toBe(0);
    });

    const flood = sendFrames(cluster.lab.client(), datagrams(cluster, 2, 60_000));
    const isAttached = async (): Promise<boolean> =>
      (await nicOf(cluster, 1)).prefilter?.state === "attached";
    await flood;
    await until(async () => expect(await isAttached()).toBe(true));
    expect((await nicOf(cluster, 1)).prefilter?.sampling).toBeGreaterThan(1);
    expectSumsToHold(await nicOf(cluster, 1));
  });
});
