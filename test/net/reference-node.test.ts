/**
 * One of three nodes is the reference: cap, classify() and raw-socket. Native nodes and the one that judges
 * by the specification together answer every flow exactly once.
 *
 *     node1        node2           node3         client1, 40 addresses
 *     clusteripd   the reference   clusteripd      │
 *     bucket 1     bucket 2        bucket 3        │
 *       │            │               │             │
 *     ══╧════════════╧═══════════════╧═════════════╧══
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type HashMode, hashModes } from "../../src/core/bucket.ts";
import { deriveClusterMac } from "../../src/core/cluster-mac.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { renderTables } from "../../src/host/nft.ts";
import { parseIpv4Address } from "../../src/model/address.ts";
import { toClusterMac } from "../../src/model/mac.ts";
import { Cluster, TCP_PORTS, type TestFlow, UDP_PORTS } from "../support/cluster/cluster.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { type Host, NIC } from "../support/lab/host.ts";
import type { Lab } from "../support/lab/lab.ts";
import { supportProgram } from "../support/lab/paths.ts";
import { run, type TrackedProcess } from "../support/lab/processes.ts";
import {
  duplicateRequests,
  type NodeServer,
  tcpConnections,
  udpRequests,
} from "../support/traffic/traffic.ts";
import { until } from "../support/wait.ts";
import { capture } from "../support/wire/capture.ts";

const NODES = 3;
const REFERENCE_NODE = 2;

class ReferenceNode {
  readonly #process: TrackedProcess;
  #output = "";

  private constructor(process: TrackedProcess) {
    this.#process = process;
    for (const pipe of [process.child.stdout, process.child.stderr]) {
      pipe?.setEncoding("utf8").on("data", (text: string) => {
        this.#output += text;
      });
    }
  }

  static async start(lab: Lab, node: Host, hashMode: HashMode): Promise<ReferenceNode> {
    const settings = ["--total-nodes", String(NODES), "--local-node", String(REFERENCE_NODE)];
    const argv = [
      process.execPath,
      supportProgram("reference-node"),
      "--vip",
      lab.vip,
      "--hashmode",
      hashMode,
      ...settings,
    ];
    const reference = new ReferenceNode(node.spawn(argv));
    await until(() => expect(reference.#output).toContain("ready"));
    return reference;
  }

  /** Ends it and returns its frames by reason. */
  async stop(): Promise<Record<string, number>> {
    await this.#process.kill("SIGTERM");
    return JSON.parse(this.#output.trim().split("\n").at(-1) ?? "") as Record<string, number>;
  }
}

