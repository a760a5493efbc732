/**
 * What a start of a short program costs at this moment, on this machine: the peer of a move, which is a chain of such
 * starts. Both wait for the same CPUs.
 */
import { spawn } from "node:child_process";

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

  /** The mean of what a start cost in this time, in ms. */
  startMs(fromMs: number, toMs: number): number {
    const costs = this.#starts
      .filter(({ atMs, endMs }) => endMs >= fromMs - AROUND_MS && atMs <= toMs + AROUND_MS)
      .map(({ costMs }) => costMs);
    if (costs.length === 0) throw new Error("the yardstick measured nothing in this time");
    return costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
  }

  #note(line: string): void {
    const [atMs = Number.NaN, endMs = Number.NaN] = line.split(" ").map((seconds) => Number(seconds) * 1000);
    this.#starts.push({ atMs, endMs, costMs: endMs - atMs - PAUSE_MS });
  }
}
