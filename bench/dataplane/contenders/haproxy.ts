/** HAProxy in TCP mode on a host in front of the nodes: the balancer that clusteripd does without. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { NIC } from "../../../test/support/lab/host.ts";
import type { Contender } from "../contender.ts";
import { BULK_PORT, HTTP_PORT, startHaproxy } from "../servers.ts";
import type { Site } from "../site.ts";

export const haproxy: Contender = {
  name: "haproxy",
  title: "HAProxy in TCP mode in front",
  hasFront: true,
  sharesAddress: true,
  async setUp(site) {
    const { front } = site;
    for (const vip of site.vips) await front.ip("addr", "add", `${vip}/32`, "dev", NIC);
    const file = path.join(site.lab.directoryOf(front), "balancer.cfg");
    writeFileSync(file, renderConfig(site));
    await startHaproxy(front, file, [HTTP_PORT, BULK_PORT]);
  },
};

/** As its manual has it, threads and buffers as they come: one a CPU, 16 KiB. */
function renderConfig(site: Site): string {
  const listen = (name: string, port: number): string[] => [
    `listen ${name}`,
    ...site.vips.map((vip) => `  bind ${vip}:${port}`),
    ...site.nodes.map((node) => `  server ${node.name} ${node.address}:${port}`),
  ];
  return [
    "global",
    "  maxconn 4096",
    "defaults",
    "  mode tcp",
    "  balance roundrobin",
    "  timeout connect 5s",
    "  timeout client 60s",
    "  timeout server 60s",
    ...listen("web", HTTP_PORT),
    ...listen("bulk", BULK_PORT),
    "",
  ].join("\n");
}
