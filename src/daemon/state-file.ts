/**
 * What this host served, for the next start of the daemon: two kinds of files beside the control
 * socket `NAME.sock`, normally in /run/clusteripd, which is empty after a boot.
 *
 *   NAME.state            first the boot that it belongs to, then a line for each virtual IP, both as JSON, with the
 *                         names of the configuration file. Behind them the same once more for the resource agent,
 *                         which compares words and parses nothing: "buckets VIP TOTAL HASHMODE SEED N ...". Written
 *                         by the daemon alone, before a change is in force.
 *   NAME.released.VIP.N   bucket N was taken from this node while no daemon ran. Written by the
 *                         resource agent (an empty file: no parsing and no locking in a shell) and
 *                         read by the next start, so that it does not bring back a bucket that
 *                         Pacemaker has given to another node.
 *
 * The agent also reads what an earlier version left, which had no such lines: for that, and for an agent of an earlier
 * version, a line of JSON begins with `"vip":"VIP","local-node":[...]`.
 */
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  type Stats,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { pino } from "pino";
import { z } from "zod";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { type Address, tryParseIpv4Address } from "../model/address.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import { toSettings } from "../model/kernel-words.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { readRegularFile } from "../settings/regular-file.ts";
import { parseVirtualIp } from "../settings/virtual-ip.ts";
import type { AskedVirtualIp, Origin, ServedVirtualIp, WaitingVirtualIp } from "./asked.ts";
import type { Log } from "./log.ts";
import type { BridgesBefore } from "./resources/reach.ts";
import { isTrusted } from "./socket-directory.ts";

/** A line for each virtual IP, of some 300 bytes. */
const MAX_BYTES = 4_194_304;

export interface SavedVirtualIp {
  /** with the local buckets in force */
  readonly settings: VirtualIp;
  readonly origin: Origin;
  /** the local buckets that the configuration file or the request asked for */
  readonly asked: BucketSet;
  /** the address was somebody else's, and stays */
  readonly isAdopted: boolean;
  /** it was not served: an address of its that the host has was never ours */
  readonly isWaiting: boolean;
}

/** What the agent's lines begin with. */
const AGENT_LINE = "buckets";

const lineSchema = z.looseObject({
  origin: z.enum(["config", "request"]),
  asked: z.array(z.number()),
  adopted: z.boolean().default(false),
  waits: z.boolean().default(false),
});

/** The first line: the boot that the file belongs to, and `mcast_router` of bridges as it was before. */
const headerSchema = z.looseObject({
  boot: z.string(),
  bridges: z.record(z.string(), z.number()).default({}),
});
type Header = z.infer<typeof headerSchema>;

