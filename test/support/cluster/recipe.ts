/**
 * What the tests of docs/recipes.md share: a cluster whose nodes run a real service instead of the lab's server,
 * and the question who has answered, asked of the wire.
 *
 *     node1 .11        node2 .12        node3 .13           client1, many addresses
 *     service, daemon  service, daemon  service, daemon
 *     ══╧════════════════╧════════════════╧════════════════════╧══  192.0.2.0/24, virtual IP .10
 */
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";
import { Document } from "../documents/document.ts";
import type { Host } from "../lab/host.ts";
import type { Lab } from "../lab/lab.ts";
import type { TrackedProcess } from "../lab/processes.ts";
import { inParallel } from "../programs/parallel.ts";
import { type Capture, capture } from "../wire/capture.ts";
import { type CapturedFrame, readFrames } from "../wire/frames.ts";
import { Cluster, type ClusterOptions } from "./cluster.ts";

export const recipes = new Document("docs/recipes.md");
const SOURCES = 8;
const FIRST_PORT = 31_000;
const AT_ONCE = 4;

let servicesStarted = 0;

/** A service in the foreground, and what it says. */
export class Service {
  readonly process: TrackedProcess;
  readonly #log: string;

  /** On a node under the node's own name, which the machine's other namespaces do not see. */
  constructor(lab: Lab, node: Host, argv: readonly string[]) {
    servicesStarted += 1;
    // A file and no pipe: the workers of a service that is killed hold what it has open.
    this.#log = path.join(lab.directoryOf(node), `service-${servicesStarted}.log`);
    const descriptor = openSync(this.#log, "a");
    const named = `hostname ${node.name} && exec "$@"`;
    this.process = node.spawn(["unshare", "--uts", "sh", "-c", named, "sh", ...argv], {
      stdio: ["ignore", descriptor, descriptor],
    });
    closeSync(descriptor);
  }

  get output(): string {
    return readFileSync(this.#log, "utf8");
  }
}

/** Writes a file of a recipe where a node keeps its files; returns its path. */
export function place(lab: Lab, node: Host, name: string, text: string): string {
  const file = path.join(lab.directoryOf(node), name);
  writeFileSync(file, text);
  return file;
}

export interface Request {
  saddr: string;
  sport: number;
  /** What the client printed. */
  answer: string;
}

export class RecipeCluster {
  readonly cluster: Cluster;
  readonly #protocol: "tcp" | "udp";
  readonly #owners = new Map([1, 2, 3].map((number) => [number, `node${number}`]));
  #nextPort = FIRST_PORT;

  private constructor(cluster: Cluster, protocol: "tcp" | "udp") {
    this.cluster = cluster;
    this.#protocol = protocol;
  }

  /** @param services started on all nodes before the daemons: the address is not there yet, as at boot */
  static async start(
    protocol: "tcp" | "udp",
    services: (lab: Lab) => Promise<void>,
    options: Partial<ClusterOptions> = {},
  ): Promise<RecipeCluster> {
    const lan = { network: "192.0.2", vip: "192.0.2.10", sources: SOURCES };
    const start = async (lab: Lab): Promise<void> => {
      // The lab's own servers need it; a recipe says itself when it does.
      for (const node of lab.nodes) await node.setSysctl("net/ipv4/ip_nonlocal_bind", 0);
      await services(lab);
    };
    return new RecipeCluster(await Cluster.start({ ...lan, ...options, services: start }), protocol);
  }

  get lab(): Lab {
    return this.cluster.lab;
  }

  get vip(): string {
    return this.cluster.lab.vip;
  }

  ownerOf({ saddr, sport }: { saddr: string; sport: number }, dport: number): string | undefined {
    return this.#owners.get(this.cluster.bucketOf({ protocol: this.#protocol, saddr, sport, dport }));
  }

  /**
   * Runs a client for `perSource` new flows of each source, some at once. Every client has to succeed, and of every
   * flow the owner of its bucket alone has to have answered.
   *
   * @param client the command of one client; a flow is used once
   */
  async ask(
    dport: number,
    perSource: number,
    client: (flow: { saddr: string; sport: number }) => readonly string[],
  ): Promise<Request[]> {
    const recording = await capture(this.lab, this.lab.switch, `${this.#protocol} port ${dport}`);
    const firstPort = this.#nextPort;
    this.#nextPort += perSource;
    const sources = this.cluster.sources;
    const requests = await inParallel(sources.length * perSource, AT_ONCE, async (index) => {
      const saddr = sources[index % sources.length] ?? "";
      const flow = { saddr, sport: firstPort + Math.floor(index / sources.length) };
      const answer = await this.lab.client().exec(client(flow));
      return { ...flow, answer };
    });
    await this.expectOwners(recording, dport, requests);
    return requests;
  }

  /** Ends a capture and asks of the flows in it who has answered. */
  async expectOwners(
    recording: Capture,
    dport: number,
    flows?: readonly { saddr: string; sport: number }[],
  ): Promise<void> {
    const answers = new Map<string, string[]>();
    const asked = new Set<string>();
    for (const frame of await readFrames(await recording.stop())) {
      const { from, to } = endsOf(frame, this.#protocol) ?? { from: "", to: "" };
      if (to === `${this.vip}:${dport}`) asked.add(from);
      if (from !== `${this.vip}:${dport}` || !isAnswer(frame, this.#protocol)) continue;
      answers.set(to, [...(answers.get(to) ?? []), this.cluster.nodeOfMac(frame.from)]);
    }
    for (const { saddr, sport } of flows ?? []) expect(asked).toContain(`${saddr}:${sport}`);
    const wrong = [...asked].flatMap((client) => {
      const [saddr = "", sport = "0"] = client.split(":");
      const owner = this.ownerOf({ saddr, sport: Number(sport) }, dport);
      const by = answers.get(client) ?? [];
      // A handshake's second part comes again where an acknowledgement is late; an answer by UDP never does.
      const nodes = this.#protocol === "tcp" ? [...new Set(by)] : by;
      return nodes.length === 1 && nodes[0] === owner ? [] : [`${client} of ${owner}: ${by.join(", ")}`];
    });
    expect(wrong).toEqual([]);
    expect(asked.size).toBeGreaterThan(0);
    // A test in which one node was not asked would not show much.
    const answeredBy = new Set([...answers.values()].flat());
    expect([...answeredBy].sort()).toEqual([...new Set(this.#owners.values())].sort());
  }

  /** A bucket goes from its owner to another node, in the order that answers nothing twice. */
  async move(bucket: number, to: number): Promise<void> {
    const from = Number(this.#owners.get(bucket)?.slice("node".length));
    await this.cluster.changeNodes(this.lab.node(from), `-${bucket}`);
    await this.#give(bucket, to);
  }

  /** A node dies, as without power, with all that runs on it; its bucket goes to another one. */
  async die(node: number, successor: number): Promise<void> {
    const host = this.lab.node(node);
    await host.linkDown();
    for (const pid of (await host.exec(["ip", "netns", "pids", host.namespace])).split("\n")) {
      try {
        if (pid !== "") process.kill(Number(pid), "SIGKILL");
      } catch {
        // The command that listed them, and children of those that were killed before.
      }
    }
    await this.#give(node, successor);
  }

  async #give(bucket: number, to: number): Promise<void> {
    await this.cluster.changeNodes(this.lab.node(to), `+${bucket}`);
    this.#owners.set(bucket, `node${to}`);
  }

  close(): Promise<void> {
    return this.cluster.close();
  }
}

function endsOf({ ip }: CapturedFrame, protocol: "tcp" | "udp"): { from: string; to: string } | undefined {
  const ports = ip?.[protocol];
  if (ip === undefined || ports === undefined) return undefined;
  return { from: `${ip.from}:${ports.sport}`, to: `${ip.to}:${ports.dport}` };
}

/** Of TCP the part of the handshake that only a listening service sends. */
function isAnswer({ ip }: CapturedFrame, protocol: "tcp" | "udp"): boolean {
  return protocol === "udp" || (ip?.tcp?.flags.syn === true && ip.tcp.flags.ack);
}

/** An HTTP request from a certain address and port. */
export function curl(vip: string): (flow: { saddr: string; sport: number }) => readonly string[] {
  return ({ saddr, sport }) => [
    ...["curl", "--silent", "--show-error", "--fail", "--max-time", "30"],
    ...["--interface", saddr, "--local-port", String(sport), `http://${vip}/`],
  ];
}
