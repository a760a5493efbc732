/** The test's end of programs/udp-prober: one datagram at a time, and who answered it. */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../lab/host.ts";
import { supportProgram } from "../lab/paths.ts";
import type { TrackedProcess } from "../lab/processes.ts";

/** A datagram that nobody has answered by then counts as lost. */
const LOST_AFTER_MS = 20_000;

export class UdpProber {
  /** Who answered, by id: more than one name is a duplicate. */
  readonly replies = new Map<string, string[]>();
  readonly #process: TrackedProcess;
  /** By id: what goes on when the answer is there. */
  readonly #waiting = new Map<string, () => void>();
  #sent = 0;

  private constructor(process: TrackedProcess) {
    this.#process = process;
  }

  static async start(client: Host, to: string, port: number): Promise<UdpProber> {
    const argv = [process.execPath, supportProgram("udp-prober"), "--to", to, "--port", String(port)];
    const prober = new UdpProber(client.spawn(argv, { stdio: ["pipe", "pipe", "inherit"] }));
    const { stdout } = prober.#process.child;
    if (stdout === null) throw new Error("the prober has no output");
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: stdout })
        .on("line", (line) => (line === "ready" ? resolve() : prober.#onReply(line)))
        .once("close", () => reject(new Error("the prober ended")));
    });
    return prober;
  }

  get sent(): number {
    return this.#sent;
  }

  send(id: string, saddr: string, sport: number): void {
    this.#sent += 1;
    this.#process.child.stdin?.write(`${id} ${saddr} ${sport}\n`);
  }

  /** Sends one datagram, never a second one, and resolves with the node that answered it. */
  async probe(id: string, saddr: string, sport: number): Promise<string | undefined> {
    const answered = new Promise<void>((resolve) => {
      this.#waiting.set(id, resolve);
    });
    this.send(id, saddr, sport);
    await Promise.race([answered, sleep(LOST_AFTER_MS, undefined, { ref: false })]);
    this.#waiting.delete(id);
    return this.replies.get(id)?.[0];
  }

  async stop(): Promise<void> {
    this.#process.child.stdin?.end();
    await this.#process.exited;
  }

  #onReply(line: string): void {
    const [id = "", node = ""] = line.split(" ");
    this.replies.set(id, [...(this.replies.get(id) ?? []), node]);
    this.#waiting.get(id)?.();
  }
}
