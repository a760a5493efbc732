/** Bulk throughput of one connection, to the virtual IP and from it, with iperf3. */
import { z } from "zod";
import { spending } from "../process-cost.ts";
import type { Runner, Sample } from "../rounds.ts";
import { BULK_PORT } from "../servers.ts";
import type { Site } from "../site.ts";

export type Direction = "to-vip" | "from-vip";

export interface BulkOptions {
  readonly seconds: number;
  readonly direction: Direction;
}

const reportSchema = z.object({
  end: z.object({ sum_received: z.object({ bits_per_second: z.number().positive() }) }),
});

export function bulkRunner(site: Site, options: BulkOptions): Runner {
  return { name: site.contender.name, run: () => measure(site, options) };
}

async function measure(site: Site, { seconds, direction }: BulkOptions): Promise<Sample> {
  const argv = [
    ...["iperf3", "--client", site.vip, "--port", String(BULK_PORT), "--time", String(seconds), "--json"],
    ...(direction === "from-vip" ? ["--reverse"] : []),
  ];
  const run = (): Promise<string> => site.client.exec(argv, { timeoutMs: (seconds + 20) * 1000 });
  const { result, daemonNs, elapsedMs } = await spending(site.pids, run);
  const report = reportSchema.safeParse(JSON.parse(result));
  if (!report.success) throw new Error(`iperf3 to ${site.contender.name} reports no sum:\n${result}`);
  return {
    gbitPerSecond: report.data.end.sum_received.bits_per_second / 1e9,
    daemonCpuShare: daemonNs / 1e6 / elapsedMs,
  };
}
