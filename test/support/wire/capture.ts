/** A packet capture by tcpdump that is known to have started, and known to be whole when it is stopped. */

import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { readCapture } from "../../../src/pcap/read-capture.ts";
import { BRIDGE, type Host, NIC } from "../lab/host.ts";
import type { Lab } from "../lab/lab.ts";
import type { TrackedProcess } from "../lab/processes.ts";
import { Hopeless, until, untilSteady } from "../wait.ts";

/** tcpdump's own buffer in the kernel, in KiB. */
const BUFFER_KIB = 65_536;
/** In immediate mode the buffer has slots of this size: with tcpdump's own 256 KiB there would be only 256. */
const SNAP_BYTES = 2048;

let capturesStarted = 0;

export class Capture {
  readonly file: string;
  readonly #tcpdump: TrackedProcess;
  readonly #messages: () => string;

  constructor(file: string, tcpdump: TrackedProcess, messages: () => string) {
    this.file = file;
    this.#tcpdump = tcpdump;
    this.#messages = messages;
  }

  /** Waits until it has so many frames. */
  async waitFor(frames: number): Promise<void> {
    await until(async () => {
      const captured = await countFrames(this.file);
      if (captured < frames) throw new Error(`${captured} of ${frames} frames in ${this.file}`);
    });
  }

  /** Ends the capture and returns the path of the pcap file. A capture with holes is an error: it proves nothing. */
  async stop(): Promise<string> {
    await this.#settled();
    await this.#tcpdump.kill("SIGINT");
    const dropped = /(\d+) packets? dropped by kernel/.exec(this.#messages())?.[1];
    if (dropped !== "0") throw new Error(`incomplete capture ${this.file}:\n${this.#messages()}`);
    return this.file;
  }

  /** Waits until frames on their way through tcpdump have reached the file. */
  async #settled(): Promise<void> {
    await untilSteady(async () => {
      // One that waits for its CPU has frames that are not in the file.
      await until(() => this.#sleeps());
      return (await stat(this.file)).size;
    });
  }

  /** Rejects while tcpdump has something to do. */
  async #sleeps(): Promise<void> {
    const status = await readFile(`/proc/${this.#tcpdump.pid}/stat`, "utf8");
    if (!status.slice(status.lastIndexOf(")")).startsWith(") S")) throw new Error("tcpdump does not sleep");
  }
}

/** Its whole records: the last one may be on its way to the file. */
async function countFrames(file: string): Promise<number> {
  let frames = 0;
  try {
    for await (const _ of readCapture(file)) frames += 1;
  } catch {
    return frames;
  }
  return frames;
}

/**
 * Captures what passes a host's NIC, or the whole LAN when `where` is the lab's switch.
 * On the switch every frame that crosses the bridge is seen once, however many ports it is flooded to.
 */
export async function capture(lab: Lab, where: Host, filter = "", nic?: string): Promise<Capture> {
  capturesStarted += 1;
  const interfaceName = nic ?? (where === lab.switch ? BRIDGE : NIC);
  // The suffix matters: tcpdump's AppArmor profile on Ubuntu lets it write *.pcap only.
  const file = path.join(lab.directory, `capture-${capturesStarted}.pcap`);
  const tcpdump = where.spawn(
    [
      ...["tcpdump", "-i", interfaceName, "-n", "-U", "--immediate-mode"],
      ...["-B", String(BUFFER_KIB), "-s", String(SNAP_BYTES)],
      // "-Z root": stay root, because the lab's directory is closed to tcpdump's own user.
      ...["-Z", "root", "-w", file, ...(filter === "" ? [] : [filter])],
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let messages = "";
  tcpdump.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    messages += text;
  });
  try {
    await until(() => {
      if (messages.includes("listening on")) return;
      const why = `tcpdump on ${where.name} did not start:
${messages}`;
      throw tcpdump.running ? new Error(why) : new Hopeless(why);
    });
  } catch (error) {
    await tcpdump.kill("SIGKILL");
    throw error;
  }
  return new Capture(file, tcpdump, () => messages);
}
