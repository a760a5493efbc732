/** The only module that loads the native addons that users have. Everything else sees these types. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { ClusterIpError, messageOf } from "./core/errors.ts";
import { packageRoot } from "./package.ts";

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
  /** the index is the number of the reason */
  readonly byReason: readonly Tally[];
  /** the index is the number of the drop in `engineDropCatalogue` */
  readonly byEngineDrop: readonly Tally[];
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
  /** of `hashModeNumbers` */
  readonly hashMode: number;
  readonly bucketCount: number;
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
 * The userspace packet path (`native/userspace/dataplane.h`). A call waits, for workers and for frames that have arrived,
 * on another thread: the event loop goes on. It resolves when what it changed is in force for the next frame, and rejects
 * with an error that carries `code` (ENODEV, EPERM ...), `errno`, `syscall`.
 *
 * Changes are made in the order of the calls, one after the other. Counters are read in the order of their calls, and
 * beside changes: a reader that wants what a change has made waits for that first.
 */
export interface NativeDataplane {
  /** Creates the TUN device and starts the worker threads, 1 to 16; before it every other call fails with EBADF. */
  open(tunName: string, workers: number): Promise<void>;
  /** Makes the TUN device anew after somebody has removed it. */
  reopenTun(tunName: string): Promise<void>;
  addNic(): Promise<number>;
  openNic(nic: number, ifindex: number): Promise<void>;
  closeNic(nic: number): Promise<void>;
  removeNic(nic: number): Promise<void>;
  /** The prefilter of this and the next two fits what is served after the change. */
  addVirtualIp(nic: number, settings: NativeVirtualIp, prefilter: NativePrefilter): Promise<number>;
  removeVirtualIp(virtualIp: number, prefilter: NativePrefilter): Promise<void>;
  /** Either gains buckets or loses some: a change that does both is made in two, losses first. */
  setLocal(virtualIp: number, localMask: number, prefilter: NativePrefilter): Promise<void>;
  /** @param dropsMore than the one in force, not less */
  setPrefilter(nic: number, prefilter: NativePrefilter, dropsMore: boolean): Promise<void>;
  nicCounters(nic: number): Promise<NativeNicCounters>;
  virtualIpCounters(virtualIp: number): Promise<NativeVirtualIpCounters>;
  /** Ends device and threads when the changes on their way are made; calls that come later fail with EBADF. */
  close(): Promise<void>;
}

export interface NativeAddon {
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
  /**
   * Makes a TUN device whose name is a lock in this network namespace. The kernel removes it with the descriptor, also when
   * the process is killed.
   *
   * @returns the descriptor; rejects with EBUSY when there is a device of that name
   */
  lockDevice(name: string): Promise<number>;
  readonly Dataplane: new () => NativeDataplane;
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
 * Engine "bpf" on one interface (`native/loader/dataplane.h`): `prepare`, then the virtual IPs,
 * then `attach`. What is attached outlives the object and the process, until `detach`.
 *
 * Calls wait on another thread, and are ordered as those of `NativeDataplane`: changes one after the other, and what is
 * read beside them.
 */
export interface NativeBpfDataplane {
  /**
   * Loads the programs, with the maps of those that it finds on the interface.
   *
   * @returns whether it has found some whose maps are laid out in another way, another version's: nothing is taken over
   * from them, and `attach` replaces them
   */
  prepare(ifindex: number): Promise<boolean>;
  attach(ifindex: number, xdpMode: number, forceClsact: boolean): Promise<void>;
  detach(): Promise<void>;
  attachment(): Promise<NativeBpfAttachment>;
  /** whether the tc program is where it was attached; cheap */
  isJudging(): Promise<boolean>;
  /** whether all is there: also the XDP program and the subscriptions */
  isComplete(): Promise<boolean>;
  /** Adds it or changes it in one write. */
  setVirtualIp(settings: NativeVirtualIp): Promise<void>;
  setLocal(addressHost: number, localMask: number): Promise<void>;
  removeVirtualIp(addressHost: number): Promise<void>;
  virtualIps(): Promise<readonly NativeBpfVirtualIp[]>;
  /** frames by the number of their reason */
  nicCounters(): Promise<readonly Tally[]>;
  virtualIpCounters(addressHost: number): Promise<NativeBpfVirtualIpCounters>;
}

export interface NativeBpfVirtualIpCounters {
  readonly local: readonly Tally[];
  readonly foreign: readonly Tally[];
  readonly withoutBucket: Tally;
}

export interface NativeBpfAddon {
  /** @param objectPath the compiled programs */
  readonly BpfDataplane: new (
    objectPath: string,
  ) => NativeBpfDataplane;
  /** Loads the programs and attaches them to the loopback interface for a moment; rejects with why not. */
  probe(objectPath: string): Promise<void>;
  /** Takes programs and subscriptions that were left on an interface away; whether there were any. */
  removePrograms(ifindex: number): Promise<boolean>;
  /** The name of an interface's driver, empty when it has none. */
  driverOf(ifindex: number): Promise<string>;
}

const ADDON_PATH = join("native", "build", "Release", "clusteripd.node");

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
