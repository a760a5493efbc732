/**
 * Commands and long-running children of a lab.
 *
 * Every child is remembered by its process object until it has exited, so that a lab can end exactly what it
 * started. Children are also started with a parent-death signal: they die with the test runner even when that
 * is killed with -9 and no handler of ours runs.
 */
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { openInput } from "../../../src/host/input-file.ts";

export interface ExecOptions {
  timeoutMs?: number;
  /** Written to the command's standard input. */
  input?: string;
  /** Added to the environment of this process. */
  env?: Record<string, string>;
}

export interface ExecResult {
  status: number;
  stdout: string;
  stderr: string;
}

/** For what hangs. A machine that runs much else may take long for anything, and no test is to depend on that. */
const DEFAULT_TIMEOUT_MS = 300_000;

/** Runs a command to its end. Any exit status is a result; a timeout or a signal is an error. */
export function run(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
  const [file, ...args] = argv;
  if (file === undefined) return Promise.reject(new Error("an empty command"));
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    // A file, as the daemon does it: some versions of nft take no socket, which Node.js would make for a text.
    const input = options.input === undefined ? "ignore" : openInput(options.input);
    if (input === undefined) throw new Error(`${argv.join(" ")}: no room for its input`);
    const env = { ...process.env, ...options.env };
    const child = spawn(file, args, { stdio: [input, "pipe", "pipe"], env });
    if (input !== "ignore") closeSync(input);
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name]?.setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    }
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    const fail = (why: string): void =>
      reject(new Error(`${argv.join(" ")}: ${why}\n${output.stdout}${output.stderr}`));
    child.on("error", (error) => {
      clearTimeout(timer);
      fail(error.message);
    });
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      if (status !== null) resolve({ status, ...output });
      else fail(isLate ? `no end within ${timeoutMs} ms` : `${signal}`);
    });
  });
}

/** Runs a command that has to succeed; the error carries what it said. */
export async function runChecked(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await run(argv, options);
  if (status !== 0) throw new Error(`${argv.join(" ")}: exit status ${status}\n${stderr || stdout}`);
  return stdout;
}

export interface ExitStatus {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A running child that its owner can end, and wait for. */
export class TrackedProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<ExitStatus>;
  #ended = false;

  constructor(child: ChildProcess) {
    this.child = child;
    this.exited = new Promise((resolve) => {
      child.once("close", (code, signal) => {
        this.#ended = true;
        resolve({ code, signal });
      });
      child.once("error", () => {
        this.#ended = true;
        resolve({ code: 127, signal: null });
      });
    });
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error("the command could not be started");
    return this.child.pid;
  }

  get running(): boolean {
    return !this.#ended && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Sends a signal and waits for the end; rejects when the process outlives the timeout. */
  async kill(signal: NodeJS.Signals = "SIGTERM", timeoutMs = DEFAULT_TIMEOUT_MS): Promise<ExitStatus> {
    if (this.running) this.child.kill(signal);
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(
        () => reject(new Error(`process ${this.child.pid} still runs ${timeoutMs} ms after ${signal}`)),
        timeoutMs,
      );
    });
    try {
      return await Promise.race([this.exited, timeout]);
    } finally {
      clearTimeout(timer);
    }
  }
}

export interface SpawnOptions {
  env?: Record<string, string>;
  stdio?: StdioOptions;
}

/** The children of one lab. */
export class ProcessTable {
  readonly #running = new Set<TrackedProcess>();

  spawn(argv: readonly string[], options: SpawnOptions = {}): TrackedProcess {
    // setpriv and "ip netns exec" replace themselves by the command, so the child's pid is the command's own.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", ...argv], {
      stdio: options.stdio ?? ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.env },
    });
    const tracked = new TrackedProcess(child);
    this.#running.add(tracked);
    void tracked.exited.then(() => this.#running.delete(tracked));
    return tracked;
  }

  async killAll(): Promise<void> {
    await Promise.all([...this.#running].map((tracked) => tracked.kill("SIGKILL")));
  }

  /** For exit handlers, where nothing can be awaited. */
  killAllNow(): void {
    for (const tracked of this.#running) if (tracked.running) tracked.child.kill("SIGKILL");
  }
}
