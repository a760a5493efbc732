/** The cluster under all events of `events.ts`, one after the other, with clients throughout; and what came of each. */
import { setTimeout as sleep } from "node:timers/promises";
import { supportProgram } from "../lab/paths.ts";
import { ProcessTable } from "../lab/processes.ts";
import { HttpLoad, type HttpLoadReport } from "../traffic/traffic.ts";
import { NODES, PacemakerCluster, SOURCES, VIP } from "./cluster.ts";
import { configuration, type Event, firstEvents, laterEvents } from "./events.ts";
import { type Outage, type PingRecord, Pings } from "./pings.ts";

const HTTP_RATE = 60;

interface Window {
  readonly event: Event;
  readonly fromMs: number;
  readonly toMs: number;
}

/** What clients saw from the beginning of an event until the cluster had nothing left to do. */
export interface Outcome extends Window {
  readonly requests: number;
  readonly lost: number;
  readonly doubled: number;
  readonly outages: readonly Outage[];
  /** when every bucket was answered again */
  readonly answeredMs: number;
}

/**
 * @throws Error when the buckets do not become level after an event, the cluster does not come to rest, or a client gets
 *   no answer then
 */
export async function runEvents(): Promise<readonly Outcome[]> {
  const processes = new ProcessTable();
  const cluster = await PacemakerCluster.up();
  try {
    await cluster.configure(configuration(3));
    await cluster.level(NODES, 3);
    const pings = new Pings((argv) => cluster.insideClient(argv));
    const load = startLoad(cluster, processes);
    await sleep(1000);
    const windows: Window[] = [];
    for (const event of firstEvents()) windows.push(await happen(cluster, pings, event));
    await changeTotal(cluster, 12);
    for (const event of laterEvents(await cluster.controller(1)))
      windows.push(await happen(cluster, pings, event));
    return outcomes(await pings.stop(), await load.stop(), cluster, windows);
  } finally {
    await processes.killAll();
    cluster.downNow();
  }
}

async function happen(cluster: PacemakerCluster, pings: Pings, event: Event): Promise<Window> {
  const fromMs = Date.now();
  await event.run(cluster);
  await cluster.level(event.remaining, event.total);
  await cluster.idle(event.name.includes("down") || event.remaining.length < 3 ? 2 : 3);
  await pings.answered();
  await sleep(300);
  return { event, fromMs, toMs: Date.now() };
}

async function changeTotal(cluster: PacemakerCluster, total: number): Promise<void> {
  await cluster.in(1, "crm_resource", "--resource", "vips", "--meta", "-p", "target-role", "-v", "Stopped");
  await cluster.command(["wait", "3", "240"]);
  await cluster.level([], 0);
  await cluster.configure(configuration(total));
  await cluster.in(1, "crm_resource", "--resource", "vips", "--meta", "-d", "target-role");
  await cluster.level(NODES, total);
  await cluster.idle(3);
  await sleep(1500);
}

function startLoad(cluster: PacemakerCluster, processes: ProcessTable): HttpLoad {
  const args = ["--url", `http://${VIP}/`, "--sources", SOURCES.join(), "--rate", String(HTTP_RATE)];
  // Many at a time: those that hang while a bucket is not served must not hold up the others.
  const patience = ["--concurrency", "300", "--timeout-ms", "3000"];
  return new HttpLoad(
    processes.spawn(
      cluster.insideClient([process.execPath, supportProgram("http-load"), ...args, ...patience]),
    ),
  );
}

function outcomes(
  pings: PingRecord,
  http: HttpLoadReport,
  cluster: PacemakerCluster,
  windows: readonly Window[],
): Outcome[] {
  const seen = new Map<string, number>();
  for (const id of NODES.flatMap((node) => cluster.requestsSeen(node))) seen.set(id, (seen.get(id) ?? 0) + 1);
  return windows.map((window) => {
    const { event, fromMs, toMs } = window;
    const ping = pings.count(fromMs, toMs);
    const requests = http.records.filter(({ startedMs }) => startedMs >= fromMs && startedMs < toMs);
    const outages = pings.outages(fromMs, toMs, event.total);
    return {
      ...window,
      requests: ping.sent + requests.length,
      lost: ping.lost + requests.filter(({ node }) => node === undefined).length,
      doubled: ping.doubled + requests.filter(({ id }) => (seen.get(id) ?? 0) > 1).length,
      outages,
      answeredMs: Math.max(fromMs, ...outages.map((outage) => outage.toMs)),
    };
  });
}
