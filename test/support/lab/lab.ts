/**
 * A LAN in network namespaces, with real kernel stacks and nothing simulated.
 *
 *     node1         node2         node3            client1       (more clients)
 *     eth0 .11      eth0 .12      eth0 .13         eth0 .201
 *       │             │             │                │
 *     ══╧═════════════╧═════════════╧════════════════╧═══════════╤══  bridge br0, 10.77.0.0/24
 *       switch: no multicast snooping, no STP, floods like a      │     virtual IP: 10.77.0.100
 *       plain switch that was told about the cluster MAC          │
 *                                                                 │ eth0 .1
 *     only with { router: … }:                                  router
 *                                                                 │ 10.78.1.1      a link with a small MTU
 *                                                                 │ 10.78.1.2      (1300 if not told otherwise)
 *                                                              farrouter
 *                                                                 │ 10.78.0.1      MTU 1500 again, so that the
 *                                                                 │ 10.78.0.2      client offers a full MSS
 *                                                             farclient
 *
 * Node i has the MAC 02:77:00:00:01:i and client i 02:77:00:00:02:i, so that a capture can be read by eye.
 * IPv6 is off everywhere. Names of namespaces carry the pid of this process: labs can run side by side, and
 * what a killed run left behind is found and removed by the next one.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Attachment, BRIDGE, Host, NIC } from "./host.ts";
import { ProcessTable, runChecked } from "./processes.ts";

export interface LabOptions {
  nodes: number;
  /** Default 1. */
  clients?: number;
  /** A router on the LAN with a client behind it. */
  router?: { linkMtu?: number };
  /** The first three octets of the LAN; default "10.77.0". */
  network?: string;
  /** Default: .100 of the LAN. */
  vip?: string;
  /** One node and one client on the two ends of a cable, without the switch. */
  isDirect?: boolean;
}

const NAMESPACE_PREFIX = "clab";
const DIRECTORY_PREFIX = "clusteripd-lab";
/** linux/magic.h */
const TMPFS_MAGIC = 0x01021994;
const PREFIX_LENGTH = 24;
const DEFAULT_LINK_MTU = 1300;
const FAR_NETWORK = "10.78.0.0/24";
const TRANSIT_NETWORK = "10.78.1.0/30";

/** Second addresses of clients are taken from this range, whichever client asks. */
const FIRST_SOURCE = 110;
const LAST_SOURCE = 199;

const openLabs = new Set<Lab>();
let labsMade = 0;

export class Lab {
  readonly vip: string;
  readonly prefixLength = PREFIX_LENGTH;
  readonly directory: string;
  readonly switch: Host;
  readonly nodes: Host[] = [];
  readonly clients: Host[] = [];
  readonly processes = new ProcessTable();
  readonly #hosts: Host[] = [];
  readonly #network: string;
  readonly #namespacePrefix: string;
  #nextSource = FIRST_SOURCE;
  #router: Host | undefined;
  #farClient: Host | undefined;

  private constructor(network: string, vip: string) {
    labsMade += 1;
    this.#namespacePrefix = `${NAMESPACE_PREFIX}-${process.pid}-${labsMade}`;
    this.#network = network;
    this.vip = vip;
    this.directory = mkdtempSync(path.join(inMemory(), `${DIRECTORY_PREFIX}-${process.pid}-`));
    this.switch = this.#newHost("switch");
  }

