/** What the tests of the daemon as a guest of its host share: the host's whole state as text, and tools that fail. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { call } from "../../src/api/client.ts";
import type { StatusBody, VirtualIpBody } from "../../src/api/contract.ts";
import { paths } from "../../src/api/contract.ts";
import { findBpfSupport } from "../../src/engine/bpf-support.ts";
import { clusterip } from "../lab/daemon.ts";
import type { Host } from "../lab/host.ts";
import type { Lab } from "../lab/lab.ts";

/** What `auto` comes to in the daemons of this run: the vitest project `net-userspace` asks for that engine. */
export const autoEngine =
  process.env["CLUSTERIPD_AUTO_ENGINE"] !== "userspace" && (await findBpfSupport()).native !== undefined
    ? "bpf"
    : "userspace";

/** The cluster MAC that IPaddr2 derives for 10.77.0.100 in 10.77.0.0/24. */
export const CLUSTER_MAC = "4d:e2:58:37:f1:f1";

const LOOK = `
  ip addr && ip -d link && ip maddr && ip route show table all && ip rule && nft -s -t list ruleset
  find /proc/sys/net/ipv4/conf /proc/sys/net/ipv4/neigh -type f -exec grep -sH . {} + | sort`;

/** Everything that the daemon may change on a host, as the system's tools print it. */
export function snapshot(host: Host): Promise<string> {
  return host.exec(["sh", "-ec", LOOK]);
}

/** Of a snapshot: what is put back may be listed in another order than before. */
export function sortedLines(state: string): string {
  return state.split("\n").sort().join("\n");
}

/** On a machine that runs much else nothing takes longer, unless it will never come. */
const PATIENCE_MS = 60_000;

/**
 * Resolves when `check` does without an error; rejects with its last error after the timeout, which is never less than
 * a busy machine needs. How long something takes is for the benchmarks.
 */
export async function until<T>(
  check: () => Promise<T> | T,
  timeoutMs = PATIENCE_MS,
  intervalMs = 20,
): Promise<{ value: T; ms: number }> {
  const limitMs = Math.max(timeoutMs, PATIENCE_MS);
  const start = performance.now();
  for (;;) {
    try {
      const value = await check();
      return { value, ms: performance.now() - start };
    } catch (error) {
      if (performance.now() - start > limitMs) throw error;
      await sleep(intervalMs);
    }
  }
}

/** Anything that has a control socket: a `Daemon` of the lab, for example. */
export interface HasSocket {
  readonly socket: string;
}

export async function statusOf({ socket }: HasSocket): Promise<StatusBody> {
  return (await call(socket, "GET", paths.status)) as StatusBody;
}

/** The status without what counts traffic and time: two of them are equal when nothing has changed. */
export async function settingsOf(daemon: HasSocket): Promise<unknown> {
  const { virtualIps, problems, repairs } = await statusOf(daemon);
  const settings = virtualIps.map(({ buckets, withoutBucket, ...rest }: VirtualIpBody) => rest);
  settings.sort((a, b) => a.vip.localeCompare(b.vip));
  return { virtualIps: settings, problems, repairs };
}

export async function repairsOf(daemon: HasSocket): Promise<Record<string, number>> {
  const { repairs } = await statusOf(daemon);
  return Object.fromEntries(Object.entries(repairs).map(([kind, { count }]) => [kind, count]));
}

export function add(daemon: HasSocket, body: Record<string, unknown>): Promise<unknown> {
  return call(daemon.socket, "POST", paths.virtualIps, body);
}

export function del(daemon: HasSocket, vip: string): Promise<unknown> {
  return call(daemon.socket, "DELETE", paths.virtualIp(vip));
}

/** The command lines of all processes in a host's namespace. */
export async function processesOn(host: Host): Promise<string[]> {
  const pids = (await host.exec(["ip", "netns", "pids", host.namespace])).split("\n");
  return pids.flatMap((pid) => (pid === "" ? [] : [commandLineOf(pid)]));
}

/** In the command line of the programs by which the daemon hears of events. */
export const MONITOR = " monitor";

/** The ids of those whose command line holds the text. */
export async function pidsOf(host: Host, text: string): Promise<number[]> {
  const pids = (await host.exec(["ip", "netns", "pids", host.namespace])).split("\n");
  return pids.filter((pid) => pid !== "" && commandLineOf(pid).includes(text)).map(Number);
}

/** Empty for a process that is gone. */
function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** The devices on which the host has the virtual IP as a /32 of its own. */
export async function devicesOf(host: Host, vip: string): Promise<string[]> {
  const lines = (await host.ip("-o", "addr", "show")).split("\n");
  return lines.flatMap((line) => (line.includes(`inet ${vip}/32 `) ? [line.split(/\s+/)[1] ?? ""] : []));
}

/** One ARP request for the address; resolves with the sender MAC of the answer, in lower case. */
export async function arpSenderOf(client: Host, address: string): Promise<string | undefined> {
  const { stdout } = await client.tryExec(["arping", "-c", "1", "-w", "10", "-I", "eth0", address]);
  return /\[([0-9A-F:]{17})\]/i.exec(stdout)?.[1]?.toLowerCase();
}

