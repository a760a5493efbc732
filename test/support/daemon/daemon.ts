/** The daemon and its client, run on a node of the lab as an operator would run them. */
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { stringify } from "yaml";
import { type Host, NIC } from "../lab/host.ts";
import { pidsOf } from "../lab/host-state.ts";
import type { Lab } from "../lab/lab.ts";
import { clientProgram, daemonProgram } from "../lab/paths.ts";
import type { ExecOptions, ExecResult, ExitStatus, TrackedProcess } from "../lab/processes.ts";
import { Hopeless, until } from "../wait.ts";

/** One entry of `virtual-ips:`, in the words of the configuration file. */
export interface VirtualIpConfig {
  /** Default: the lab's virtual IP. */
  vip?: string;
  /** Default: eth0. */
  nic?: string;
  "total-nodes": number;
  "local-node": number[];
  [option: string]: unknown;
}

export interface DaemonOptions {
  vips: VirtualIpConfig[];
  /** Other keys of the configuration file. */
  config?: Record<string, unknown>;
  /** Default: the node's own socket in the lab's directory. */
  socket?: string;
  env?: Record<string, string>;
  /** A command that becomes the daemon, such as setpriv with its options. */
  under?: readonly string[];
}

export class Daemon {
  readonly node: Host;
  readonly socket: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly process: TrackedProcess;

  constructor(node: Host, process: TrackedProcess, files: { socket: string; config: string; log: string }) {
    this.node = node;
    this.process = process;
    this.socket = files.socket;
    this.configFile = files.config;
    this.logFile = files.log;
  }

  get pid(): number {
    return this.process.pid;
  }

  get running(): boolean {
    return this.process.running;
  }

  /** What this daemon wrote to standard error so far. */
  log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  /** Sends a signal and waits for the exit. */
  kill(signal: NodeJS.Signals = "SIGTERM", timeoutMs?: number): Promise<ExitStatus> {
    return this.process.kill(signal, timeoutMs);
  }

  /** Sends a signal that the daemon survives, such as SIGHUP or SIGSTOP. */
  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }
}

export function socketOf(lab: Lab, node: Host): string {
  return path.join(lab.directoryOf(node), "control.sock");
}

/** Writes a node's configuration file and returns its path. */
export function writeConfig(
  lab: Lab,
  node: Host,
  vips: VirtualIpConfig[],
  config: Record<string, unknown> = {},
): string {
  const file = path.join(lab.directoryOf(node), "clusteripd.yaml");
  const entries = vips.map((entry) => ({ vip: lab.vip, nic: NIC, ...entry }));
  writeFileSync(file, stringify({ ...config, "virtual-ips": entries }));
  return file;
}

let daemonsStarted = 0;

/** Starts clusteripd on a node; resolves when its control socket answers, rejects with its log otherwise. */
export async function startDaemon(lab: Lab, node: Host, options: DaemonOptions): Promise<Daemon> {
  daemonsStarted += 1;
  const config = writeConfig(lab, node, options.vips, options.config);
  const socket = options.socket ?? socketOf(lab, node);
  const log = path.join(lab.directoryOf(node), `clusteripd-${daemonsStarted}.log`);
  const logDescriptor = openSync(log, "a");
  const child = node.spawn(
    [...(options.under ?? []), daemonProgram, "--config", config, "--socket", socket],
    {
      stdio: ["ignore", logDescriptor, logDescriptor],
      ...(options.env === undefined ? {} : { env: options.env }),
    },
  );
  closeSync(logDescriptor);
  const daemon = new Daemon(node, child, { socket, config, log });
  await answers(daemon);
  return daemon;
}

async function answers(daemon: Daemon): Promise<void> {
  const { node, socket } = daemon;
  try {
    await until(async () => {
      // The process first: a daemon that refuses to start must not be taken for another one on the same socket.
      if (daemon.running && (await runClient(node, socket, ["status"])).status === 0) return;
      if (daemon.running)
        throw new Error(`clusteripd on ${node.name} does not answer:
${daemon.log()}`);
      const { code, signal } = await daemon.process.exited;
      throw new Hopeless(`clusteripd on ${node.name} ended with ${signal ?? code}:
${daemon.log()}`);
    }, 50);
  } catch (error) {
    await daemon.kill("SIGKILL");
    throw error;
  }
}

/** Runs `clusterip ARGS` on a node, against the node's default control socket. */
export function clusterip(
  lab: Lab,
  node: Host,
  args: readonly string[],
  options?: ExecOptions,
): Promise<ExecResult> {
  return runClient(node, socketOf(lab, node), args, options);
}

function runClient(
  node: Host,
  socket: string,
  args: readonly string[],
  options?: ExecOptions,
): Promise<ExecResult> {
  return node.tryExec([clientProgram, "--socket", socket, ...args], options);
}

/** Ends what a failed test left running, so that the next one starts on a host without a daemon. */
export async function recover(lab: Lab, node: Host): Promise<void> {
  for (const pid of await pidsOf(node, "bin/clusteripd")) process.kill(pid, "SIGKILL");
  await until(async () => {
    const { status, stderr } = await clusterip(lab, node, ["cleanup"]);
    if (status !== 0) throw new Error(stderr);
  });
}