  static async create(options: LabOptions): Promise<Lab> {
    installExitHandlers();
    removeLeftovers();
    const { network = "10.77.0" } = options;
    const lab = new Lab(network, options.vip ?? `${network}.100`);
    openLabs.add(lab);
    try {
      await lab.#build(options);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  /** Node number `number`, counted from 1 as the buckets are. */
  node(number: number): Host {
    return pick(this.nodes, number, "node");
  }

  client(number = 1): Host {
    return pick(this.clients, number, "client");
  }

  get router(): Host {
    if (this.#router === undefined) throw new Error("this lab has no router");
    return this.#router;
  }

  get farClient(): Host {
    if (this.#farClient === undefined) throw new Error("this lab has no router");
    return this.#farClient;
  }

  /** Gives a client `count` more source addresses, each of them used nowhere else in the lab. */
  async addSources(client: Host, count: number): Promise<string[]> {
    const addresses: string[] = [];
    for (let added = 0; added < count; added += 1) {
      if (this.#nextSource > LAST_SOURCE) throw new Error("no source addresses left in this lab");
      const address = `${this.#network}.${this.#nextSource}`;
      this.#nextSource += 1;
      await client.ip("addr", "add", `${address}/${PREFIX_LENGTH}`, "dev", NIC);
      addresses.push(address);
    }
    return addresses;
  }

  /** The directory where a node keeps its configuration, control socket and logs. */
  directoryOf(host: Host): string {
    return path.join(this.directory, host.name);
  }

  /** Ends every process of the lab and removes its namespaces and files. Can be called twice. */
  async close(): Promise<void> {
    await this.processes.killAll();
    for (const { namespace } of this.#hosts) removeNamespace(namespace);
    await rm(this.directory, { recursive: true, force: true });
    openLabs.delete(this);
  }

  /** The same for exit handlers, where nothing can be awaited. */
  closeNow(): void {
    this.processes.killAllNow();
    for (const { namespace } of this.#hosts) removeNamespace(namespace);
    rmSync(this.directory, { recursive: true, force: true });
    openLabs.delete(this);
  }

  async #build({ nodes, clients = 1, router, isDirect = false }: LabOptions): Promise<void> {
    if (isDirect) return this.#buildDirect();
    await this.#startHost(this.switch);
    const bridge = ["type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"];
    await this.switch.ip("link", "add", BRIDGE, ...bridge);
    await this.switch.linkUp(BRIDGE);
    // With br_netfilter in the kernel a bridge looks into IP packets and drops malformed ones; a switch does not.
    for (const family of ["iptables", "arptables"]) {
      await this.switch.setSysctl(`net/bridge/bridge-nf-call-${family}`, 0);
    }

    for (let number = 1; number <= nodes; number += 1) {
      const node = await this.#plugIn(`node${number}`, 10 + number, macOf(1, number));
      // UDP servers answer from the address they are bound to: they must be able to bind the virtual IP
      // before the daemon has set it up, and keep it while the daemon is restarted.
      await node.setSysctl("net/ipv4/ip_nonlocal_bind", 1);
      this.nodes.push(node);
    }
    for (let number = 1; number <= clients; number += 1) {
      this.clients.push(await this.#plugIn(`client${number}`, 200 + number, macOf(2, number)));
    }
    if (router !== undefined) await this.#buildRouter(router.linkMtu ?? DEFAULT_LINK_MTU);
  }

  async #buildDirect(): Promise<void> {
    const node = await this.#newOnLan("node1", 11, macOf(1, 1));
    const client = await this.#newOnLan("client1", 201, macOf(2, 1));
    await node.connect(client);
    await node.setSysctl("net/ipv4/ip_nonlocal_bind", 1);
    this.nodes.push(node);
    this.clients.push(client);
  }

  async #buildRouter(linkMtu: number): Promise<void> {
    const router = await this.#plugIn("router", 1, macOf(3, 1));
    const farRouter = await this.#startHost(this.#newHost("farrouter"));
    const farClient = await this.#startHost(this.#newHost("farclient"));
    await link({ host: router, nic: "eth1", address: "10.78.1.1/30" }, farRouter, "10.78.1.2/30", linkMtu);
    await link({ host: farRouter, nic: "eth1", address: "10.78.0.1/24" }, farClient, "10.78.0.2/24", 1500);
    for (const forwarder of [router, farRouter]) await forwarder.setSysctl("net/ipv4/ip_forward", 1);
    await router.addRoute(FAR_NETWORK, "10.78.1.2");
    await farRouter.addRoute("default", "10.78.1.1");
    await farClient.addRoute("default", "10.78.0.1");
    for (const host of [...this.nodes, ...this.clients]) {
      for (const network of [FAR_NETWORK, TRANSIT_NETWORK]) await host.addRoute(network, router.address);
    }
    this.#router = router;
    this.#farClient = farClient;
  }

  #newHost(name: string, attachment?: Attachment): Host {
    const host = new Host(name, `${this.#namespacePrefix}-${name}`, this.processes, attachment);
    this.#hosts.push(host);
    return host;
  }

  async #startHost(host: Host): Promise<Host> {
    await mkdir(this.directoryOf(host), { recursive: true });
    await runChecked(["ip", "netns", "add", host.namespace]);
    for (const scope of ["all", "default"]) await host.setSysctl(`net/ipv6/conf/${scope}/disable_ipv6`, 1);
    await host.linkUp("lo");
    return host;
  }

  async #plugIn(name: string, lastOctet: number, mac: string): Promise<Host> {
    const host = await this.#newOnLan(name, lastOctet, mac);
    await host.createInterface();
    return host;
  }

  #newOnLan(name: string, lastOctet: number, mac: string): Promise<Host> {
    const host = this.#newHost(name, {
      switchNamespace: this.switch.namespace,
      address: `${this.#network}.${lastOctet}`,
      prefixLength: PREFIX_LENGTH,
      mac,
    });
    return this.#startHost(host);
  }
}

