/**
 * The main job on one machine: three hosts answer as one, a bucket moves while clients go on, a node dies and its
 * bucket is taken over. Started by scripts/demo, which sees to everything that is needed first.
 *
 * All numbers are counted, none is computed from another: what clients got comes from the clients, what servers
 * saw comes from the servers' own logs.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { clusterip, type Daemon, startDaemon } from "../test/support/daemon/daemon.ts";
import type { Host } from "../test/support/lab/host.ts";
import { Lab } from "../test/support/lab/lab.ts";
import {
  duplicateRequests,
  type HttpLoadReport,
  type NodeServer,
  startHttpLoad,
  startServer,
} from "../test/support/traffic/traffic.ts";

const NODES = 3;
const CURLS = 300;
const SOURCES = 40;
/** Requests a second that the clients keep up while buckets move. */
const RATE = 100;
const STEPS = 8;

const json = process.argv.includes("--json");
const out = json ? process.stderr : process.stdout;

let stepsDone = 0;

function step(text: string): void {
  stepsDone += 1;
  out.write(`\n[${stepsDone}/${STEPS}] ${text}\n`);
}

function show(text: string): void {
  for (const line of text.trimEnd().split("\n")) out.write(`      ${line}\n`);
}

/** What the clients saw, over all steps. */
class Tally {
  requests = 0;
  readonly perNode: Record<string, number> = {};
  readonly #answered = new Set<string>();

  add(id: string, node: string | undefined): void {
    this.requests += 1;
    if (node === undefined) return;
    this.#answered.add(id);
    this.perNode[node] = (this.perNode[node] ?? 0) + 1;
  }

  get lost(): number {
    return this.requests - this.#answered.size;
  }

  answeredOnce(duplicates: ReadonlySet<string>): number {
    return [...this.#answered].filter((id) => !duplicates.has(id)).length;
  }
}

class Demo {
  readonly #lab: Lab;
  readonly #tally = new Tally();
  readonly #servers: NodeServer[] = [];
  readonly #daemons: Daemon[] = [];
  #sources: string[] = [];

  constructor(lab: Lab) {
    this.#lab = lab;
    for (let number = 1; number <= NODES; number += 1) this.#tally.perNode[`node${number}`] = 0;
  }

  async run(): Promise<void> {
    await this.#startServers();
    await this.#startDaemons();
    await this.#showArp();
    await this.#curl();
    await this.#moveBucket();
    await this.#takeOver();
    await this.#finalTable();
  }

  /** The result line of --json. */
  summary(): object {
    const duplicates = new Set(duplicateRequests(this.#servers, "http"));
    return {
      requests: this.#tally.requests,
      answeredOnce: this.#tally.answeredOnce(duplicates),
      lost: this.#tally.lost,
      duplicates: duplicates.size,
      perNode: this.#tally.perNode,
    };
  }

  async #startServers(): Promise<void> {
    step(`a web server on each node, ${SOURCES} addresses for the client`);
    for (const node of this.#lab.nodes) this.#servers.push(await startServer(this.#lab, node, { http: 80 }));
    this.#sources = await this.#lab.addSources(this.#lab.client(), SOURCES);
  }

  async #startDaemons(): Promise<void> {
    step(`clusteripd on each node: together they are ${this.#lab.vip}, node N answers for bucket N`);
    for (const [index, node] of this.#lab.nodes.entries()) {
      const vips = [{ "total-nodes": NODES, "local-node": [index + 1] }];
      this.#daemons.push(await startDaemon(this.#lab, node, { vips }));
    }
    for (const node of this.#lab.nodes) await this.#clusterip(node, "nodes", this.#lab.vip);
  }

  async #showArp(): Promise<void> {
    step("the client asks for the address: one multicast MAC, and so all nodes hear it");
    await this.#shell("client", this.#lab.client(), `ping -q -c 3 -i 0.2 ${this.#lab.vip}`);
    await this.#shell("client", this.#lab.client(), `ip neigh show ${this.#lab.vip}`);
  }

  async #curl(): Promise<void> {
    step(`${CURLS} curls, a new connection each`);
    const { vip } = this.#lab;
    const client = this.#lab.client();
    const command = `seq -f 'http://${vip}/?id=curl-%g' ${CURLS} | xargs -n 1 -P 4 curl -s --max-time 10`;
    show(`client# ${command}`);
    // xargs reports a curl that failed by its status; here the answers that are missing tell the same.
    const { stdout } = await client.tryExec(["sh", "-c", command], { timeoutMs: 900_000 });
    const answers = new Map(
      stdout
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as { node: string; id: string })
        .map(({ id, node }) => [id, node]),
    );
    const perNode: Record<string, number> = {};
    for (let number = 1; number <= CURLS; number += 1) {
      const node = answers.get(`curl-${number}`);
      this.#tally.add(`curl-${number}`, node);
      if (node !== undefined) perNode[node] = (perNode[node] ?? 0) + 1;
    }
    show(`${answers.size} answered: ${countsOf(perNode)}`);
  }

