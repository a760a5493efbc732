/** A cluster in the lab: a server and a daemon on every node, node i with bucket i, and clients with many addresses. */
import { call } from "../../../src/api/client.ts";
import type { StatusBody, VirtualIpBody } from "../../../src/api/contract.ts";
import { paths } from "../../../src/api/contract.ts";
import {
  bucketOf,
  type HashMode,
  type ProtocolName,
  parseIpv4,
  protocolNumbers,
} from "../../../src/index.ts";
import { type Daemon, socketOf, startDaemon } from "../daemon/daemon.ts";
import type { Host } from "../lab/host.ts";
import { Lab, type LabOptions } from "../lab/lab.ts";
import { type NodeServer, startServer } from "../traffic/traffic.ts";

export const TCP_PORTS = [7001, 7002, 7003];
export const UDP_PORTS = [7101, 7102, 7103];
export const HTTP_PORT = 80;

export interface ClusterOptions extends Partial<LabOptions> {
  hashMode?: HashMode;
  /** Default: as many as nodes. With more, the last buckets have no owner. */
  totalNodes?: number;
  /** Source addresses of client 1; default 40. */
  sources?: number;
  /** Of the daemons: other keys of the configuration file. */
  config?: Record<string, unknown>;
  /** Default: what `auto` comes to. */
  engine?: "userspace" | "bpf";
  /** Starts what the nodes run instead of the lab's own servers; before the daemons, as at a boot. */
  services?: (lab: Lab) => Promise<void>;
}

export interface TestFlow {
  protocol: ProtocolName;
  saddr: string;
  sport?: number;
  dport?: number;
}

export class Cluster {
  readonly lab: Lab;
  readonly hashMode: HashMode;
  readonly totalNodes: number;
  servers: NodeServer[] = [];
  daemons: Daemon[] = [];
  sources: string[] = [];
  clusterMac = "";
  readonly #config: Record<string, unknown>;
  readonly #engine: string;

  private constructor(lab: Lab, hashMode: HashMode, totalNodes: number, options: ClusterOptions) {
    this.lab = lab;
    this.hashMode = hashMode;
    this.totalNodes = totalNodes;
    this.#config = options.config ?? {};
    this.#engine = options.engine ?? "auto";
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { hashMode = "sourceip-sourceport", nodes = 3, totalNodes = nodes, sources = 40 } = options;
    const lab = await Lab.create({ ...options, nodes });
    const cluster = new Cluster(lab, hashMode, totalNodes, options);
    try {
      cluster.sources = await lab.addSources(lab.client(), sources);
      if (options.services === undefined) cluster.servers = await startServers(lab);
      else await options.services(lab);
      cluster.daemons = await Promise.all(lab.nodes.map((node) => cluster.startDaemonOn(node)));
      cluster.clusterMac = (await cluster.virtualIpStatus(lab.node(1))).clusterMac ?? "";
    } catch (error) {
      await lab.close();
      throw error;
    }
    return cluster;
  }

  startDaemonOn(node: Host, hashMode: HashMode = this.hashMode): Promise<Daemon> {
    const bucket = this.lab.nodes.indexOf(node) + 1;
    const vip = {
      "total-nodes": this.totalNodes,
      "local-node": [bucket],
      hashmode: hashMode,
      engine: this.#engine,
    };
    return startDaemon(this.lab, node, { vips: [vip], config: this.#config });
  }

  bucketOf(flow: TestFlow, hashMode: HashMode = this.hashMode): number {
    const { protocol, saddr, sport = 0, dport = 0 } = flow;
    return bucketOf(
      {
        protocol: protocolNumbers[protocol],
        saddrHost: parseIpv4(saddr),
        sourcePort: sport,
        destinationPort: dport,
      },
      { hashMode, totalNodes: this.totalNodes, hashInit: 0 },
    );
  }

  /** The node that owns the flow's bucket while none has been moved. */
  ownerOf(flow: TestFlow, hashMode: HashMode = this.hashMode): string {
    return `node${this.bucketOf(flow, hashMode)}`;
  }

  /** The first source port, from `firstPort` on, whose flow has this bucket. */
  sourcePortFor(bucket: number, flow: TestFlow, firstPort = 30_000): number {
    for (let sport = firstPort; sport < 65_536; sport += 1) {
      if (this.bucketOf({ ...flow, sport }) === bucket) return sport;
    }
    throw new Error(`no source port of ${flow.saddr} has bucket ${bucket}`);
  }

  server(node: Host): NodeServer {
    const found = this.servers.find((server) => server.node === node);
    if (found === undefined) throw new Error(`${node.name} has no server`);
    return found;
  }

  /** The name of the node that a frame comes from; its MAC if it is none. */
  nodeOfMac(mac: string): string {
    return this.lab.nodes.find((node) => node.mac === mac)?.name ?? mac;
  }

  async status(node: Host): Promise<StatusBody> {
    return (await call(socketOf(this.lab, node), "GET", paths.status)) as StatusBody;
  }

  async virtualIpStatus(node: Host, vip = this.lab.vip): Promise<VirtualIpBody> {
    return (await call(socketOf(this.lab, node), "GET", paths.virtualIp(vip))) as VirtualIpBody;
  }

  async changeNodes(node: Host, change: string): Promise<void> {
    await call(socketOf(this.lab, node), "POST", paths.buckets(this.lab.vip), { change });
  }

  close(): Promise<void> {
    return this.lab.close();
  }
}

function startServers(lab: Lab): Promise<NodeServer[]> {
  const ports = { tcp: TCP_PORTS, udp: UDP_PORTS, http: HTTP_PORT };
  return Promise.all(lab.nodes.map((node) => startServer(lab, node, ports)));
}

/** How often each value occurs. */
export function tally(values: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
