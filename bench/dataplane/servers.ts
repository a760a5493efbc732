/** What the nodes serve: small answers over HTTP, and a sink and source of bulk data. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import type { Host } from "../../test/support/lab/host.ts";
import { listening } from "../../test/support/lab/host-state.ts";
import type { Site } from "./site.ts";

export const HTTP_PORT = 80;
export const BULK_PORT = 5201;

/**
 * A fast server, or the server would be measured: HAProxy again, this time as a web server that has its one answer
 * in memory. One thread a node.
 */
const webServerConfig = [
  "global",
  "  nbthread 1",
  "  maxconn 4096",
  "defaults",
  "  mode http",
  "  timeout client 60s",
  "  timeout http-keep-alive 60s",
  "frontend web",
  `  bind :${HTTP_PORT}`,
  '  http-request return status 200 content-type text/plain string "answered"',
  "",
].join("\n");

export async function startWebServers(site: Site): Promise<void> {
  for (const node of site.nodes) {
    const file = path.join(site.lab.directoryOf(node), "web.cfg");
    writeFileSync(file, webServerConfig);
    await startHaproxy(node, file, [HTTP_PORT]);
  }
}

export async function startBulkServers(site: Site): Promise<void> {
  for (const node of site.nodes) {
    const server = node.spawn(["iperf3", "--server"], { stdio: "ignore" });
    await listening(node, { port: BULK_PORT }, server);
  }
}

export async function startHaproxy(host: Host, file: string, ports: readonly number[]): Promise<void> {
  const server = host.spawn(["haproxy", "-q", "-db", "-f", file], { stdio: "ignore" });
  for (const port of ports) await listening(host, { port }, server);
}
