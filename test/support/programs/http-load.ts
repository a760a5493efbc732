/**
 * Clients that go on and on: HTTP requests with unique ids from many source addresses, until SIGTERM or for
 * --seconds; then waits for the requests on their way and prints the report as JSON.
 *
 *   --url URL  --sources ADDRESS,…  --tag WORD
 *   --rate N           requests a second in all (0: as fast as --concurrency allows)
 *   --concurrency N    requests at the same time
 *   --timeout-ms N     when a request counts as lost
 *   --keep-alive       one kept connection a source instead of a new one a request
 */
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { HttpLoadReport, HttpRequest } from "../traffic/traffic.ts";
import { cycled } from "./parallel.ts";

const { values: options } = parseArgs({
  options: {
    url: { type: "string", default: "" },
    sources: { type: "string", default: "" },
    tag: { type: "string", default: "load" },
    seconds: { type: "string", default: "0" },
    rate: { type: "string", default: "0" },
    concurrency: { type: "string", default: "32" },
    "timeout-ms": { type: "string", default: "10000" },
    "keep-alive": { type: "boolean", default: false },
  },
});

const sources = options.sources.split(",");
const keepAlive = options["keep-alive"];
const agents = keepAlive ? sources.map(() => new http.Agent({ keepAlive: true, maxSockets: 1 })) : [];
const requests: HttpRequest[] = [];
let stopping = false;

function request(index: number, sourceIndex: number): Promise<HttpRequest> {
  const id = `${options.tag}-${index}`;
  const saddr = cycled(sources, sourceIndex);
  const result: HttpRequest = { id, saddr, sport: 0, startedMs: Date.now(), ms: 0 };
  const started = performance.now();
  return new Promise((resolve) => {
    const finish = (outcome: { node: string } | { error: string }): void => {
      clearTimeout(timer);
      result.ms = performance.now() - started;
      resolve(Object.assign(result, outcome));
    };
    const outgoing = http.get(`${options.url}?id=${id}`, {
      localAddress: saddr,
      agent: keepAlive ? cycled(agents, sourceIndex) : false,
    });
    const timer = setTimeout(() => outgoing.destroy(new Error("timeout")), Number(options["timeout-ms"]));
    const noteSourcePort = (): void => {
      result.sport = outgoing.socket?.localPort ?? 0;
    };
    outgoing.once("socket", (socket) => {
      if (socket.connecting) socket.once("connect", noteSourcePort);
      else noteSourcePort();
    });
    outgoing.once("error", (error: NodeJS.ErrnoException) => finish({ error: error.code ?? error.message }));
    outgoing.once("response", (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (text: string) => {
        body += text;
      });
      response.once("error", (error: NodeJS.ErrnoException) =>
        finish({ error: error.code ?? error.message }),
      );
      response.once("end", () => finish(parseAnswer(body, id)));
    });
  });
}

function parseAnswer(body: string, id: string): { node: string } | { error: string } {
  try {
    const answer = JSON.parse(body) as { node: string; id: string };
    return answer.id === id ? { node: answer.node } : { error: `answer to another request: ${answer.id}` };
  } catch {
    return { error: "not an answer" };
  }
}

/** Requests start at even distances, whichever worker is free: one that hangs does not hold up the others. */
async function runLoad(): Promise<void> {
  const rate = Number(options.rate);
  const workers = keepAlive ? sources.length : Number(options.concurrency);
  const startedMs = performance.now();
  let issued = 0;
  const worker = async (_: unknown, number: number): Promise<void> => {
    while (!stopping) {
      const index = issued;
      issued += 1;
      if (rate > 0) await sleep(Math.max(0, startedMs + (index * 1000) / rate - performance.now()));
      if (stopping) return;
      // A kept connection belongs to one worker; new connections take the sources in turn.
      requests.push(await request(index, keepAlive ? number : index));
    }
  };
  await Promise.all(Array.from({ length: workers }, worker));
}

function report(): HttpLoadReport {
  const answered = requests.filter((entry) => entry.node !== undefined);
  const perNode: Record<string, number> = {};
  for (const { node = "" } of answered) perNode[node] = (perNode[node] ?? 0) + 1;
  const durations = answered.map((entry) => entry.ms).sort((a, b) => a - b);
  const quantile = (share: number): number => durations[Math.floor((durations.length - 1) * share)] ?? 0;
  return {
    requests: requests.length,
    answered: answered.length,
    failed: requests.length - answered.length,
    perNode,
    durationsMs: { p50: quantile(0.5), p99: quantile(0.99), max: quantile(1) },
    records: requests,
  };
}

process.on("SIGTERM", () => {
  stopping = true;
});
if (Number(options.seconds) > 0) {
  setTimeout(() => {
    stopping = true;
  }, Number(options.seconds) * 1000);
}
console.error("ready");
await runLoad();
for (const agent of agents) agent.destroy();
process.stdout.write(JSON.stringify(report()));
