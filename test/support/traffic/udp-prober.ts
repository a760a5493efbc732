/** The test's end of programs/udp-prober: one datagram at a time, and who answered it. */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../lab/host.ts";
import { supportProgram } from "../lab/paths.ts";
import type { TrackedProcess } from "../lab/processes.ts";

const POLL_MS = 2;

export class UdpProber {
  /** Who answered, by id: more than one name is a duplicate. */
  readonly replies = new Map<string, string[]>();
  readonly #process: TrackedProcess;
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
  async probe(id: string, saddr: string, sport: number, timeoutMs = 20_000): Promise<string | undefined> {
    this.send(id, saddr, sport);
    const deadline = Date.now() + timeoutMs;
    while (!this.replies.has(id) && Date.now() < deadline) await sleep(POLL_MS);
    return this.replies.get(id)?.[0];
  }

  async stop(): Promise<void> {
    this.#process.child.stdin?.end();
    await this.#process.exited;
  }

  #onReply(line: string): void {
    const [id = "", node = ""] = line.split(" ");
    this.replies.set(id, [...(this.replies.get(id) ?? []), node]);
  }
}
