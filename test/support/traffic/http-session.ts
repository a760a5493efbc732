/** The test's end of programs/http-session: a connection that is kept, and what came of it. */
import { createInterface } from "node:readline";
import type { Host } from "../lab/host.ts";
import { supportProgram } from "../lab/paths.ts";
import type { TrackedProcess } from "../lab/processes.ts";

export interface SessionOptions {
  to: string;
  port: number;
  source: string;
  sourcePort: number;
}

export class HttpSession {
  /** "ID NODE" for each answer, "closed REASON" at the end. */
  readonly events: string[] = [];
  readonly options: SessionOptions;
  readonly #process: TrackedProcess;

  private constructor(process: TrackedProcess, options: SessionOptions) {
    this.#process = process;
    this.options = options;
  }

  /** Resolves when the connection stands. */
  static async open(client: Host, options: SessionOptions): Promise<HttpSession> {
    const { to, port, source, sourcePort } = options;
    const where = ["--to", to, "--port", String(port), "--source", source];
    const argv = [process.execPath, supportProgram("http-session"), ...where];
    const child = client.spawn([...argv, "--source-port", String(sourcePort)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    const session = new HttpSession(child, options);
    const { stdout } = child.child;
    if (stdout === null) throw new Error("the session has no output");
    await new Promise<void>((resolve, reject) => {
      createInterface({ input: stdout })
        .on("line", (line) => (line === "ready" ? resolve() : session.events.push(line)))
        .once("close", () => reject(new Error(`no connection: ${session.events.join(", ")}`)));
    });
    return session;
  }

  send(id: string): void {
    this.#process.child.stdin?.write(`${id}\n`);
  }

  async close(): Promise<void> {
    await this.#process.kill("SIGKILL");
  }
}
