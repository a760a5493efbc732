/**
 * What a start of a short program costs at this moment, on this machine. A move of a bucket is a chain of such starts,
 * so the goals for it are held against them: both wait for the same CPUs, and neither a busy machine nor one that
 * stands still for a moment makes a good move look bad.
 */
import { spawn } from "node:child_process";

/** What a start costs on an idle machine (6.6 ms on one with two CPUs); the goals are for such a one. */
const IDLE_START_MS = 7;
/** How much longer than the goal a step may take on an idle machine. */
const MARGIN = 2;
const PAUSE_MS = 50;
/** Starts this long before and after count, too: what was slow may have been so by what happened just before. */
const AROUND_MS = 300;
/** A shell's own fork and exec, from a small process, again and again. */
const LOOP = `while :; do begin=$EPOCHREALTIME; sleep ${PAUSE_MS / 1000}; echo $begin $EPOCHREALTIME; done`;

interface Start {
  readonly atMs: number;
  /** from the pause before it to the end of the start */
  readonly endMs: number;
  readonly costMs: number;
}

export class Yardstick {
  readonly #stop: () => void;
  readonly #starts: Start[] = [];

  constructor() {
    const child = spawn("setpriv", ["--pdeathsig", "KILL", "bash", "-c", LOOP], {
      stdio: ["ignore", "pipe", "ignore"],
      env: { ...process.env, LC_ALL: "C" },
    });
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.#note(line);
    });
    this.#stop = () => child.kill("SIGKILL");
  }

  stop(): void {
    this.#stop();
  }

  /** The longest that something with a goal may take in this time, in seconds, and what a start cost then, in ms. */
  limit(
    goalSeconds: number,
    fromMs: number,
    toMs: number,
  ): { readonly seconds: number; readonly startMs: number } {
    const costs = this.#starts
      .filter(({ atMs, endMs }) => endMs >= fromMs - AROUND_MS && atMs <= toMs + AROUND_MS)
      .map(({ costMs }) => costMs);
    if (costs.length === 0) throw new Error("the yardstick measured nothing in this time");
    const startMs = costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
    const seconds = goalSeconds * MARGIN * Math.max(1, startMs / IDLE_START_MS) + Math.max(...costs) / 1000;
    return { seconds, startMs };
  }

  #note(line: string): void {
    const [atMs = Number.NaN, endMs = Number.NaN] = line.split(" ").map((seconds) => Number(seconds) * 1000);
    this.#starts.push({ atMs, endMs, costMs: endMs - atMs - PAUSE_MS });
  }
}
