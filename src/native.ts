/** The only module that loads the native addon. Everything else sees these types. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ClusterIpError, messageOf } from "./core/errors.ts";

/** Frames and their octets, Ethernet header included. */
export interface Tally {
  readonly frames: number;
  readonly bytes: number;
}

/** Counters of one interface. */
export interface NativeNicCounters {
  readonly received: Tally;
  /** of the number of frames received, which is an estimate where a prefilter samples */
  readonly receivedVariance: number;
  /** in the order of `reasonNames()` */
  readonly byReason: readonly Tally[];
  readonly captureTruncated: Tally;
  readonly deliveryFailed: Tally;
  /** frames that the kernel could not queue for the engine; not part of `received` */
  readonly kernelDropped: number;
  /** receive calls that failed; not part of `received` */
  readonly captureErrors: number;
  /** errno of the last failed delivery, 0 for none */
  readonly lastDeliveryErrno: number;
  /** why the prefilter is not in force, 0 when it is */
  readonly prefilterErrno: number;
  /**
   * the capture does not hear all that it should: the interface has gone, be it that it came back, or several workers
   * could not share its frames before the link came up; opening it again helps
   */
  readonly isCaptureStale: boolean;
}

/** Counters of one virtual IP; the arrays have 16 entries, by bucket - 1. */
export interface NativeVirtualIpCounters {
  readonly local: readonly Tally[];
  readonly foreign: readonly Tally[];
  /** of the number of foreign frames of all buckets together */
  readonly foreignVariance: number;
  readonly withoutBucket: Tally;
}

export interface NativeHashSettings {
  /** index into `hashModes` */
  readonly hashMode: number;
  readonly totalNodes: number;
  readonly hashInit: number;
  /** bit bucket - 1 */
  readonly localMask: number;
  readonly addressHost: number;
}

export interface NativeVirtualIp extends NativeHashSettings {
  /** 6 octets */
  readonly clusterMac: Uint8Array;
}

/** What is dropped in the kernel, and how the frames that pass nevertheless count. */
export interface NativePrefilter {
  /** `struct sock_filter` one behind the other; empty for no filter */
  readonly program: Uint8Array;
  readonly notOursWeight: number;
  /** pairs: address in host order, weight of a foreign frame */
  readonly foreignWeights: Uint32Array;
}

/**
 * The userspace packet path (`native/src/dataplane.h`). A method returns when what it changed
 * is in force for the next frame. Errors carry `code` (ENODEV, EPERM ...), `errno`, `syscall`.
 */
export interface NativeDataplane {
  /** Makes the TUN device anew after somebody has removed it. */
  reopenTun(tunName: string): void;
  addNic(): number;
  openNic(nic: number, ifindex: number): void;
  closeNic(nic: number): void;
  removeNic(nic: number): void;
  /** The prefilter of this and the next two fits what is served after the change. */
  addVirtualIp(nic: number, settings: NativeVirtualIp, prefilter: NativePrefilter): number;
  removeVirtualIp(virtualIp: number, prefilter: NativePrefilter): void;
  /** Either gains buckets or loses some: a change that does both is made in two, losses first. */
  setLocal(virtualIp: number, localMask: number, prefilter: NativePrefilter): void;
  /** @param dropsMore than the one in force, not less */
  setPrefilter(nic: number, prefilter: NativePrefilter, dropsMore: boolean): void;
  nicCounters(nic: number): NativeNicCounters;
  virtualIpCounters(virtualIp: number): NativeVirtualIpCounters;
  close(): void;
}

