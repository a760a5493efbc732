/**
 * A cluster in the lab, with either engine: a server and a daemon on every node, node i with bucket i, and clients with
 * many addresses.
 */
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
import { type Daemon, recover, socketOf, startDaemon, type VirtualIpConfig } from "../daemon/daemon.ts";
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
  /** Of the daemons, unless one is started with another. */
  env?: Record<string, string>;
  /** Starts what the nodes run instead of the lab's own servers; before the daemons, as at a boot. */
  services?: (lab: Lab) => Promise<void>;
}

/** How daemons are started: otherwise than the cluster's options say. */
export interface StartOptions {
  hashMode?: HashMode;
  env?: Record<string, string>;
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
  readonly daemons = new Map<Host, Daemon>();
  sources: string[] = [];
  clusterMac = "";
  readonly #config: Record<string, unknown>;
  readonly #engine: string;
  readonly #env: Record<string, string>;

  private constructor(lab: Lab, hashMode: HashMode, totalNodes: number, options: ClusterOptions) {
    this.lab = lab;
    this.hashMode = hashMode;
    this.totalNodes = totalNodes;
    this.#config = options.config ?? {};
    this.#engine = options.engine ?? "auto";
    this.#env = options.env ?? {};
  }

  /** With a daemon on every node. */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = await Cluster.create(options);
    try {
      await cluster.startAll();
      cluster.clusterMac = (await cluster.virtualIpStatus(cluster.lab.node(1))).clusterMac ?? "";
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  /** Without daemons. */
  static async create(options: ClusterOptions = {}): Promise<Cluster> {
    const { hashMode = "sourceip-sourceport", nodes = 3, totalNodes = nodes, sources = 40 } = options;
    const lab = await Lab.create({ ...options, nodes });
    const cluster = new Cluster(lab, hashMode, totalNodes, options);
    try {
      cluster.sources = await lab.addSources(lab.client(), sources);
      if (options.services === undefined) cluster.servers = await startServers(lab);
      else await options.services(lab);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return cluster;
  }

  settingsOf(node: Host, hashMode: HashMode = this.hashMode): VirtualIpConfig {
    const bucket = this.lab.nodes.indexOf(node) + 1;
    const buckets = { "total-nodes": this.totalNodes, "local-node": [bucket] };
    return { ...buckets, hashmode: hashMode, engine: this.#engine };
  }

  async startDaemonOn(node: Host, { hashMode, env = this.#env }: StartOptions = {}): Promise<Daemon> {
    const options = { vips: [this.settingsOf(node, hashMode)], config: this.#config, env };
    const daemon = await startDaemon(this.lab, node, options);
    this.daemons.set(node, daemon);
    return daemon;
  }

  async startAll(options?: StartOptions): Promise<void> {
    await Promise.all(this.lab.nodes.map((node) => this.startDaemonOn(node, options)));
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.daemons.values()].map((daemon) => daemon.kill("SIGTERM")));
    this.daemons.clear();
  }

  /** Ends what a failed test left running. */
  async recover(): Promise<void> {
    for (const node of this.lab.nodes) await recover(this.lab, node);
    this.daemons.clear();
  }

  daemonOn(node: Host): Daemon {
    const daemon = this.daemons.get(node);
    if (daemon === undefined) throw new Error(`${node.name} has no daemon`);
    return daemon;
  }

  get url(): string {
    return `http://${this.lab.vip}:${HTTP_PORT}/`;
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
