/**
 * What this host served, for the next start of the daemon: two kinds of files beside the control
 * socket `NAME.sock`, normally in /run/clusteripd, which is empty after a boot.
 *
 *   NAME.state            one JSON object a line: first the boot that it belongs to, then a virtual
 *                         IP each, with the names of the configuration file. Written by the daemon
 *                         alone, before a change is in force.
 *   NAME.released.VIP.N   bucket N was taken from this node while no daemon ran. Written by the
 *                         resource agent (an empty file: no parsing and no locking in a shell) and
 *                         heeded by the next start, so that it does not bring back a bucket that
 *                         Pacemaker has given to another node.
 *
 * The agent looks for `"vip":"VIP","local-node":[...]` in the state: those two come first.
 */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pino } from "pino";
import { z } from "zod";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { tryParseIpv4 } from "../core/ipv4.ts";
import type { NodeSet } from "../core/node-set.ts";
import { parseVirtualIp, type VirtualIpSettings } from "../settings/virtual-ip.ts";
import type { Log } from "./log.ts";
import type { AskedVirtualIp, Origin, ServedVirtualIp, WaitingVirtualIp } from "./resolve.ts";

export interface SavedVirtualIp {
  /** with the local buckets in force */
  readonly settings: VirtualIpSettings;
  readonly origin: Origin;
  /** the local buckets that the configuration file or the request asked for */
  readonly asked: NodeSet;
  /** the address was somebody else's, and stays */
  readonly isAdopted: boolean;
  /** it was not served: an address of its that the host has was never ours */
  readonly isWaiting: boolean;
}

const lineSchema = z.looseObject({
  origin: z.enum(["config", "request"]),
  asked: z.array(z.number()),
  adopted: z.boolean().default(false),
  waits: z.boolean().default(false),
});

export class StateFile {
  readonly #path: string;
  readonly #log: Log;
  readonly #boot: string;

  constructor(socket: string, log: Log, boot: string = currentBoot()) {
    this.#path = statePath(socket);
    this.#log = log;
    this.#boot = boot;
  }

  get path(): string {
    return this.#path;
  }

  /** What was served when the last daemon ended, less what has been released since. */
  read(): readonly SavedVirtualIp[] {
    let text: string;
    try {
      text = readFileSync(this.#path, "utf8");
    } catch {
      return [];
    }
    const [first = "", ...lines] = text.split("\n").filter((line) => line !== "");
    if (first !== this.#header()) {
      this.#log.info({ state: this.#path }, "the saved state is of another boot; not used");
      return [];
    }
    const released = findReleases(this.#path);
    return lines.flatMap((line) => this.#readLine(line, released));
  }

  /**
   * Writes what is to be served, now or when the host has what it takes. Atomic: a reader sees the old text or the
   * new one.
   *
   * @throws CLUSTERIP_STATE and leaves the old file in place
   */
  save(served: Iterable<ServedVirtualIp>, waiting: Iterable<WaitingVirtualIp> = []): void {
    const lines = [
      this.#header(),
      ...[...served].map((virtualIp) =>
        toLine(virtualIp, virtualIp.clusterMac, { adopted: virtualIp.isAdopted }),
      ),
      ...[...waiting].map((virtualIp) => toLine(virtualIp, virtualIp.settings.clusterMac, { waits: true })),
    ];
    const temporary = `${this.#path}.new`;
    try {
      writeFileSync(temporary, `${lines.join("\n")}\n`, { mode: 0o644 });
      renameSync(temporary, this.#path);
    } catch (error) {
      removeQuietly(temporary);
      throw new ClusterIpError(
        "CLUSTERIP_STATE",
        `The change is refused, because it could not be saved for the next start: ${messageOf(error)}.`,
        { cause: error },
      );
    }
  }

  /** The releases are part of what was saved last, and are of no more use. */
  forgetReleases(): void {
    for (const { file } of findReleases(this.#path)) rmSync(file, { force: true });
  }

  #header(): string {
    return JSON.stringify({ boot: this.#boot });
  }

  #readLine(line: string, released: readonly Release[]): readonly SavedVirtualIp[] {
    try {
      const { origin, asked, adopted, waits, ...rest } = lineSchema.parse(JSON.parse(line));
      const settings = parseVirtualIp(rest);
      const isReleased = (node: number): boolean =>
        released.some((r) => r.addressHost === settings.addressHost && r.node === node);
      const localNodes = settings.localNodes.filter((node) => !isReleased(node));
      const whose = { isAdopted: adopted, isWaiting: waits };
      return [{ settings: { ...settings, localNodes }, origin, asked, ...whose }];
    } catch (error) {
      this.#log.error({ state: this.#path, line, error: messageOf(error) }, "a saved line is not understood");
      return [];
    }
  }
}

interface Release {
  readonly addressHost: number;
  readonly node: number;
  readonly file: string;
}

const statePath = (socket: string): string => `${socket.replace(/\.sock$/, "")}.state`;

function findReleases(state: string): readonly Release[] {
  const directory = dirname(state);
  const prefix = basename(state).replace(/state$/, "released.");
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    if (!name.startsWith(prefix)) return [];
    const match = /^(.+)\.(\d+)$/.exec(name.slice(prefix.length));
    const addressHost = tryParseIpv4(match?.[1] ?? "");
    return addressHost === undefined
      ? []
      : [{ addressHost, node: Number(match?.[2]), file: join(directory, name) }];
  });
}

function removeQuietly(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // What kept it from being written may keep it from being removed; the next one is written over it.
  }
}

/**
 * The addresses that the last daemon of this boot had set itself, with the interface that it served them on.
 *
 * @returns by address, host order
 */
export function savedAddresses(socket: string): ReadonlyMap<number, string> {
  const saved = new StateFile(socket, pino({ level: "silent" })).read();
  return new Map(
    saved.flatMap(({ settings, isAdopted, isWaiting }) =>
      isAdopted || isWaiting ? [] : [[settings.addressHost, settings.nic]],
    ),
  );
}

/** Forgets what was served; returns the files that there were. */
export function forgetState(socket: string): readonly string[] {
  const state = statePath(socket);
  const files = [state, ...findReleases(state).map(({ file }) => file)].filter((file) => existsSync(file));
  for (const file of files) rmSync(file, { force: true });
  return files;
}

function toLine(
  { settings, origin, localNodes }: AskedVirtualIp,
  clusterMac: string | undefined,
  whose: { readonly adopted?: boolean; readonly waits?: boolean },
): string {
  return JSON.stringify({
    vip: settings.vip,
    "local-node": localNodes,
    nic: settings.nic,
    "total-nodes": settings.totalNodes,
    hashmode: settings.hashMode,
    // As it is now: after a restart it must not depend on which addresses the interface has.
    clustermac: clusterMac,
    "hash-init": settings.hashInit,
    engine: settings.engine,
    origin,
    asked: settings.localNodes,
    ...whose,
  });
}

function currentBoot(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}
