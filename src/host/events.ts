/** Events of the host's network state, from `nft monitor` and `ip monitor`. */
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
  readonly concerns: (line: string) => boolean;
}

const monitors: readonly Monitor[] = [
  // Other people's tables may change at a high rate (dynamic sets); only ours concern us.
  { event: "nft", command: ["nft", "monitor"], concerns: (line) => line.includes(TABLE_NAME) },
  { event: "network", command: ["ip", "-o", "monitor", "link", "address", "netconf"], concerns: () => true },
];

/**
 * Watches until `stop()`. An event says only that something may have changed: the listener
 * looks for itself. It is also called when a monitor starts again and when any has had time to hear,
 * since one may have been missed.
 */
export class HostEvents {
  readonly #listener: (event: HostEvent) => void;
  readonly #children = new Set<ChildProcess>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #stopped = false;

  constructor(listener: (event: HostEvent) => void) {
    this.#listener = listener;
  }

  start(): void {
    for (const monitor of monitors) this.#watch(monitor);
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
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (!this.#stopped && monitor.concerns(line)) this.#listener(monitor.event);
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
