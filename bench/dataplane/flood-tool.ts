/** The flood (flood.c, flood.bpf.c): compiled at the start of a run, run on a node. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Host, NIC } from "../../test/support/lab/host.ts";
import { projectRoot } from "../../test/support/lab/paths.ts";
import { runChecked } from "../../test/support/lab/processes.ts";
import type { FloodFrames } from "./flows.ts";

const sources = path.join(projectRoot, "bench/dataplane");

/** The programs of the benchmark that are written in C. */
export class Programs {
  readonly directory = mkdtempSync(path.join(tmpdir(), "clusteripd-bench-"));

  constructor() {
    // The lab ends the process again after its own clean-up.
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => this.remove());
  }

  get flood(): string {
    return path.join(this.directory, "flood");
  }

  get floodObject(): string {
    return path.join(this.directory, "flood.bpf.o");
  }

  get move(): string {
    return path.join(this.directory, "move");
  }

  async build(): Promise<void> {
    const warnings = ["-O2", "-Wall", "-Wextra", "-Werror"];
    const multiarch = (await runChecked(["cc", "-print-multiarch"])).trim();
    // clang has no system headers of its own for this target: asm/types.h lies in the machine's directory.
    const include = multiarch === "" ? [] : [`-I/usr/include/${multiarch}`];
    await runChecked([
      ...["clang", "-g", "-target", "bpf", ...warnings, ...include],
      ...["-c", path.join(sources, "flood.bpf.c"), "-o", this.floodObject],
    ]);
    await runChecked(["cc", ...warnings, path.join(sources, "flood.c"), "-o", this.flood, "-lbpf"]);
    await runChecked(["cc", ...warnings, path.join(sources, "move.c"), "-o", this.move]);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export interface Flood {
  readonly frames: FloodFrames;
  readonly count: number;
  /** see flood.c */
  readonly where: string;
}

/** The CPU that receives; the daemon's threads are free to use the others. */
const FLOOD_CPU = 0;

/** One flood, after a short one that warms up; resolves with the nanoseconds a frame. */
export async function runFlood(programs: Programs, node: Host, flood: Flood): Promise<number> {
  const { flows, template } = flood.frames;
  const file = path.join(programs.directory, `${node.namespace}.flows`);
  writeFileSync(file, flows);
  const output = await node.exec([
    ...[programs.flood, programs.floodObject, NIC, String(FLOOD_CPU)],
    ...[String(flood.count), "1", flood.where, template.toString("hex"), file],
  ]);
  return Number(output.trim());
}
