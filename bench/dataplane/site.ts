/**
 * A LAN of its own for one contender: a client, the nodes and, where the contender has one, a host in front. All
 * contenders of a measurement are up at the same time, so that runs can alternate; only one of them has traffic.
 */
import { deriveClusterMac, formatIpv4, parseIpv4 } from "../../src/index.ts";
import type { Daemon } from "../../test/support/daemon/daemon.ts";
import type { Host } from "../../test/support/lab/host.ts";
import { Lab } from "../../test/support/lab/lab.ts";
import type { Contender } from "./contender.ts";

export interface SiteOptions {
  /** hosts that serve */
  readonly nodes: number;
  /** buckets; default: as many as nodes */
  readonly bucketCount?: number;
  /** default 1 */
  readonly vips?: number;
  /** the only node and the client on the two ends of a cable, without a switch */
  readonly isDirect?: boolean;
}

/** Networks 10.80.0.0/24 and on, one a site. */
const FIRST_NETWORK = 80;
/** From the lab's virtual IP at .100 up to where its clients begin. */
const MAX_VIPS = 100;

let sitesMade = 0;

export class Site {
  readonly contender: Contender;
  readonly lab: Lab;
  readonly client: Host;
  readonly nodes: readonly Host[];
  readonly bucketCount: number;
  readonly vips: readonly string[];
  /** clusteripd on each node; empty for the peers */
  readonly daemons: Daemon[] = [];
  /** the processes that packets go through or that steer them: their CPU time is part of the cost */
  readonly pids: number[] = [];
  readonly #front: Host | undefined;

  private constructor(contender: Contender, lab: Lab, options: SiteOptions) {
    this.contender = contender;
    this.lab = lab;
    this.client = lab.client();
    this.nodes = lab.nodes.slice(0, options.nodes);
    this.#front = lab.nodes[options.nodes];
    this.bucketCount = options.bucketCount ?? options.nodes;
    const first = parseIpv4(lab.vip);
    this.vips = Array.from({ length: options.vips ?? 1 }, (_, index) => formatIpv4(first + index));
  }

  static async create(contender: Contender, options: SiteOptions): Promise<Site> {
    if ((options.vips ?? 1) > MAX_VIPS) throw new Error(`a site has at most ${MAX_VIPS} virtual IPs`);
    const network = `10.${FIRST_NETWORK + (sitesMade % 100)}.0`;
    sitesMade += 1;
    const nodes = options.nodes + (contender.hasFront ? 1 : 0);
    const lab = await Lab.create({ nodes, network, isDirect: options.isDirect ?? false });
    try {
      const site = new Site(contender, lab, options);
      // Frames of a flood come from far away: what a node answers to them goes to the client, as to a router.
      for (const node of site.nodes) await node.addRoute("default", site.client.address);
      await prepareClient(site.client);
      await contender.setUp(site);
      return site;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /**
   * The virtual IP that has the traffic: the middle one, because some try the rules of all in the order in which
   * they were made, some in the reverse order.
   */
  get vip(): string {
    return this.vips[Math.floor(this.vips.length / 2)] ?? this.lab.vip;
  }

  /** The node with bucket 1. */
  get node(): Host {
    return this.lab.node(1);
  }

  /** The only host with the virtual IP, for contenders that have such a host. */
  get front(): Host {
    if (this.#front === undefined) throw new Error(`${this.contender.name} has no host in front`);
    return this.#front;
  }

  clusterMac(vip: string = this.vip): string {
    const address = parseIpv4(vip);
    return deriveClusterMac(address, this.lab.prefixLength);
  }

  close(): Promise<void> {
    return this.lab.close();
  }
}

/** Room for tens of thousands of new connections a second from one address to one port. */
async function prepareClient(client: Host): Promise<void> {
  await client.setSysctl("net/ipv4/ip_local_port_range", "'1024 65535'");
  await client.setSysctl("net/ipv4/tcp_tw_reuse", 1);
}

/** Builds one site for each contender, and ends them all when `use` is done or has failed. */
export async function withSites<T>(
  contenders: readonly Contender[],
  options: SiteOptions,
  use: (sites: readonly Site[]) => Promise<T>,
): Promise<T> {
  const sites: Site[] = [];
  try {
    for (const contender of contenders) {
      const nodes = contender.sharesAddress ? options.nodes : 1;
      // On a bridge a frame to a group MAC costs a copy for each port, which a real switch makes in hardware.
      const isDirect = options.nodes === 1 && !contender.hasFront;
      sites.push(await Site.create(contender, { ...options, nodes, isDirect }));
    }
    return await use(sites);
  } finally {
    await Promise.all(sites.map((site) => site.close()));
  }
}
