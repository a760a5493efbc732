/** Latency of an idle system: ping, and one HTTP request at a time over a kept connection. */

import type { Runner, Sample } from "../rounds.ts";
import type { Site } from "../site.ts";
import { percentile } from "../statistics.ts";
import { measureRequests } from "./requests.ts";

export interface LatencyOptions {
  readonly pings: number;
  readonly seconds: number;
}

/** Root may ping as often as every 2 ms with any version of iputils. */
const PING_INTERVAL_S = "0.002";

export function latencyRunner(site: Site, options: LatencyOptions): Runner {
  return {
    name: site.contender.name,
    run: async () => ({ ...(await ping(site, options.pings)), ...(await oneByOne(site, options.seconds)) }),
  };
}

async function ping(site: Site, count: number): Promise<Sample> {
  const argv = ["ping", "-n", "-c", String(count), "-i", PING_INTERVAL_S, site.vip];
  const output = await site.client.exec(argv, { timeoutMs: 60_000 });
  const timesUs = [...output.matchAll(/ time=([\d.]+) ms/g)].map((match) => Number(match[1]) * 1000);
  return {
    pingP50Us: percentile(timesUs, 0.5),
    pingP99Us: percentile(timesUs, 0.99),
    pingsLost: count - timesUs.length,
  };
}

async function oneByOne(site: Site, seconds: number): Promise<Sample> {
  const { p50Us = Number.NaN, p99Us = Number.NaN } = await measureRequests(site, { seconds, connections: 1 });
  return { httpP50Us: p50Us, httpP99Us: p99Us };
}
