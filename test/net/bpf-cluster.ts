/** A cluster with engine "bpf" on every node, node i with bucket i, and what its tests do to it. */
import path from "node:path";
import { bucketOf, parseIpv4, protocolNumbers } from "../../src/index.ts";
import { type Daemon, startDaemon, type VirtualIpConfig } from "../lab/daemon.ts";
import type { Host } from "../lab/host.ts";
import { Lab } from "../lab/lab.ts";
import { projectRoot } from "../lab/paths.ts";
import { type NodeServer, startServer } from "../lab/traffic.ts";

export const HTTP_PORT = 80;
export const UDP_PORT = 7101;

export interface BpfOptions {
  xdp?: "off" | "native" | "generic";
  /** A clsact qdisc although the kernel has tcx. */
  clsact?: boolean;
}

export class BpfCluster {
  readonly lab: Lab;
  readonly sources: string[];
  readonly servers: NodeServer[];
  readonly daemons = new Map<Host, Daemon>();

  private constructor(lab: Lab, sources: string[], servers: NodeServer[]) {
    this.lab = lab;
    this.sources = sources;
    this.servers = servers;
  }

  static async create(nodes: number): Promise<BpfCluster> {
    const lab = await Lab.create({ nodes });
    const sources = await lab.addSources(lab.client(), 20);
    const servers = await Promise.all(
      lab.nodes.map((node) => startServer(lab, node, { http: HTTP_PORT, udp: [UDP_PORT] })),
    );
    return new BpfCluster(lab, sources, servers);
  }

  settingsOf(node: Host): VirtualIpConfig {
    const bucket = this.lab.nodes.indexOf(node) + 1;
    return { "total-nodes": this.lab.nodes.length, "local-node": [bucket], engine: "bpf" };
  }

  async start(node: Host, { xdp = "off", clsact = false }: BpfOptions = {}): Promise<Daemon> {
    const env = { CLUSTERIPD_XDP: xdp, CLUSTERIPD_CLSACT: clsact ? "1" : "0" };
    const daemon = await startDaemon(this.lab, node, { vips: [this.settingsOf(node)], env });
    this.daemons.set(node, daemon);
    return daemon;
  }

  async startAll(options?: BpfOptions): Promise<void> {
    await Promise.all(this.lab.nodes.map((node) => this.start(node, options)));
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.daemons.values()].map((daemon) => daemon.kill("SIGTERM")));
    this.daemons.clear();
  }

  ownerOf(saddr: string, sport: number, dport: number): string {
    const flow = {
      protocol: protocolNumbers.udp,
      saddrHost: parseIpv4(saddr),
      sourcePort: sport,
      destinationPort: dport,
    };
    const totalNodes = this.lab.nodes.length;
    return `node${bucketOf(flow, { hashMode: "sourceip-sourceport", totalNodes, hashInit: 0 })}`;
  }

  get url(): string {
    return `http://${this.lab.vip}:${HTTP_PORT}/`;
  }
}

/** Takes our programs and subscriptions off the node's NIC behind the daemon's back. */
export async function removePrograms(node: Host): Promise<void> {
  const addon = path.join(projectRoot, "native/build/Release/clusteripd_bpf.node");
  const [{ ifindex } = { ifindex: 0 }] = JSON.parse(await node.ip("-json", "link", "show", "eth0")) as {
    ifindex: number;
  }[];
  const script = `require(${JSON.stringify(addon)}).removePrograms(${ifindex}).then((any) => process.exit(any ? 0 : 1))`;
  await node.exec([process.execPath, "-e", script]);
}
