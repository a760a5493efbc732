/** The cluster of `test/support/pacemaker/cluster`, from TypeScript; its header has the topology. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { projectRoot } from "../lab/paths.ts";
import { run, runChecked } from "../lab/processes.ts";
import { until } from "../wait.ts";

/**
 * With PACEMAKER_CHROOT the nodes run in that root file system, which has clusteripd installed (INSTALLED=yes); the
 * checkout, /tmp and /run are to be at the same paths in it. scripts/dev/try-package makes one.
 */
const CHROOT = process.env["PACEMAKER_CHROOT"];
const SCRIPT = [
  ...(CHROOT === undefined ? [] : ["chroot", CHROOT]),
  path.join(projectRoot, "test/support/pacemaker/cluster"),
];
const DIRECTORY_PREFIX = "clusteripd-pacemaker";

export const VIP = "10.79.0.100";
/** Chosen so that each of 12 buckets has two of them at least (by source address alone, as ping is hashed). */
export const SOURCES = Array.from({ length: 40 }, (_, index) => `10.79.0.${24 + index}`);
/** The same in the LAN that corosync does not use. */
export const SERVICE_VIP = "10.78.0.100";
export const SERVICE_SOURCES = SOURCES.map((source) => source.replace("10.79.", "10.78."));
export const NODES: readonly number[] = [1, 2, 3];

/** Which buckets each node has. */
export type Placement = ReadonlyMap<number, readonly number[]>;

export class PacemakerCluster {
  readonly directory: string;
  readonly prefix: string;
  /** whose buckets are meant */
  vip = VIP;
  readonly #environment: NodeJS.ProcessEnv;

  private constructor(directory: string, prefix: string) {
    this.directory = directory;
    this.prefix = prefix;
    this.#environment = { ...process.env, DIR: directory, PFX: prefix };
  }

  static async up(): Promise<PacemakerCluster> {
    removeLeftovers();
    const directory = mkdtempSync(path.join(tmpdir(), `${DIRECTORY_PREFIX}-${process.pid}-`));
    const prefix = `pmk${process.pid}`;
    writeFileSync(path.join(directory, "prefix"), prefix);
    const cluster = new PacemakerCluster(directory, prefix);
    process.once("exit", () => cluster.downNow());
    try {
      await cluster.command(["up", String(NODES.length)]);
    } catch (error) {
      cluster.downNow();
      throw error;
    }
    return cluster;
  }

  /** Runs a command of the script. */
  async command(args: readonly string[], input = ""): Promise<string> {
    return runChecked([...SCRIPT, ...args], { input, env: this.#variables() });
  }

  /** Runs a command in a node. */
  in(node: number, ...argv: string[]): Promise<string> {
    return this.command(["in", String(node), ...argv]);
  }

  /** Configures in crm's language. */
  async configure(text: string): Promise<void> {
    await this.command(["load"], text);
  }

  /** By what the daemons save before a change is in force; a node that is off, or whose daemon is stopped, has none. */
  placement(): Placement {
    return new Map(NODES.flatMap((node) => (this.#isUp(node) ? [[node, this.#bucketsOf(node)]] : [])));
  }

  /** Waits until exactly these nodes share all buckets, none with two more than another; a failure counts for a minute. */
  async level(nodes: readonly number[], total: number): Promise<Placement> {
    try {
      return await until(() => {
        const placement = this.placement();
        if (isLevel(placement, nodes, total)) return placement;
        throw new Error(`not level over nodes ${nodes}: ${describe(placement)}`);
      });
    } catch (error) {
      const monitor = [...SCRIPT, "in", String(nodes[0]), "crm_mon", "-1rf"];
      const { stdout } = await run(monitor, { env: this.#variables() });
      throw new Error(`${error}
${stdout}`);
    }
  }

  /** Waits until as many nodes are online and nothing is left to do. */
  async idle(nodes: number): Promise<void> {
    await this.command(["wait", String(nodes), "240"]);
  }

  /** The node that plans for the cluster. */
  async controller(askedNode: number): Promise<number> {
    const answer = await this.in(askedNode, "crmadmin", "-D", "-q");
    return Number(/node(\d)/.exec(answer)?.[1]);
  }

  /** Ids of requests that reached a node's web server. */
  requestsSeen(node: number): readonly string[] {
    const log = path.join(this.directory, `node${node}`, "requests.log");
    if (!existsSync(log)) return [];
    return readFileSync(log, "utf8")
      .split("\n")
      .flatMap((line) => (line.startsWith("http ") ? [line.slice(5)] : []));
  }

  /** The argv that runs a command beside the clients. */
  insideClient(argv: readonly string[]): string[] {
    const [holder = ""] = readFileSync(path.join(this.directory, "client"), "utf8").split(" ");
    return ["nsenter", "-t", holder, "-n", "--", ...argv];
  }

  downNow(): void {
    if (!existsSync(this.directory)) return;
    takeDown(this.directory, this.prefix);
  }

  #variables(): Record<string, string> {
    return { DIR: this.#environment["DIR"] ?? "", PFX: this.#environment["PFX"] ?? "" };
  }

  #pid(node: number): string | undefined {
    const file = path.join(this.directory, `node${node}`, "pid");
    return existsSync(file) ? readFileSync(file, "utf8").split(" ")[0] : undefined;
  }

  #isUp(node: number): boolean {
    const pid = this.#pid(node);
    return pid !== undefined && existsSync(`/proc/${pid}`);
  }

  #bucketsOf(node: number): readonly number[] {
    const directory = `/proc/${this.#pid(node)}/root/run/clusteripd`;
    if (!existsSync(path.join(directory, "control.sock"))) return [];
    try {
      const state = readFileSync(path.join(directory, "control.state"), "utf8");
      const line = state.split("\n").find((text) => text.includes(`"vip":"${this.vip}"`));
      return line === undefined ? [] : (JSON.parse(line) as { "local-node": number[] })["local-node"];
    } catch {
      return [];
    }
  }
}

export function isLevel(placement: Placement, nodes: readonly number[], total: number): boolean {
  const all = [...placement.values()].flat().sort((a, b) => a - b);
  if (all.length !== total || all.some((bucket, index) => bucket !== index + 1)) return false;
  const counts = nodes.map((node) => placement.get(node)?.length ?? 0);
  const held = counts.reduce((a, b) => a + b, 0);
  return held === total && Math.max(...counts) - Math.min(...counts) <= 1;
}

export function describe(placement: Placement): string {
  return [...placement].map(([node, buckets]) => `node${node} ${buckets.join(",") || "-"}`).join("; ");
}

function takeDown(directory: string, prefix: string): void {
  const [program = "", ...args] = [...SCRIPT, "down"];
  spawnSync(program, args, { env: { ...process.env, DIR: directory, PFX: prefix }, stdio: "ignore" });
  if (process.env["KEEP"] === undefined) rmSync(directory, { recursive: true, force: true });
}

/** What killed runs left: the names carry the pid of a process that is gone. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir())) {
    const owner = new RegExp(`^${DIRECTORY_PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
    const directory = path.join(tmpdir(), name);
    const prefix = path.join(directory, "prefix");
    if (existsSync(prefix)) takeDown(directory, readFileSync(prefix, "utf8"));
    rmSync(directory, { recursive: true, force: true });
  }
}