  async #moveBucket(): Promise<void> {
    step("bucket 2 moves from node 2 to node 3 while clients go on");
    await this.#underLoad("move", async () => {
      await this.#clusterip(this.#lab.node(2), "nodes", this.#lab.vip, "-2");
      await this.#clusterip(this.#lab.node(3), "nodes", this.#lab.vip, "+2");
    });
  }

  async #takeOver(): Promise<void> {
    step("node 1 dies, as without power, and node 2 takes over bucket 1");
    await this.#underLoad("takeover", async () => {
      const victim = this.#daemons[0];
      // The link too: with engine bpf a host whose daemon alone is gone goes on answering.
      show(`node1# ip link set eth0 down; kill -9 ${victim?.pid}`);
      await this.#lab.node(1).linkDown();
      await victim?.kill("SIGKILL");
      await this.#clusterip(this.#lab.node(2), "nodes", this.#lab.vip, "+1");
    });
  }

  /** Keeps requests coming for a second before and two seconds after `action`, and tells what became of them. */
  async #underLoad(tag: string, action: () => Promise<void>): Promise<void> {
    const load = await startHttpLoad(this.#lab.client(), {
      url: `http://${this.#lab.vip}/`,
      sources: this.#sources,
      rate: RATE,
      tag,
    });
    await sleep(1000);
    const actionMs = Date.now();
    await action();
    const doneMs = Date.now();
    await sleep(2000);
    this.#showLoad(tag, await load.stop(), actionMs, doneMs);
  }

  #showLoad(tag: string, report: HttpLoadReport, actionMs: number, doneMs: number): void {
    const before: Record<string, number> = {};
    const after: Record<string, number> = {};
    for (const { id, node, startedMs } of report.records) {
      this.#tally.add(id, node);
      if (node === undefined) continue;
      if (startedMs < actionMs) before[node] = (before[node] ?? 0) + 1;
      if (startedMs > doneMs) after[node] = (after[node] ?? 0) + 1;
    }
    const duplicates = duplicateRequests(this.#servers, "http").filter((id) => id.startsWith(tag));
    show(`answered before: ${countsOf(before)}`);
    show(`answered after:  ${countsOf(after)}`);
    show(
      `${report.requests} requests at ${RATE} a second, ${report.answered} answered, ` +
        `${report.failed} lost, ${duplicates.length} answered twice, ` +
        `longest wait ${report.durationsMs.max.toFixed(0)} ms`,
    );
    if (report.failed > 0) {
      const errors = new Set(report.records.flatMap(({ error }) => error ?? []));
      show(
        `lost with ${[...errors].join(", ")}: open in the bucket as it moved, and unknown to its new owner`,
      );
    }
  }

  async #finalTable(): Promise<void> {
    step("what a node knows of the whole cluster, and who answered what");
    await this.#clusterip(this.#lab.node(3), "status");
    show("");
    const rows = [["node", "address", "daemon", "buckets", "answered"]];
    for (const [index, node] of this.#lab.nodes.entries()) {
      const running = this.#daemons[index]?.running === true;
      const buckets = running
        ? (await clusterip(this.#lab, node, ["nodes", this.#lab.vip])).stdout.trim()
        : "-";
      const answered = String(this.#tally.perNode[node.name] ?? 0);
      rows.push([node.name, node.address, running ? "running" : "dead", buckets, answered]);
    }
    show(table(rows));
    const { requests, answeredOnce, lost, duplicates } = this.summary() as Record<string, number>;
    show("");
    show(`${requests} requests: ${answeredOnce} answered once, ${lost} lost, ${duplicates} answered twice`);
  }

  async #clusterip(node: Host, ...args: string[]): Promise<void> {
    show(`${node.name}# clusterip ${args.join(" ")}`);
    const { status, stdout, stderr } = await clusterip(this.#lab, node, args);
    if (status !== 0) throw new Error(`clusterip ${args.join(" ")}: exit status ${status}\n${stderr}`);
    if (stdout !== "") show(stdout);
  }

  async #shell(prompt: string, host: Host, command: string): Promise<void> {
    show(`${prompt}# ${command}`);
    show(await host.exec(["sh", "-c", command]));
  }
}

function countsOf(perNode: Record<string, number>): string {
  const nodes = Object.keys(perNode).sort();
  return nodes.map((node) => `${node} ${perNode[node]}`).join(", ") || "none";
}

function table(rows: readonly string[][]): string {
  const widths =
    rows[0]?.map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => out.write("\ndemo: interrupted, tearing down\n"));
}

step("a LAN in network namespaces: a bridge, three nodes, a client");
const lab = await Lab.create({ nodes: NODES });
let summary: object | undefined;
try {
  const demo = new Demo(lab);
  await demo.run();
  summary = demo.summary();
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  await lab.close();
  out.write("\ntorn down: namespaces, processes and files are gone\n");
}
if (json && summary !== undefined) process.stdout.write(`${JSON.stringify(summary)}\n`);
