/** Real servers on the nodes and real clients beside them; the programs themselves are in programs/. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { type Host, NIC } from "../lab/host.ts";
import type { Lab } from "../lab/lab.ts";
import { supportProgram } from "../lab/paths.ts";
import type { TrackedProcess } from "../lab/processes.ts";
import { Hopeless, until } from "../wait.ts";

export interface ServerOptions {
  tcp?: number[];
  udp?: number[];
  http?: number;
  /** The address that UDP answers come from; default: the lab's virtual IP. */
  udpAddress?: string;
}

export interface TcpConnection {
  saddr: string;
  sport: number;
  dport: number;
  ms: number;
  node?: string;
  error?: string;
}

export interface UdpReply {
  node: string;
  id: string;
  /** The size of the datagram as the server got it. */
  bytes: number;
  from: string;
}

export interface UdpRequest {
  saddr: string;
  sport: number;
  dport: number;
  id: string;
  replies: UdpReply[];
  error?: string;
}

export interface HttpRequest {
  id: string;
  saddr: string;
  /** 0 when the connection was never made. */
  sport: number;
  /** Wall clock, to compare with what the test did meanwhile. */
  startedMs: number;
  ms: number;
  node?: string;
  error?: string;
}

export interface HttpLoadReport {
  requests: number;
  answered: number;
  failed: number;
  perNode: Record<string, number>;
  durationsMs: { p50: number; p99: number; max: number };
  records: HttpRequest[];
}

/** The services of one node. */
export class NodeServer {
  readonly node: Host;
  readonly process: TrackedProcess;
  readonly #logFile: string;

  constructor(node: Host, process: TrackedProcess, logFile: string) {
    this.node = node;
    this.process = process;
    this.#logFile = logFile;
  }

  /** The ids of all requests that reached this node, in order. */
  requestsSeen(protocol: "tcp" | "udp" | "http"): string[] {
    return readFileSync(this.#logFile, "utf8")
      .split("\n")
      .filter((line) => line.startsWith(`${protocol} `))
      .map((line) => line.slice(protocol.length + 1));
  }
}

export async function startServer(lab: Lab, node: Host, options: ServerOptions): Promise<NodeServer> {
  const log = path.join(lab.directoryOf(node), "requests.log");
  const args = ["--name", node.name, "--log", log, "--udp-address", options.udpAddress ?? lab.vip];
  if (options.tcp !== undefined) args.push("--tcp", options.tcp.join());
  if (options.udp !== undefined) args.push("--udp", options.udp.join());
  if (options.http !== undefined) args.push("--http", String(options.http));
  const child = node.spawn([process.execPath, supportProgram("server"), ...args]);
  await outputContains(child, "ready");
  return new NodeServer(node, child, log);
}

/** Requests that more than one server saw, or one server twice. */
export function duplicateRequests(
  servers: readonly NodeServer[],
  protocol: "tcp" | "udp" | "http",
): string[] {
  const seen = new Set<string>();
  const duplicates = new Set<string>();
  for (const id of servers.flatMap((server) => server.requestsSeen(protocol))) {
    if (seen.has(id)) duplicates.add(id);
    seen.add(id);
  }
  return [...duplicates];
}

export interface ClientOptions {
  to: string;
  ports: number[];
  sources: string[];
  count: number;
  /** Default 20000. Source ports run from here, see programs/tcp-client.ts. */
  firstPort?: number;
  parallel?: number;
  timeoutMs?: number;
}

export async function tcpConnections(client: Host, options: ClientOptions): Promise<TcpConnection[]> {
  return JSON.parse(await runClient(client, "tcp-client", options)) as TcpConnection[];
}

export interface UdpClientOptions extends ClientOptions {
  bytes?: number;
  lingerMs?: number;
  tag?: string;
}

/** The receive buffer of a server's socket holds about twenty datagrams in fragments, while the server waits for a CPU. */
const LARGE_BYTES = 1500;
const LARGE_AT_ONCE = 16;

export async function udpRequests(client: Host, options: UdpClientOptions): Promise<UdpRequest[]> {
  const { bytes = 0, parallel = Number.POSITIVE_INFINITY } = options;
  const limited = bytes < LARGE_BYTES ? options : { ...options, parallel: Math.min(parallel, LARGE_AT_ONCE) };
  return JSON.parse(await runClient(client, "udp-client", limited)) as UdpRequest[];
}

/** Programs take their options in kebab case, with the names of the fields. */
function runClient(client: Host, program: string, options: UdpClientOptions): Promise<string> {
  return client.exec([process.execPath, supportProgram(program), ...flags(options)], { timeoutMs: 120_000 });
}

function flags(options: object): string[] {
  return Object.entries(options).flatMap(([field, value]: [string, unknown]) => {
    const flag = `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (typeof value === "boolean") return value ? [flag] : [];
    return [flag, String(value)];
  });
}

export interface HttpLoadOptions {
  url: string;
  sources: string[];
  tag?: string;
  seconds?: number;
  /** Requests a second; without it as fast as `concurrency` allows. */
  rate?: number;
  concurrency?: number;
  timeoutMs?: number;
  keepAlive?: boolean;
}

export class HttpLoad {
  readonly process: TrackedProcess;
  #output = "";

  constructor(process: TrackedProcess) {
    this.process = process;
    process.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
    });
  }

  /** Waits for the end of a load with `seconds`. */
  async finished(): Promise<HttpLoadReport> {
    await this.process.exited;
    return JSON.parse(this.#output) as HttpLoadReport;
  }

  /** Starts no more requests, waits for those on their way and reports. */
  async stop(): Promise<HttpLoadReport> {
    await this.process.kill("SIGTERM");
    return this.finished();
  }
}

/** Starts a load in the background; resolves when it runs. */
export async function startHttpLoad(client: Host, options: HttpLoadOptions): Promise<HttpLoad> {
  const child = client.spawn([process.execPath, supportProgram("http-load"), ...flags(options)]);
  const load = new HttpLoad(child);
  await outputContains(child, "ready");
  return load;
}

/** Puts raw Ethernet frames on a host's NIC, in the order given. */
export async function sendFrames(
  host: Host,
  frames: readonly Uint8Array[],
  options: { nic?: string; intervalUs?: number; cpu?: number } = {},
): Promise<void> {
  const args = ["--interface", options.nic ?? NIC, "--interval-us", String(options.intervalUs ?? 0)];
  const input = JSON.stringify(frames.map((frame) => Buffer.from(frame).toString("hex")));
  const pinned = options.cpu === undefined ? [] : ["taskset", "--cpu-list", String(options.cpu)];
  const argv = [...pinned, process.execPath, supportProgram("send-frames"), ...args];
  await host.exec(argv, { input });
}

async function outputContains(process: TrackedProcess, text: string): Promise<void> {
  let output = "";
  for (const pipe of [process.child.stdout, process.child.stderr]) {
    pipe?.on("data", (chunk: Buffer | string) => {
      output += chunk.toString();
    });
  }
  await until(() => {
    if (output.includes(text)) return;
    if (!process.running)
      throw new Hopeless(`the program ended before it was ready:
${output}`);
    throw new Error(`no "${text}":
${output}`);
  });
}
