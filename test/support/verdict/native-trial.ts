/** The addons that only tests and benchmarks load (`native/trial`): the parts of the dataplane by themselves. */
import { createRequire } from "node:module";
import { join } from "node:path";
import type { NativeBpfAddon, NativeBpfDataplane, NativeHashSettings } from "../../../src/native.ts";
import { packageRoot } from "../../../src/package.ts";

/** The native verdict on frames from JavaScript. */
export interface NativeJudge {
  /** @returns the number of the reason in the low 8 bits, the bucket (0 for none) above */
  judge(frame: Uint8Array, packetType: number): number;
}

export interface NativeBatchJudge extends NativeJudge {
  /**
   * Many frames in one call.
   *
   * @param frames one behind the other
   * @param ends where each ends; as many as `results`, which get what `judge` returns
   */
  judgeAll(frames: Uint8Array, ends: Uint32Array, packetType: number, results: Uint32Array): void;
}

/** Runs a classic-BPF program in this machine's kernel; throws when the kernel refuses it. */
export interface NativeFilterProbe {
  /** Whether a frame to this host, without a tag, passes. */
  passes(frame: Uint8Array): boolean;
}

export interface NativeTrial {
  /** Ports are the words that enter the hash: the wire octets read little-endian. */
  bucketOf(
    hashMode: number,
    bucketCount: number,
    hashInit: number,
    protocol: number,
    saddrHost: number,
    sourcePortWord: number,
    destinationPortWord: number,
  ): number;
  /**
   * The buckets of many flows: arrays of equal length, ports as for `bucketOf`, 0 for a protocol
   * without ports.
   *
   * @param path index into `batchPaths()`; by default the fastest that this CPU can run
   */
  bucketsOf(
    hashMode: number,
    bucketCount: number,
    hashInit: number,
    saddrHost: Uint32Array,
    sourcePortWords: Uint16Array,
    destinationPortWords: Uint16Array,
    buckets: Uint8Array,
    path?: number,
  ): void;
  /** The ways to compute a batch, slowest first; undefined where the CPU lacks the instructions. */
  batchPaths(): readonly (string | undefined)[];
  /** by number */
  reasonNames(): readonly (string | undefined)[];
  readonly Judge: new (virtualIps: readonly NativeHashSettings[]) => NativeBatchJudge;
  readonly FilterProbe: new (program: Uint8Array) => NativeFilterProbe;
}

export interface NativeBpfTrial extends NativeBpfAddon {
  /**
   * What a program does with one frame (BPF_PROG_TEST_RUN).
   *
   * @returns its return value, and the number of the reason and the bucket that it counted (-1 and 0 for none)
   */
  testRun(
    dataplane: NativeBpfDataplane,
    program: "tc" | "xdp",
    frame: Uint8Array,
  ): { readonly action: number; readonly reason: number; readonly bucket: number };
}

const release = join(packageRoot(), "native", "build", "Release");
const require = createRequire(import.meta.url);

export function loadTrial(): NativeTrial {
  return require(join(release, "clusteripd_trial.node")) as NativeTrial;
}

export function loadBpfTrial(): { readonly addon: NativeBpfTrial; readonly objectPath: string } {
  return {
    addon: require(join(release, "clusteripd_bpf_trial.node")) as NativeBpfTrial,
    objectPath: join(release, "clusterip.bpf.o"),
  };
}
