/**
 * Continuous ping from many addresses, read as one probe of each address's bucket every 50 ms: how many were
 * lost, how many were answered twice, and for how long nobody answered for a bucket.
 */
import { spawn } from "node:child_process";
import { bucketOf, parseIpv4, protocolNumbers } from "../../../src/index.ts";
import { until } from "../wait.ts";
import { SOURCES, VIP } from "./cluster.ts";

const INTERVAL_S = 0.05;

export interface Probe {
  readonly sentMs: number;
  readonly answered: boolean;
}

export interface Outage {
  readonly bucket: number;
  readonly fromMs: number;
  readonly toMs: number;
}

export class Pings {
  readonly #children: {
    readonly source: string;
    readonly output: () => string;
    readonly stop: () => Promise<string>;
  }[];

  constructor(inside: (argv: readonly string[]) => string[], sources = SOURCES, vip = VIP) {
    this.#children = sources.map((source) => {
      const argv = inside(["ping", "-n", "-D", "-i", String(INTERVAL_S), "-I", source, vip]);
      const child = spawn("setpriv", ["--pdeathsig", "KILL", ...argv], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      let output = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
      const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
      const stop = async (): Promise<string> => {
        child.kill("SIGINT");
        await closed;
        return output;
      };
      return { source, output: () => output, stop };
    });
  }

  /** Waits until each address has got an answer to something that it has asked from now on. */
  async answered(): Promise<void> {
    const sinceMs = Date.now();
    for (const { source, output } of this.#children) {
      await until(() => {
        const { probes } = parsePing(output().slice(-2000));
        if (!probes.some((probe) => probe.answered && probe.sentMs > sinceMs)) {
          throw new Error(`${source} gets no answer any more`);
        }
      });
    }
  }

  async stop(): Promise<PingRecord> {
    const ended = this.#children.map(async ({ source, stop }) => [source, parsePing(await stop())] as const);
    return new PingRecord(new Map(await Promise.all(ended)));
  }
}

interface PingOutput {
  readonly probes: readonly Probe[];
  /** when the second answers came */
  readonly doubledMs: readonly number[];
}

export class PingRecord {
  readonly #bySource: ReadonlyMap<string, PingOutput>;

  constructor(bySource: ReadonlyMap<string, PingOutput>) {
    this.#bySource = bySource;
  }

  count(fromMs: number, toMs: number): { sent: number; lost: number; doubled: number } {
    let [sent, lost, doubled] = [0, 0, 0];
    for (const { probes, doubledMs } of this.#bySource.values()) {
      for (const probe of probes) {
        if (probe.sentMs < fromMs || probe.sentMs >= toMs) continue;
        sent += 1;
        if (!probe.answered) lost += 1;
      }
      doubled += doubledMs.filter((at) => at >= fromMs && at < toMs).length;
    }
    return { sent, lost, doubled };
  }

  /** The times in which no probe of a bucket was answered, within a window. */
  outages(fromMs: number, toMs: number, totalNodes: number): readonly Outage[] {
    const byBucket = new Map<number, Probe[]>();
    for (const [source, { probes }] of this.#bySource) {
      const bucket = icmpBucket(source, totalNodes);
      const inWindow = probes.filter(({ sentMs }) => sentMs >= fromMs && sentMs < toMs);
      byBucket.set(bucket, [...(byBucket.get(bucket) ?? []), ...inWindow]);
    }
    return [...byBucket].flatMap(([bucket, probes]) => outagesOf(bucket, probes, toMs));
  }
}

export function icmpBucket(source: string, totalNodes: number): number {
  const flow = {
    protocol: protocolNumbers.icmp,
    saddrHost: parseIpv4(source),
    sourcePort: 0,
    destinationPort: 0,
  };
  return bucketOf(flow, { hashMode: "sourceip-sourceport", totalNodes, hashInit: 0 });
}

/** From the first probe lost to the first answered after it. */
export function outagesOf(bucket: number, probes: readonly Probe[], endMs: number): readonly Outage[] {
  const outages: Outage[] = [];
  let lost: Probe[] = [];
  const close = (toMs: number): void => {
    const [first] = lost;
    if (first !== undefined) outages.push({ bucket, fromMs: first.sentMs, toMs });
    lost = [];
  };
  for (const probe of probes.toSorted((a, b) => a.sentMs - b.sentMs)) {
    if (!probe.answered) lost.push(probe);
    else if (lost.length > 0) close(probe.sentMs);
  }
  close(endMs);
  return outages;
}

/** Lines "[TIME] 64 bytes from VIP: icmp_seq=N ttl=64 time=0.123 ms", with " (DUP!)" for a second answer. */
export function parsePing(output: string): PingOutput {
  const sentMs = new Map<number, number>();
  const doubledMs: number[] = [];
  for (const match of output.matchAll(/^\[(\d+\.\d+)\].*icmp_seq=(\d+) .*time=([\d.]+) ms( \(DUP!\))?/gm)) {
    const receivedMs = Number(match[1]) * 1000;
    if (match[4] === undefined) sentMs.set(Number(match[2]), receivedMs - Number(match[3]));
    else doubledMs.push(receivedMs);
  }
  const probes: Probe[] = [];
  let previous: readonly [seq: number, at: number] | undefined;
  for (const [seq, at] of [...sentMs].toSorted(([a], [b]) => a - b)) {
    // Those between two answers were sent at even distances between them.
    const [lastSeq, lastAt] = previous ?? [seq, at];
    for (let missing = lastSeq + 1; missing < seq; missing += 1) {
      const share = (missing - lastSeq) / (seq - lastSeq);
      probes.push({ sentMs: lastAt + (at - lastAt) * share, answered: false });
    }
    probes.push({ sentMs: at, answered: true });
    previous = [seq, at];
  }
  return { probes, doubledMs };
}
