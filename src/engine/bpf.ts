/**
 * Engine "bpf": the verdict runs in the kernel, in place (`native/bpf/`). There is no device and
 * no thread; packets stay on their interface, and what is attached there outlives this process:
 * killed, the host goes on answering; started again, the daemon goes on with the same maps.
 *
 * `received` is what the two programs have seen, each frame once: what XDP drops is counted there,
 * everything else by the tc program. All counters are exact.
 */
import { getSystemErrorName } from "node:util";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { type Address, ipv4Address, ipv4Host } from "../model/address.ts";
import { type BucketSet, bucketMask } from "../model/bucket-set.ts";
import type { EngineVirtualIp } from "../model/virtual-ip.ts";
import { type NativeBpf, type NativeBpfDataplane, type XdpMode, xdpModes } from "../native.ts";
import type { Engine, NicCounters, ProgramStatus, VirtualIpCounters } from "./engine.ts";
import { nativeVirtualIp } from "./native-virtual-ip.ts";
import { noFrames, sumTallies, talliesByEngineDrop, talliesByReason, talliesByVerdict } from "./tallies.ts";

/** `auto`: native where it pays. A knob for benchmarks and tests, not for operators. */
export const xdpChoices = ["auto", ...xdpModes] as const;
export type XdpChoice = (typeof xdpChoices)[number];

export interface BpfOptions {
  readonly xdp: XdpChoice;
  /** a clsact qdisc although the kernel has tcx */
  readonly forcesClsact: boolean;
}

/**
 * Drivers of virtual cables and of what is built from other interfaces, on which `auto` leaves XDP
 * alone. With an XDP program their sender may hand over no merged segments any more: on veth one
 * accepted connection loses most of its throughput to that. The hardware that XDP is made for
 * merges after the program. Generic XDP is no way out: it copies every merged frame into one piece,
 * and saves little, because the kernel has allocated for the frame before it runs.
 */
const driversWithoutXdp: ReadonlySet<string> = new Set([
  "",
  "bonding",
  "bridge",
  "dummy",
  "hv_netvsc",
  "macvlan",
  "team",
  "tun",
  "veth",
  "vif",
  "virtio_net",
  "vmxnet3",
]);

const OTHER_LAYOUT =
  "replaces the programs of another version of clusteripd, whose maps are laid out in another way: nothing is taken over, counters begin at 0";

interface NicState {
  readonly dataplane: NativeBpfDataplane;
  readonly virtualIps: Map<Address, EngineVirtualIp>;
  /** the maps are there: from the first binding on, with or without an interface */
  isPrepared: boolean;
  ifindex: number | undefined;
}

export class BpfEngine implements Engine {
  readonly name = "bpf";
  readonly device = undefined;
  readonly #native: NativeBpf;
  readonly #options: BpfOptions;
  readonly #warn: (nic: string, sentence: string) => void;
  readonly #nics = new Map<string, NicState>();

  /** @param warn gets what an operator should know, a sentence about an interface */
  constructor(native: NativeBpf, options: BpfOptions, warn: (nic: string, sentence: string) => void) {
    this.#native = native;
    this.#options = options;
    this.#warn = warn;
  }

  /** The lock against a second daemon is the device of the engine `userspace`, which is always there. */
  open(): void {}

  reopenDevice(): void {}

  attach(virtualIp: EngineVirtualIp): void {
    const state = this.#nic(virtualIp.nic);
    if (state.isPrepared) guarded("The virtual IP cannot be attached", () => write(state, virtualIp));
    state.virtualIps.set(virtualIp.address, virtualIp);
  }

  detach(address: Address, nic: string): void {
    const state = this.#nics.get(nic);
    if (state?.virtualIps.has(address) !== true) return;
    guarded("The virtual IP cannot be detached", () => {
      if (state.isPrepared) state.dataplane.removeVirtualIp(ipv4Host(address));
      if (state.virtualIps.size === 1) state.dataplane.detach();
    });
    state.virtualIps.delete(address);
    if (state.virtualIps.size === 0) this.#nics.delete(nic);
  }

  setBuckets(address: Address, buckets: BucketSet): void {
    const state = this.#stateOf(address);
    const virtualIp = state.virtualIps.get(address);
    if (state.isPrepared) {
      guarded("The buckets cannot be changed", () =>
        state.dataplane.setLocal(ipv4Host(address), bucketMask(buckets)),
      );
    }
    if (virtualIp !== undefined) state.virtualIps.set(address, { ...virtualIp, localBuckets: buckets });
  }

  bindNic(nic: string, ifindex: number | undefined): void {
    const state = this.#nic(nic);
    if (ifindex === undefined) {
      guarded(`${nic} cannot be released`, () => state.dataplane.detach());
      state.ifindex = undefined;
      return;
    }
    guarded(`The programs cannot be attached to ${nic}`, () => {
      if (state.dataplane.prepare(ifindex)) this.#warn(nic, OTHER_LAYOUT);
      state.isPrepared = true;
      // Before the programs are in force: what is not in the maps would go to the stack.
      for (const virtualIp of state.virtualIps.values()) write(state, virtualIp);
      this.#attachPrograms(state, ifindex);
    });
    state.ifindex = ifindex;
  }