describeNet("reference dataplane", { tools: ["ping", "nft", "iperf3"] }, () => {
  let cluster: Cluster;
  let lab: Lab;
  let sources: string[];
  let servers: NodeServer[];

  beforeAll(async () => {
    cluster = await Cluster.create({ nodes: NODES });
    ({ lab, sources, servers } = cluster);
    await prepareHost(lab, lab.node(REFERENCE_NODE));
  });

  afterAll(() => cluster?.close());

  /** Who has to answer, by the specification. */
  const ownerOf = (
    hashMode: HashMode,
    protocol: "tcp" | "udp" | "icmp",
    { saddr, sport, dport }: Required<Omit<TestFlow, "protocol">>,
  ): string => cluster.ownerOf({ protocol, saddr, sport, dport }, hashMode);

  describe.each(hashModes)("hash mode %s", (hashMode) => {
    let reference: ReferenceNode;

    beforeAll(async () => {
      const natives = lab.nodes.filter((_, index) => index + 1 !== REFERENCE_NODE);
      [reference] = await Promise.all([
        ReferenceNode.start(lab, lab.node(REFERENCE_NODE), hashMode),
        ...natives.map((node) => cluster.startDaemonOn(node, { hashMode })),
      ]);
    });

    afterAll(() => cluster.stopAll());

    it("answers every TCP connection once, from the owner", async () => {
      const options = { to: lab.vip, ports: TCP_PORTS, sources, count: 240, firstPort: portOf(hashMode) };
      const connections = await tcpConnections(lab.client(), options);
      const expected = connections.map((connection) => ownerOf(hashMode, "tcp", connection));
      expect(connections.map(({ node, error }) => node ?? error)).toEqual(expected);
      expect(new Set(expected).size).toBe(NODES);
      expect(duplicateRequests(servers, "tcp")).toEqual([]);
    });

    it.each([
      { what: "UDP datagram", bytes: 0 },
      { what: "UDP datagram in fragments", bytes: 5000 },
    ])("answers every $what, once, from the owner", async ({ bytes }) => {
      const requests = await udpRequests(lab.client(), {
        ...{ to: lab.vip, ports: UDP_PORTS, sources, count: 240, firstPort: portOf(hashMode), bytes },
        tag: `${hashMode}-${bytes}`,
        parallel: 32,
      });
      const expected = requests.map((request) => [ownerOf(hashMode, "udp", request)]);
      expect(requests.map(({ replies }) => replies.map(({ node }) => node))).toEqual(expected);
      expect(new Set(expected.flat()).size).toBe(NODES);
      expect(duplicateRequests(servers, "udp")).toEqual([]);
    });

    it("answers every echo request once, from the owner", async () => {
      const recording = await capture(lab, lab.switch, "icmp[icmptype] == icmp-echoreply");
      await Promise.all(
        sources.map((source) =>
          lab.client().exec(["ping", "-q", "-c", "2", "-i", "0.3", "-W", "10", "-I", source, lab.vip]),
        ),
      );
      const replies = (await run(["tcpdump", "-n", "-e", "-r", await recording.stop()])).stdout;
      const answers = [...replies.matchAll(/ (\S+) > \S+, ethertype.*> (\S+): ICMP echo reply/g)];
      const nodeOf = new Map(lab.nodes.map(({ mac, name }) => [mac, name]));
      const expected = sources.flatMap((saddr) => {
        const owner = ownerOf(hashMode, "icmp", { saddr, sport: 0, dport: 0 });
        return [`${saddr} ${owner}`, `${saddr} ${owner}`];
      });
      expect(answers.map(([, mac = "", saddr]) => `${saddr} ${nodeOf.get(mac)}`).sort()).toEqual(
        expected.sort(),
      );
    });

    // With this mode both of iperf3's connections have the same owner.
    const mergedTest = hashMode === "sourceip" ? it : undefined;
    mergedTest?.("takes segments that the receiving kernel has merged", async () => {
      const reference = lab.node(REFERENCE_NODE);
      const isOurs = (saddr: string): boolean =>
        ownerOf(hashMode, "tcp", { saddr, sport: 0, dport: 0 }) === reference.name;
      const source = sources.find(isOurs) ?? "";
      reference.spawn(["iperf3", "--server", "--one-off", "--bind", lab.vip]);
      const merged = await capture(lab, reference, `dst host ${lab.vip} and greater 3000`);
      const upload = ["iperf3", "--client", lab.vip, "--bind", source, "--bytes", "20M", "--json"];
      const report = await until(() => lab.client().exec(upload), 200);
      // The server reports when the client has sent the last octet, not when it has got it.
      expect(JSON.parse(report).end.sum_received.bytes).toBeGreaterThan(10_000_000);
      const frames = (await run(["tcpdump", "-n", "-r", await merged.stop()])).stdout.split("\n");
      expect(frames.length).toBeGreaterThan(100);
    });

    it("has judged all of it", async () => {
      const counters = await reference.stop();
      expect(counters["local-bucket"]).toBeGreaterThan(300);
      expect(counters["foreign-bucket"]).toBeGreaterThan(600);
      expect(counters["later-fragment"]).toBe(240 * 3);
      expect(Object.keys(counters).sort()).toEqual(["foreign-bucket", "later-fragment", "local-bucket"]);
    });
  });
});

/** Connections of one mode must not meet those of another in TIME_WAIT. */
function portOf(hashMode: HashMode): number {
  return 20_000 + 1000 * hashModes.indexOf(hashMode);
}

/** What clusteripd sets up on a host for any engine, but no daemon runs here. */
async function prepareHost(lab: Lab, node: Host): Promise<void> {
  const clusterMac = toClusterMac(deriveClusterMac(parseIpv4(lab.vip), lab.prefixLength));
  const tables = renderTables(
    [{ address: parseIpv4Address(lab.vip), nic: NIC, clusterMac }],
    [{ name: NIC, carriesOthers: false, isBridge: false, own: [] }],
  );
  await node.exec(["nft", "-f", "-"], { input: tables });
  await node.ip("addr", "add", `${lab.vip}/32`, "dev", NIC);
}