/** Whether one request is answered; soon, so that it can be asked again. */
export async function pings(client: Host, address: string, timeoutS = 0.5): Promise<boolean> {
  return (await client.tryExec(["ping", "-q", "-c", "1", "-W", String(timeoutS), address])).status === 0;
}

/** One request is answered, however busy the machine is. */
export async function answersPing(client: Host, address: string): Promise<void> {
  expect(await pings(client, address, 10), `${address} answers ping`).toBe(true);
}

/**
 * How a call fails: without having done anything, after the first line of its input, or having
 * done everything.
 */
export const failureModes = ["before", "half", "after"] as const;
export type FailureMode = (typeof failureModes)[number];

/** `ip` and `nft` that can be told to fail at their n-th call (counted together); otherwise the real ones. */
export class FailingTools {
  readonly directory: string;

  constructor(lab: Lab, host: Host) {
    this.directory = path.join(lab.directoryOf(host), "tools");
    mkdirSync(this.directory, { recursive: true });
    for (const tool of ["ip", "nft"]) {
      const file = path.join(this.directory, tool);
      writeFileSync(file, wrapper(tool, this.directory));
      chmodSync(file, 0o755);
    }
  }

  get env(): { PATH: string } {
    return { PATH: `${this.directory}:${process.env["PATH"] ?? ""}` };
  }

  /** From now on the n-th call fails, and with `isLasting` all after it too. */
  arm(atCall: number, mode: FailureMode, isLasting = false): void {
    writeFileSync(path.join(this.directory, "count"), "0\n");
    writeFileSync(path.join(this.directory, "mode"), `${mode}\n`);
    writeFileSync(path.join(this.directory, "lasting"), `${isLasting ? 1 : 0}\n`);
    writeFileSync(path.join(this.directory, "fail-at"), `${atCall}\n`);
  }

  /** @returns whether a call has failed since `arm` */
  disarm(): boolean {
    rmSync(path.join(this.directory, "fail-at"), { force: true });
    const failed = path.join(this.directory, "failed");
    const hasFailed = existsSync(failed);
    rmSync(failed, { force: true });
    return hasFailed;
  }

  /** Waits until no tool has been called for a while: what the daemon does by itself is over. */
  async quiet(): Promise<void> {
    for (let calls = -1; ; ) {
      const now = this.#calls();
      if (now === calls) return;
      calls = now;
      await sleep(100);
    }
  }

  #calls(): number {
    const log = path.join(this.directory, "log");
    return existsSync(log) ? readFileSync(log, "utf8").length : 0;
  }
}

function wrapper(tool: string, directory: string): string {
  const real = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
    .map((bin) => `${bin}/${tool}`)
    .find((file) => existsSync(file));
  return `#!/bin/sh
real=${real} dir=${directory}
# Neither events nor what others claim is part of a change.
case " $* " in *" monitor "*|*" list set "*) exec $real "$@" ;; esac
exec 9>>$dir/lock
flock 9
echo . >>$dir/log
mode=none
if [ -e $dir/fail-at ]; then
  count=$(($(cat $dir/count) + 1))
  echo $count >$dir/count
  at=$(cat $dir/fail-at)
  if [ $count -eq $at ] || { [ "$(cat $dir/lasting)" = 1 ] && [ $count -gt $at ]; }; then
    mode=$(cat $dir/mode)
    : >$dir/failed
  fi
fi
exec 9>&-
case "$mode $*" in
  "none "*) exec $real "$@" ;;
  "half -batch -") head -n 1 | $real "$@" >/dev/null ;;
  "after "*) $real "$@" >/dev/null ;;
esac
echo "${tool} is made to fail" >&2
exit 1
`;
}

/** Ends what a failed test left running, so that the next one starts on a host without a daemon. */
export async function recover(lab: Lab, node: Host): Promise<void> {
  for (const pid of await pidsOf(node, "bin/clusteripd")) process.kill(pid, "SIGKILL");
  if ((await clusterip(lab, node, ["cleanup"])).status !== 0) {
    await until(async () => expect((await clusterip(lab, node, ["cleanup"])).status).toBe(0), 3000);
  }
}

/** An environment in which `nft` (or other tools) does something else first: a line of shell, with its arguments. */
export async function envWithNft(
  lab: Lab,
  host: Host,
  first: string,
  tools: readonly string[] = ["nft"],
): Promise<Record<string, string>> {
  const directory = mkdtempSync(path.join(lab.directoryOf(host), "nft-"));
  for (const tool of tools) {
    const real = (await host.exec(["sh", "-c", `command -v ${tool}`])).trim();
    const script = `#!/bin/sh\n${first}\nexec ${real} "$@"\n`;
    writeFileSync(path.join(directory, tool), script, { mode: 0o755 });
  }
  return { PATH: `${directory}:${process.env["PATH"] ?? ""}` };
}

/** Every event of the host's links, addresses and nft tables from now on, as text. */
export function watchHost(host: Host): { events: () => string; stop: () => Promise<void> } {
  let events = "";
  const monitors = [
    ["nft", "monitor"],
    ["ip", "monitor", "link", "address"],
  ].map((command) => host.spawn(command));
  for (const { child } of monitors) {
    child.stdout?.on("data", (text: Buffer) => {
      events += text.toString();
    });
  }
  return {
    events: () => events,
    stop: async () => {
      for (const monitor of monitors) await monitor.kill("SIGKILL");
    },
  };
}
