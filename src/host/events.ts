/** Events of the host's network state, from a netlink socket (nft) and `ip monitor`. */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { TABLE_NAME } from "./nft.ts";

export type HostEvent = "nft" | "network";

const RESTART_DELAY_MS = 1000;
/** How long a monitor may take from its start until it hears; it does not say when it does. */
const DEAF_MS = 500;

interface Monitor {
  readonly event: HostEvent;
  readonly command: readonly string[];
}

const monitors: readonly Monitor[] = [
  { event: "network", command: ["ip", "-o", "monitor", "link", "address", "netconf"] },
];

/**
 * Calls back when a table with the name may have changed, and returns what ends that; throws where it cannot watch. Other
 * people's tables may change at a high rate or by hundreds of thousands of elements: they must not keep ours waiting.
 */
export type WatchNft = (table: string, onChange: () => void) => () => void;

/**
 * Watches until `stop()`. An event says only that something may have changed: the listener
 * looks for itself. It is also called when a monitor starts again and when any has had time to hear,
 * since one may have been missed.
 */
export class HostEvents {
  readonly #watchNft: WatchNft;
  readonly #listener: (event: HostEvent) => void;
  readonly #children = new Set<ChildProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #endNft: (() => void) | undefined;
  #stopped = false;

  constructor(watchNft: WatchNft, listener: (event: HostEvent) => void) {
    this.#watchNft = watchNft;
    this.#listener = listener;
  }

  start(): void {
    this.#watchTables();
    for (const monitor of monitors) this.#watch(monitor);
  }

  #watchTables(): void {
    try {
      this.#endNft = this.#watchNft(TABLE_NAME, () => this.#listener("nft"));
      // Something may have happened before.
      this.#listener("nft");
    } catch {
      // The host has no memory or file descriptor for it just now: looks at intervals go on meanwhile.
      this.#later(RESTART_DELAY_MS, () => this.#watchTables());
    }
  }

  #watch(monitor: Monitor): void {
    const child = spawnMonitor(monitor);
    if (child === undefined) {
      this.#watchLater(monitor);
      return;
    }
    this.#children.add(child);
    this.#later(DEAF_MS, () => this.#listener(monitor.event));
    let ended = false;
    const onEnd = (): void => {
      if (ended) return;
      ended = true;
      this.#children.delete(child);
      this.#watchLater(monitor);
    };
    child.on("error", onEnd);
    child.on("close", onEnd);
    // There is none where the host had no file descriptor for it: "error" follows.
    if (!child.stdout) return;
    createInterface({ input: child.stdout }).on("line", () => {
      if (!this.#stopped) this.#listener(monitor.event);
    });
  }

  #watchLater(monitor: Monitor): void {
    this.#later(RESTART_DELAY_MS, () => {
      this.#watch(monitor);
      this.#listener(monitor.event);
    });
  }

  #later(delayMs: number, act: () => void): void {
    if (this.#stopped) return;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs);
    this.#timers.add(timer);
  }

  stop(): void {
    this.#stopped = true;
    this.#endNft?.();
    for (const timer of this.#timers) clearTimeout(timer);
    for (const child of this.#children) child.kill("SIGKILL");
  }
}

/** undefined where the host has no memory or process for it just now: looks at intervals go on meanwhile. */
function spawnMonitor({ command }: Monitor): ChildProcess | undefined {
  try {
    // With --pdeathsig the kernel ends the monitor when this process dies, also by SIGKILL.
    return spawn("setpriv", ["--pdeathsig", "KILL", "--", ...command], {
      stdio: ["ignore", "pipe", "ignore"],
    });
  } catch {
    return undefined;
  }
}