/** The native verdict on frames from JavaScript: for tests, `explain` and benchmarks. */
export interface NativeJudge {
  /** @returns the index of the reason in the low 8 bits, the bucket (0 for none) above */
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

/** Runs a classic-BPF program in this machine's kernel, for tests; throws when the kernel refuses it. */
export interface NativeFilterProbe {
  /** Whether a frame to this host, without a tag, passes. */
  passes(frame: Uint8Array): boolean;
}

export interface NativeAddon {
  /** Ports are the words that enter the hash: the wire octets read little-endian. */
  bucketOf(
    hashMode: number,
    totalNodes: number,
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
    totalNodes: number,
    hashInit: number,
    saddrHost: Uint32Array,
    sourcePortWords: Uint16Array,
    destinationPortWords: Uint16Array,
    buckets: Uint8Array,
    path?: number,
  ): void;
  /** The ways to compute a batch, slowest first; undefined where the CPU lacks the instructions. */
  batchPaths(): readonly (string | undefined)[];
  reasonNames(): readonly string[];
  /** Puts one whole Ethernet frame on an interface; nft does not see it. */
  sendFrame(ifindex: number, frame: Uint8Array): void;
  /** One datagram to a UNIX socket; a leading `@` is the abstract namespace. */
  sendDatagram(path: string, text: string): void;
  /**
   * Calls `onChange` when an nft table with the name, of any family, or anything in it may have changed in this network
   * namespace: once for a burst of changes, and also when the kernel had no room for all of them.
   *
   * @returns ends it; until then the process goes on
   */
  watchNft(table: string, onChange: () => void): () => void;
  /**
   * flock(2) on an open file, exclusive, without waiting. The kernel ends the lock with the file's last descriptor.
   *
   * @returns false when somebody else holds it
   */
  tryLockFile(fd: number): boolean;
  /** Creates the TUN device `tunName` and starts the worker threads, 1 to 16. */
  readonly Dataplane: new (
    tunName: string,
    workers: number,
  ) => NativeDataplane;
  readonly Judge: new (virtualIps: readonly NativeHashSettings[]) => NativeBatchJudge;
  readonly FilterProbe: new (program: Uint8Array) => NativeFilterProbe;
}

/** How the programs are attached to an interface. */
export interface NativeBpfAttachment {
  readonly tc: "none" | "tcx" | "clsact";
  /** id in the kernel, 0 for none */
  readonly tcProgram: number;
  readonly xdp: "off" | "native" | "generic";
  /** why there is no XDP program although one was wanted, 0 when there is */
  readonly xdpErrno: number;
  /** id of somebody else's XDP program, 0 for none */
  readonly xdpOtherProgram: number;
}

export interface NativeBpfVirtualIp {
  readonly addressHost: number;
  readonly localMask: number;
  readonly clusterMac: Uint8Array;
  /** the subscription to the cluster MAC was made for it */
  readonly ownsMac: boolean;
}

/** The index is what `attach` takes. */
export const xdpModes = ["off", "native", "generic"] as const;
export type XdpMode = (typeof xdpModes)[number];

/**
 * Engine "bpf" on one interface (`native/src/bpf_dataplane.h`): `prepare`, then the virtual IPs,
 * then `attach`. What is attached outlives the object and the process, until `detach`.
 */
export interface NativeBpfDataplane {
  /** Loads the programs, with the maps of those that it finds on the interface. */
  prepare(ifindex: number): void;
  attach(ifindex: number, xdpMode: number, forceClsact: boolean): void;
  detach(): void;
  attachment(): NativeBpfAttachment;
  /** whether the tc program is where it was attached; cheap */
  isJudging(): boolean;
  /** whether all is there: also the XDP program and the subscriptions */
  isComplete(): boolean;
  /** Adds it or changes it in one write. */
  setVirtualIp(settings: NativeVirtualIp): void;
  setLocal(addressHost: number, localMask: number): void;
  removeVirtualIp(addressHost: number): void;
  virtualIps(): readonly NativeBpfVirtualIp[];
  /** frames by reason, in the order of `reasonNames()` */
  nicCounters(): readonly Tally[];
  virtualIpCounters(addressHost: number): {
    readonly local: readonly Tally[];
    readonly foreign: readonly Tally[];
    readonly withoutBucket: Tally;
  };
  /**
   * For tests: what a program does with one frame (BPF_PROG_TEST_RUN).
   *
   * @returns its return value, and the reason and bucket that it counted (-1 and 0 for none)
   */
  testRun(
    program: "tc" | "xdp",
    frame: Uint8Array,
  ): { readonly action: number; readonly reason: number; readonly bucket: number };
}

export interface NativeBpfAddon {
  /** @param objectPath the compiled programs */
  readonly BpfDataplane: new (
    objectPath: string,
  ) => NativeBpfDataplane;
  /** Loads the programs and attaches them to the loopback interface for a moment; throws why not. */
  probe(objectPath: string): void;
  /** Takes programs and subscriptions that were left on an interface away; whether there were any. */
  removePrograms(ifindex: number): boolean;
  /** The name of an interface's driver, empty when it has none. */
  driverOf(ifindex: number): string;
}

const ADDON_PATH = join("native", "build", "Release", "clusteripd.node");

/** The directory that holds package.json: one up from src/, two up from dist/src/. */
export function packageRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "package.json"))) {
    const parent = dirname(directory);
    if (parent === directory) return directory;
    directory = parent;
  }
  return directory;
}

let loaded: NativeAddon | undefined;

/** Loads the addon once; throws CLUSTERIP_ADDON_MISSING when it is not there or does not fit. */
export function loadNative(): NativeAddon {
  if (loaded !== undefined) return loaded;
  const path = join(packageRoot(), ADDON_PATH);
  if (!existsSync(path)) {
    throw new ClusterIpError(
      "CLUSTERIP_ADDON_MISSING",
      `The native addon is not built: ${path} does not exist. Run 'npm run build' in ${packageRoot()}.`,
    );
  }
  try {
    const addon: NativeAddon = createRequire(import.meta.url)(path);
    loaded = addon;
    return addon;
  } catch (error) {
    throw new ClusterIpError(
      "CLUSTERIP_ADDON_MISSING",
      `The native addon ${path} cannot be loaded (${messageOf(error)}). Run 'npm run build' again with this version of Node.js.`,
      { cause: error },
    );
  }
}

const BPF_ADDON_PATH = join("native", "build", "Release", "clusteripd_bpf.node");
const BPF_OBJECT_PATH = join("native", "build", "Release", "clusterip.bpf.o");

export interface NativeBpf {
  readonly addon: NativeBpfAddon;
  readonly objectPath: string;
}

/** Loads the addon of engine "bpf"; throws CLUSTERIP_NO_ENGINE with the reason when there is none. */
export function loadNativeBpf(): NativeBpf {
  const root = packageRoot();
  const path = join(root, BPF_ADDON_PATH);
  if (!existsSync(path)) {
    throw new ClusterIpError(
      "CLUSTERIP_NO_ENGINE",
      "it was not built: the build needs clang and libbpf 1.0 or later (packages clang and libbpf-dev)",
    );
  }
  const objectPath = join(root, BPF_OBJECT_PATH);
  if (!existsSync(objectPath)) {
    throw new ClusterIpError("CLUSTERIP_NO_ENGINE", "its compiled programs (clusterip.bpf.o) are missing");
  }
  try {
    return { addon: createRequire(import.meta.url)(path) as NativeBpfAddon, objectPath };
  } catch (error) {
    // On a host without libbpf this is what the dynamic linker says.
    throw new ClusterIpError("CLUSTERIP_NO_ENGINE", `its addon cannot be loaded (${messageOf(error)})`, {
      cause: error,
    });
  }
}
