/** Requests over kept and over new connections, with wrk, and what the machine spent on each. */

import { spending } from "../process-cost.ts";
import type { Runner, Sample } from "../rounds.ts";
import { HTTP_PORT } from "../servers.ts";
import type { Site } from "../site.ts";

export interface RequestOptions {
  readonly seconds: number;
  readonly connections: number;
  /** of wrk; default 1 */
  readonly threads?: number;
  /** a connection for every request */
  readonly isNewEach?: boolean;
  /** default: the site's first */
  readonly vip?: string;
}

export function requestRunner(
  site: Site,
  options: RequestOptions,
  name: string = site.contender.name,
): Runner {
  return { name, run: () => measureRequests(site, options) };
}

export async function measureRequests(site: Site, options: RequestOptions): Promise<Sample> {
  const { seconds, connections, threads = 1, isNewEach = false, vip = site.vip } = options;
  const argv = [
    ...[
      "wrk",
      "--threads",
      String(threads),
      "--connections",
      String(connections),
      "--duration",
      `${seconds}s`,
    ],
    ...["--timeout", "10s", "--latency"],
    ...(isNewEach ? ["--header", "Connection: close"] : []),
    `http://${vip}:${HTTP_PORT}/`,
  ];
  const run = (): Promise<string> => site.client.exec(argv, { timeoutMs: (seconds + 20) * 1000 });
  const { result, daemonNs, machine } = await spending(site.pids, run);
  const report = parseWrk(result);
  return {
    ...report,
    daemonUsPerRequest: daemonNs / 1000 / report.requests,
    userUsPerRequest: machine.userUs / report.requests,
    systemUsPerRequest: machine.systemUs / report.requests,
    softirqUsPerRequest: machine.softirqUs / report.requests,
    idleUsPerRequest: machine.idleUs / report.requests,
  };
}

interface WrkReport extends Sample {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** connections refused, reset or without an answer, and answers that were not 200 */
  readonly errors: number;
}

/** wrk reports in sentences: "  50%   45.00us", "Requests/sec:  12345.67", "Socket errors: connect 0, …". */
export function parseWrk(text: string): WrkReport {
  const requests = Number(/(\d+) requests in/.exec(text)?.[1]);
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
  if (!(requests > 0) || !(perSecond > 0)) throw new Error(`wrk reports no requests:\n${text}`);
  const socketErrors = /Socket errors: (.+)/.exec(text)?.[1]?.match(/\d+/g) ?? [];
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0";
  return {
    requests,
    perSecond,
    p50Us: latencyUs(text, 50),
    p99Us: latencyUs(text, 99),
    errors: [...socketErrors, bad].reduce((sum, count) => sum + Number(count), 0),
  };
}

const unitsUs: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6 };

function latencyUs(text: string, percent: number): number {
  const [, value, unit = ""] = new RegExp(`^\\s+${percent}%\\s+([\\d.]+)(us|ms|s)$`, "m").exec(text) ?? [];
  return Number(value) * (unitsUs[unit] ?? Number.NaN);
}
