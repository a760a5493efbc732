/** The state of a host: all that its tools print, its processes, and what happens to it. */
import { readFileSync } from "node:fs";
import { Hopeless, until } from "../wait.ts";
import type { Host } from "./host.ts";
import type { TrackedProcess } from "./processes.ts";

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

/** The command lines of all processes in a host's namespace. */
export async function processesOn(host: Host): Promise<string[]> {
  const pids = (await host.exec(["ip", "netns", "pids", host.namespace])).split("\n");
  return pids.flatMap((pid) => (pid === "" ? [] : [commandLineOf(pid)]));
}

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

export interface ListeningSocket {
  /** Default: TCP. */
  protocol?: "tcp" | "udp";
  /** Default: any, IPv6's too. */
  address?: string;
  port: number;
}

/** Resolves when something on the host listens, of an address that may not be there yet; rejects when `server` ends. */
export async function listening(host: Host, socket: ListeningSocket, server?: TrackedProcess): Promise<void> {
  const { protocol = "tcp", address, port } = socket;
  const hex = (value: number, digits: number): string =>
    value.toString(16).toUpperCase().padStart(digits, "0");
  const octets = address?.split(".").reverse();
  const wanted = octets === undefined ? "[0-9A-F]+" : octets.map((octet) => hex(Number(octet), 2)).join("");
  // Connected sockets have the port of their peer in the second place.
  const line = new RegExp(`: ${wanted}:${hex(port, 4)} [0-9A-F]+:0000 `);
  const name = `${host.name}: ${protocol} ${address ?? ""}:${port}`;
  await until(async () => {
    if (server?.running === false) throw new Hopeless(`${name}: the server has ended`);
    const sockets = await host.exec([
      "sh",
      "-c",
      `cat /proc/net/${protocol} /proc/net/${protocol}6 2>/dev/null || true`,
    ]);
    if (!line.test(sockets)) throw new Error(`${name}: nothing listens`);
  });
}