/** Hosts have their control sockets and saved state in /run, which is in memory; on a disk a rename takes longer. */
function inMemory(): string {
  const shared = "/dev/shm";
  return existsSync(shared) && statfsSync(shared).type === TMPFS_MAGIC ? shared : tmpdir();
}

function pick(hosts: Host[], number: number, what: string): Host {
  const host = hosts[number - 1];
  if (host === undefined) throw new Error(`this lab has no ${what} ${number}`);
  return host;
}

function macOf(group: number, number: number): string {
  return `02:77:00:00:0${group}:${number.toString(16).padStart(2, "0")}`;
}

/** A cable between two hosts, away from the switch; the far host's end is its eth0. */
async function link(
  near: { host: Host; nic: string; address: string },
  far: Host,
  farAddress: string,
  mtu: number,
): Promise<void> {
  const { host, nic, address } = near;
  await host.ip("link", "add", nic, "type", "veth", "peer", "name", NIC, "netns", far.namespace);
  await host.ip("link", "set", nic, "mtu", String(mtu));
  await far.ip("link", "set", NIC, "mtu", String(mtu));
  await host.ip("addr", "add", address, "dev", nic);
  await far.ip("addr", "add", farAddress, "dev", NIC);
  await host.linkUp(nic);
  await far.linkUp(NIC);
}

/**
 * Removes a namespace with what still runs in it: helpers of a daemon that was killed outlive it, and nobody
 * else can be in there. Synchronous, so that exit handlers can use it.
 */
function removeNamespace(namespace: string): void {
  if (!existsSync(`/run/netns/${namespace}`)) return;
  const { stdout } = spawnSync("ip", ["netns", "pids", namespace], { encoding: "utf8" });
  for (const pid of stdout.split("\n").filter((line) => line !== "")) {
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch {
      // It ended by itself meanwhile.
    }
  }
  spawnSync("ip", ["netns", "del", namespace]);
}

/** Removes what killed runs left: the names carry the pid of a process that is gone. */
function removeLeftovers(): void {
  const leftIn = (directory: string, prefix: string): string[] =>
    (existsSync(directory) ? readdirSync(directory) : []).filter((name) => {
      const owner = new RegExp(`^${prefix}-(\\d+)-`).exec(name)?.[1];
      return owner !== undefined && !existsSync(`/proc/${owner}`);
    });
  for (const namespace of leftIn("/run/netns", NAMESPACE_PREFIX)) removeNamespace(namespace);
  for (const directory of leftIn(inMemory(), DIRECTORY_PREFIX)) {
    rmSync(path.join(inMemory(), directory), { recursive: true, force: true });
  }
}

function closeAllNow(): void {
  for (const lab of openLabs) lab.closeNow();
}

let handlersInstalled = false;

function installExitHandlers(): void {
  if (handlersInstalled) return;
  handlersInstalled = true;
  process.on("exit", closeAllNow);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => {
      closeAllNow();
      // With the handler gone the signal does what it always does: the caller sees the true exit status.
      process.kill(process.pid, signal);
    });
  }
}