  boundIfindex(nic: string): number | undefined {
    return this.#nics.get(nic)?.ifindex;
  }

  isJudging(nic: string): boolean {
    const state = this.#nics.get(nic);
    return state?.ifindex === undefined || isTrueOrGone(() => state.dataplane.isJudging());
  }

  restoreNic(nic: string): boolean {
    const state = this.#nics.get(nic);
    if (state?.ifindex === undefined) return false;
    const { dataplane, ifindex } = state;
    if (isTrueOrGone(() => dataplane.isComplete())) return false;
    guarded(`The programs cannot be put back on ${nic}`, () => this.#attachPrograms(state, ifindex));
    return true;
  }

  /** On the interfaces served: forgets what a dead daemon served and this one does not. */
  removeStaleVirtualIps(): void {
    guarded("What a dead daemon left cannot be removed", () => {
      for (const state of this.#nics.values()) removeStaleVirtualIps(state);
    });
  }

  counters(address: Address): VirtualIpCounters {
    const state = this.#stateOf(address);
    const native = state.isPrepared
      ? guarded("The counters cannot be read", () => state.dataplane.virtualIpCounters(ipv4Host(address)))
      : undefined;
    const bucketCount = state.virtualIps.get(address)?.bucketCount ?? 0;
    const buckets = Array.from({ length: bucketCount }, (_, index) => ({
      bucket: index + 1,
      local: native?.local[index] ?? noFrames,
      foreign: native?.foreign[index] ?? noFrames,
    }));
    return { buckets, withoutBucket: native?.withoutBucket ?? noFrames };
  }

  nicCounters(nic: string): NicCounters {
    const state = this.#nics.get(nic);
    const native =
      state?.isPrepared === true
        ? guarded("The counters cannot be read", () => state.dataplane.nicCounters())
        : [];
    const byReason = talliesByReason(native);
    return {
      received: sumTallies(native),
      byVerdict: talliesByVerdict(byReason),
      byReason,
      byEngineDrop: talliesByEngineDrop(),
      kernelDropped: 0,
      captureErrors: 0,
      lastDeliveryError: undefined,
      ...(state?.ifindex === undefined ? {} : { programs: programStatus(state) }),
    };
  }

  /** Leaves the kernel as it is: what is to be left behind is decided before, by detaching. */
  close(): void {
    this.#nics.clear();
  }

  #attachPrograms({ dataplane }: NicState, ifindex: number): void {
    dataplane.attach(ifindex, xdpModes.indexOf(this.#xdpMode(ifindex)), this.#options.forcesClsact);
  }

  #xdpMode(ifindex: number): XdpMode {
    const { xdp } = this.#options;
    if (xdp !== "auto") return xdp;
    return driversWithoutXdp.has(this.#native.addon.driverOf(ifindex)) ? "off" : "native";
  }

  #nic(name: string): NicState {
    const known = this.#nics.get(name);
    if (known !== undefined) return known;
    const dataplane = new this.#native.addon.BpfDataplane(this.#native.objectPath);
    const state: NicState = { dataplane, virtualIps: new Map(), isPrepared: false, ifindex: undefined };
    this.#nics.set(name, state);
    return state;
  }

  #stateOf(address: Address): NicState {
    for (const state of this.#nics.values()) if (state.virtualIps.has(address)) return state;
    throw new ClusterIpError("CLUSTERIP_NOT_FOUND", "The engine has no such virtual IP.");
  }
}

function write({ dataplane }: NicState, virtualIp: EngineVirtualIp): void {
  const settings = nativeVirtualIp(virtualIp);
  try {
    dataplane.setVirtualIp(settings);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    const why = `there is no room for another virtual IP on ${virtualIp.nic}; those that a change replaces count until it is over`;
    throw new Error(`${why}. Engine 'userspace' has no such limit`, { cause: error });
  }
}

/** What a dead daemon served and this one does not. */
function removeStaleVirtualIps({ dataplane, virtualIps, isPrepared }: NicState): void {
  if (!isPrepared) return;
  for (const { addressHost } of dataplane.virtualIps()) {
    if (!virtualIps.has(ipv4Address(addressHost))) dataplane.removeVirtualIp(addressHost);
  }
}

function programStatus({ dataplane }: NicState): ProgramStatus {
  const { tc, xdp, xdpErrno, xdpOtherProgram } = dataplane.attachment();
  const why =
    xdpOtherProgram !== 0
      ? `another XDP program is attached (id ${xdpOtherProgram})`
      : xdpErrno !== 0
        ? `the driver refused it (${getSystemErrorName(-xdpErrno)})`
        : undefined;
  return { tc, xdp, ...(why === undefined ? {} : { xdpOffBecause: why }) };
}

/** An interface that has just gone is not a program that was taken away: its event is on the way. */
function isTrueOrGone(ask: () => boolean): boolean {
  try {
    return ask();
  } catch {
    return true;
  }
}

function guarded<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new ClusterIpError("CLUSTERIP_ENGINE", `${what}: ${messageOf(error)}.`, { cause: error });
  }
}
