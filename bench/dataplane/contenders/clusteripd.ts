/** clusteripd itself, one contender for each engine. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { call } from "../../../src/api/client.ts";
import type { StatusBody } from "../../../src/api/contract.ts";
import { paths } from "../../../src/api/contract.ts";
import { type Daemon, startDaemon } from "../../../test/support/daemon/daemon.ts";
import type { Contender, ContenderName } from "../contender.ts";
import type { Site } from "../site.ts";

type EngineName = "userspace" | "bpf";

interface Variant {
  readonly name?: ContenderName;
  readonly env?: Readonly<Record<string, string>>;
  /** what is done to each daemon that serves */
  readonly adjust?: (daemon: Daemon) => void;
}

function contender(engine: EngineName, title: string, variant: Variant = {}): Contender {
  const { name = engine, env = {}, adjust } = variant;
  return {
    name,
    title,
    hasFront: false,
    sharesAddress: true,
    async setUp(site) {
      const starting = site.nodes.map(async (node, index) => {
        const settings = { "total-nodes": site.bucketCount, "local-node": [index + 1], engine };
        const vips = site.vips.map((vip) => ({ vip, ...settings }));
        return startDaemon(site.lab, node, { vips, env });
      });
      for (const daemon of await Promise.all(starting)) {
        site.daemons.push(daemon);
        site.pids.push(daemon.pid);
        await requireEngine(daemon, site, engine);
        adjust?.(daemon);
      }
    },
  };
}

export const userspace = contender("userspace", "clusteripd, engine userspace");
export const bpf = contender("bpf", "clusteripd, engine bpf");
/** For foreign frames: a NIC's driver gets XDP by default, a veth does not, and only veths are here. */
export const bpfWithXdp = contender("bpf", "clusteripd, engine bpf", { env: { CLUSTERIPD_XDP: "native" } });
/** For requests: what the scheduler's choices cost where client, server and packet path share few CPUs. */
export const userspaceBound = contender(
  "userspace",
  "clusteripd, engine userspace, its thread on one CPU (taskset) and SCHED_BATCH (chrt)",
  { name: "userspace-bound", adjust: bindThreads },
);

function bindThreads({ pid }: Daemon): void {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const isPacketPath = (task: string): boolean =>
    readFileSync(`/proc/${pid}/task/${task}/comm`, "utf8").startsWith("clusteripd-io");
  for (const task of tasks.filter(isPacketPath)) {
    execFileSync("taskset", ["--pid", "--cpu-list", "0", task], { stdio: "ignore" });
    execFileSync("chrt", ["--batch", "--pid", "0", task], { stdio: "ignore" });
  }
}

/** A daemon that took another engine than it was asked for must not be measured under that name. */
async function requireEngine(daemon: Daemon, site: Site, engine: EngineName): Promise<void> {
  const { virtualIps, problems } = await daemonStatus(daemon);
  const served = virtualIps.find(({ vip }) => vip === site.vip);
  if (served?.engine !== engine) {
    throw new Error(`asked for engine ${engine}, clusteripd serves with ${served?.engine ?? "none"}`);
  }
  if (problems.length > 0) throw new Error(`clusteripd is not well: ${JSON.stringify(problems)}`);
}

export async function daemonStatus(daemon: Daemon): Promise<StatusBody> {
  return (await call(daemon.socket, "GET", paths.status)) as StatusBody;
}