function headerOf(line: string): Header | undefined {
  try {
    return headerSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}

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
    const text = this.#text();
    if (text === "") return [];
    const [first = "", ...lines] = text.split("\n").filter((line) => line !== "");
    if (headerOf(first)?.boot !== this.#boot) {
      this.#log.info({ state: this.#path }, "the saved state is of another boot; not used");
      return [];
    }
    const released = findReleases(this.#path);
    return lines
      .filter((line) => !line.startsWith(`${AGENT_LINE} `))
      .flatMap((line) => this.#readLine(line, released));
  }

  /**
   * Writes what is to be served, now or when the host has what it takes. Atomic: a reader sees the old text or the
   * new one.
   *
   * @throws CLUSTERIP_STATE and leaves the old file in place
   */
  save(
    served: readonly ServedVirtualIp[],
    waiting: readonly WaitingVirtualIp[] = [],
    bridges: BridgesBefore = new Map(),
  ): void {
    const header: Header = { boot: this.#boot, bridges: Object.fromEntries(bridges) };
    const lines = [
      JSON.stringify(header),
      ...served.map((virtualIp) => toLine(virtualIp, virtualIp.clusterMac, { adopted: virtualIp.isAdopted })),
      ...waiting.map((virtualIp) => toLine(virtualIp, virtualIp.settings.clusterMac, { waits: true })),
      ...[...served, ...waiting].map(toAgentLine),
    ];
    const temporary = `${this.#path}.new`;
    try {
      // A new file, never one that is there, which may be a link to anything.
      rmSync(temporary, { force: true });
      writeFileSync(temporary, `${lines.join("\n")}\n`, { mode: 0o644, flag: "wx" });
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

  /** What the last daemon of this boot has changed on bridges. */
  readBridges(): BridgesBefore {
    const [first = ""] = this.#text().split("\n");
    const header = headerOf(first);
    return new Map(header?.boot === this.#boot ? Object.entries(header.bridges) : []);
  }

  #text(): string {
    try {
      return readRegularFile(this.#path, { maxBytes: MAX_BYTES, followsLink: false, check: requireTrusted });
    } catch (error) {
      if (existsSync(this.#path)) {
        this.#log.warn({ state: this.#path, error: messageOf(error) }, "the saved state is not used");
      }
      return "";
    }
  }

  #readLine(line: string, released: readonly Release[]): readonly SavedVirtualIp[] {
    try {
      const { origin, asked, adopted, waits, ...rest } = lineSchema.parse(JSON.parse(line));
      const settings = parseVirtualIp(rest);
      const isReleased = (bucket: number): boolean =>
        released.some((r) => r.address === settings.address && r.bucket === bucket);
      const localBuckets = settings.localBuckets.filter((bucket) => !isReleased(bucket));
      const whose = { isAdopted: adopted, isWaiting: waits };
      return [{ settings: { ...settings, localBuckets }, origin, asked, ...whose }];
    } catch (error) {
      this.#log.error({ state: this.#path, line, error: messageOf(error) }, "a saved line is not understood");
      return [];
    }
  }
}

interface Release {
  readonly address: Address;
  readonly bucket: number;
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
    const address = tryParseIpv4Address(match?.[1] ?? "");
    return address === undefined || !isNote(join(directory, name))
      ? []
      : [{ address, bucket: Number(match?.[2]), file: join(directory, name) }];
  });
}

/** Where others may make files, theirs say nothing. */
function isNote(file: string): boolean {
  const status = lstatSync(file, { throwIfNoEntry: false });
  return status?.isFile() === true && isTrusted(status.uid);
}

function requireTrusted({ uid }: Stats): void {
  if (!isTrusted(uid)) throw new Error(`it belongs to user ${uid}`);
}

function removeQuietly(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // What kept it from being written may keep it from being removed; the next one is written over it.
  }
}

/** What a clean-up has to know of the last daemon of this boot. */
export interface SavedTraces {
  /** the addresses that it had set itself, by address, with the interface that it served them on */
  readonly addresses: ReadonlyMap<Address, string>;
  readonly bridges: BridgesBefore;
}

export function savedTraces(socket: string): SavedTraces {
  const state = new StateFile(socket, pino({ level: "silent" }));
  const own = state.read().filter(({ isAdopted, isWaiting }) => !isAdopted && !isWaiting);
  return {
    addresses: new Map(own.map(({ settings }) => [settings.address, settings.nic])),
    bridges: state.readBridges(),
  };
}

/** Forgets what was served; returns the files that there were. */
export function forgetState(socket: string): readonly string[] {
  const state = statePath(socket);
  const files = [state, ...findReleases(state).map(({ file }) => file)].filter((file) => existsSync(file));
  for (const file of files) rmSync(file, { force: true });
  return files;
}

function toLine(
  { settings, origin, localBuckets }: AskedVirtualIp,
  clusterMac: string | undefined,
  whose: { readonly adopted?: boolean; readonly waits?: boolean },
): string {
  const { address, nic, bucketCount, hash, prefixLength, engine } = settings;
  return JSON.stringify({
    ...toSettings({
      ...{ address, localBuckets, nic, bucketCount, hashMode: hash.words },
      // As it is now: after a restart it must not depend on which addresses the interface has.
      ...{ clusterMac, hashInit: hash.seed, prefixLength, engine },
    }),
    origin,
    asked: settings.localBuckets,
    ...whose,
  });
}

function toAgentLine({ settings, localBuckets }: AskedVirtualIp): string {
  const { address, bucketCount, hash } = settings;
  return [AGENT_LINE, address, bucketCount, hash.words, hash.seed, ...localBuckets].join(" ");
}

function currentBoot(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return "unknown";
  }
}
