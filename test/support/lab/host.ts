/** One host of the lab: a network namespace with (usually) one NIC on the LAN. */
import {
  type ExecOptions,
  type ExecResult,
  type ProcessTable,
  run,
  runChecked,
  type SpawnOptions,
  type TrackedProcess,
} from "./processes.ts";

export const NIC = "eth0";
export const BRIDGE = "br0";

/** Where a host's NIC is plugged in, and with which address. */
export interface Attachment {
  switchNamespace: string;
  address: string;
  prefixLength: number;
  mac: string;
}

export class Host {
  /** Routes beyond the LAN: kept here because the kernel forgets them whenever the NIC goes down. */
  readonly #routes: { destination: string; via: string }[] = [];

  readonly name: string;
  readonly namespace: string;
  readonly #processes: ProcessTable;
  readonly #attachment: Attachment | undefined;

  constructor(name: string, namespace: string, processes: ProcessTable, attachment?: Attachment) {
    this.name = name;
    this.namespace = namespace;
    this.#processes = processes;
    this.#attachment = attachment;
  }

  /** The host's own address on the LAN. */
  get address(): string {
    return this.#plugged().address;
  }

  get mac(): string {
    return this.#plugged().mac;
  }

  /** The argv that runs a command inside this host. */
  inside(argv: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.namespace, ...argv];
  }

  /** Runs a command that has to succeed; resolves with its standard output. */
  exec(argv: readonly string[], options?: ExecOptions): Promise<string> {
    return runChecked(this.inside(argv), options);
  }

  /** Runs a command whose exit status is part of the result. */
  tryExec(argv: readonly string[], options?: ExecOptions): Promise<ExecResult> {
    return run(this.inside(argv), options);
  }

  /** Starts a command that the lab ends at the latest when it closes. */
  spawn(argv: readonly string[], options?: SpawnOptions): TrackedProcess {
    return this.#processes.spawn(this.inside(argv), options);
  }

  ip(...args: string[]): Promise<string> {
    return runChecked(["ip", "-n", this.namespace, ...args]);
  }

  /** A sysctl by its path below /proc/sys (procps is not needed for this). */
  async setSysctl(path: string, value: string | number): Promise<void> {
    const file = `/proc/sys/${path}`;
    await this.exec(["sh", "-c", `test ! -e ${file} || echo ${value} > ${file}`]);
  }

  /** The neighbour table: IP address → link-layer address, entries without one left out. */
  async arpTable(): Promise<Map<string, string>> {
    const entries = JSON.parse((await this.ip("-json", "neigh", "show")) || "[]") as {
      dst: string;
      lladdr?: string;
    }[];
    return new Map(entries.flatMap(({ dst, lladdr }) => (lladdr === undefined ? [] : [[dst, lladdr]])));
  }

  async addRoute(destination: string, via: string): Promise<void> {
    this.#routes.push({ destination, via });
    await this.ip("route", "replace", destination, "via", via);
  }

  /** Plugs in a new NIC: a veth whose far end is a port of the switch. */
  async createInterface(): Promise<void> {
    const { switchNamespace, mac } = this.#plugged();
    const inSwitch = ["ip", "-n", switchNamespace, "link"];
    await runChecked([
      ...[...inSwitch, "add", this.name, "type", "veth"],
      ...["peer", "name", NIC, "address", mac, "netns", this.namespace],
    ]);
    await runChecked([...inSwitch, "set", this.name, "master", BRIDGE, "up"]);
    await this.#bringUp();
  }

  /** Plugs in a new NIC with a cable straight to a new NIC of another host, with no switch between them. */
  async connect(other: Host): Promise<void> {
    const far = other.#plugged();
    await runChecked([
      ...["ip", "link", "add", NIC, "address", this.mac, "netns", this.namespace, "type", "veth"],
      ...["peer", "name", NIC, "address", far.mac, "netns", other.namespace],
    ]);
    await this.#bringUp();
    await other.#bringUp();
  }

  async #bringUp(): Promise<void> {
    const { address, prefixLength } = this.#plugged();
    await this.ip("addr", "add", `${address}/${prefixLength}`, "broadcast", "+", "dev", NIC);
    await this.linkUp();
  }

  /** Pulls the NIC out of the machine: the interface is gone. */
  async deleteInterface(): Promise<void> {
    await runChecked(["ip", "-n", this.#plugged().switchNamespace, "link", "del", this.name]);
  }

  async linkDown(nic = NIC): Promise<void> {
    await this.ip("link", "set", nic, "down");
  }

  async linkUp(nic = NIC): Promise<void> {
    await this.ip("link", "set", nic, "up");
    for (const { destination, via } of this.#routes) {
      await this.ip("route", "replace", destination, "via", via);
    }
  }

  /** Renames with the link down, as kernels before 6.2 demand it. */
  async renameInterface(from: string, to: string): Promise<void> {
    await this.linkDown(from);
    await this.ip("link", "set", from, "name", to);
    await this.linkUp(to);
  }

  #plugged(): Attachment {
    if (this.#attachment === undefined) throw new Error(`${this.name} has no NIC on the LAN`);
    return this.#attachment;
  }
}
