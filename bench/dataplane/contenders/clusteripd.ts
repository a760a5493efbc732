/** clusteripd itself, one contender for each engine. */
import { call } from "../../../src/api/client.ts";
import { paths } from "../../../src/api/contract.ts";
import type { DaemonStatus } from "../../../src/daemon/status.ts";
import { type Daemon, startDaemon } from "../../../test/lab/daemon.ts";
import type { Contender } from "../contender.ts";
import type { Site } from "../site.ts";

/** With a hundred virtual IPs on a busy machine. */
const START_TIMEOUT_MS = 60_000;

type EngineName = "userspace" | "bpf";

function contender(engine: EngineName, title: string, env: Readonly<Record<string, string>> = {}): Contender {
  return {
    name: engine,
    title,
    hasFront: false,
    sharesAddress: true,
    async setUp(site) {
      const starting = site.nodes.map(async (node, index) => {
        const settings = { "total-nodes": site.totalNodes, "local-node": [index + 1], engine };
        const vips = site.vips.map((vip) => ({ vip, ...settings }));
        return startDaemon(site.lab, node, { vips, env, startTimeoutMs: START_TIMEOUT_MS });
      });
      for (const daemon of await Promise.all(starting)) {
        site.daemons.push(daemon);
        site.pids.push(daemon.pid);
        await requireEngine(daemon, site, engine);
      }
    },
  };
}

export const userspace = contender("userspace", "clusteripd, engine userspace");
export const bpf = contender("bpf", "clusteripd, engine bpf");
/** For foreign frames: a NIC's driver gets XDP by default, a veth does not, and only veths are here. */
export const bpfWithXdp = contender("bpf", "clusteripd, engine bpf", { CLUSTERIPD_XDP: "native" });

/** A daemon that took another engine than it was asked for must not be measured under that name. */
async function requireEngine(daemon: Daemon, site: Site, engine: EngineName): Promise<void> {
  const { virtualIps, problems } = await daemonStatus(daemon);
  const served = virtualIps.find(({ vip }) => vip === site.vip);
  if (served?.engine !== engine) {
    throw new Error(`asked for engine ${engine}, clusteripd serves with ${served?.engine ?? "none"}`);
  }
  if (problems.length > 0) throw new Error(`clusteripd is not well: ${JSON.stringify(problems)}`);
}

export async function daemonStatus(daemon: Daemon): Promise<DaemonStatus> {
  return (await call(daemon.socket, "GET", paths.status)) as DaemonStatus;
}
