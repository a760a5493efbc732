/**
 * Engine "bpf": the verdict runs in the kernel, in place (`native/bpf/`). There is no device and
 * no thread; packets stay on their interface, and what is attached there outlives this process:
 * killed, the host goes on answering; started again, the daemon goes on with the same maps.
 *
 * `received` is what the two programs have seen, each frame once: what XDP drops is counted there,
 * everything else by the tc program. All counters are exact.
 */
import { getSystemErrorName } from "node:util";
import { type Address, ipv4Address, ipv4Host } from "../model/address.ts";
import { type BucketSet, bucketMask } from "../model/bucket-set.ts";
import type { EngineVirtualIp } from "../model/virtual-ip.ts";
import { type NativeBpf, type NativeBpfDataplane, type XdpMode, xdpModes } from "../native.ts";
import type { InPlaceEngine, NicCounters, ProgramStatus, Restoration, VirtualIpCounters } from "./engine.ts";
import { errnoName, guarded, guardedIfThere, unknownVirtualIp } from "./engine-error.ts";
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

export class BpfEngine implements InPlaceEngine {
  readonly name = "bpf";
  readonly placement = "in-place";
  readonly capabilities = { outlivesDaemon: true };
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

  async attach(virtualIp: EngineVirtualIp): Promise<void> {
    const state = this.#nic(virtualIp.nic);
    if (state.isPrepared) await guarded("The virtual IP cannot be attached", () => write(state, virtualIp));
    state.virtualIps.set(virtualIp.address, virtualIp);
  }

  async detach(address: Address, nic: string): Promise<void> {
    const state = this.#nics.get(nic);
    if (state?.virtualIps.has(address) !== true) return;
    await guarded("The virtual IP cannot be detached", async () => {
      if (state.isPrepared) await state.dataplane.removeVirtualIp(ipv4Host(address));
      if (state.virtualIps.size === 1) await state.dataplane.detach();
    });
    state.virtualIps.delete(address);
    if (state.virtualIps.size === 0) this.#nics.delete(nic);
  }

  async setBuckets(address: Address, buckets: BucketSet): Promise<void> {
    const state = this.#stateOf(address);
    const virtualIp = state.virtualIps.get(address);
    if (state.isPrepared) {
      await guarded("The buckets cannot be changed", () =>
        state.dataplane.setLocal(ipv4Host(address), bucketMask(buckets)),
      );
    }
    if (virtualIp !== undefined) state.virtualIps.set(address, { ...virtualIp, localBuckets: buckets });
  }

  async bindNic(nic: string, ifindex: number | undefined): Promise<void> {
    const state = this.#nic(nic);
    if (ifindex === undefined) {
      await guarded(`${nic} cannot be released`, () => state.dataplane.detach());
      state.ifindex = undefined;
      return;
    }
    await guarded(`The programs cannot be attached to ${nic}`, async () => {
      if (await state.dataplane.prepare(ifindex)) this.#warn(nic, OTHER_LAYOUT);
      state.isPrepared = true;
      // Before the programs are in force: what is not in the maps would go to the stack.
      for (const virtualIp of state.virtualIps.values()) await write(state, virtualIp);
      await this.#attachPrograms(state, ifindex);
    });
    state.ifindex = ifindex;
  }

  boundIfindex(nic: string): number | undefined {
    return this.#nics.get(nic)?.ifindex;
  }

  async isJudging(nic: string): Promise<boolean> {
    const state = this.#nics.get(nic);
    return state?.ifindex === undefined || isTrueOrGone(() => state.dataplane.isJudging());
  }

  async restoreNic(nic: string): Promise<Restoration> {
    const state = this.#nics.get(nic);
    if (state?.ifindex === undefined) return { restored: "nothing" };
    const { dataplane, ifindex } = state;
    if (await isTrueOrGone(() => dataplane.isComplete())) return { restored: "nothing" };
    await guarded(`The programs cannot be put back on ${nic}`, () => this.#attachPrograms(state, ifindex));
    return { restored: "programs" };
  }

  async removeStaleVirtualIps(): Promise<void> {
    await guarded("What a dead daemon left cannot be removed", async () => {
      for (const state of this.#nics.values()) await removeStaleVirtualIps(state);
    });
  }

  async counters(address: Address): Promise<VirtualIpCounters> {
    const state = this.#stateOf(address);
    const native = state.isPrepared
      ? await guardedIfThere("The counters cannot be read", () =>
          state.dataplane.virtualIpCounters(ipv4Host(address)),
        )
      : undefined;
    if (state.isPrepared && native === undefined) throw unknownVirtualIp();
    const bucketCount = state.virtualIps.get(address)?.bucketCount ?? 0;
    const buckets = Array.from({ length: bucketCount }, (_, index) => ({
      bucket: index + 1,
      local: native?.local[index] ?? noFrames,
      foreign: native?.foreign[index] ?? noFrames,
    }));
    return { buckets, withoutBucket: native?.withoutBucket ?? noFrames };
  }

  async nicCounters(nic: string): Promise<NicCounters> {
    const state = this.#nics.get(nic);
    const native =
      state?.isPrepared === true
        ? await guarded("The counters cannot be read", () => state.dataplane.nicCounters())
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
      ...(state?.ifindex === undefined ? {} : { programs: await programStatus(state) }),
    };
  }

  /** Leaves the kernel as it is: what is to be left behind is decided before, by detaching. */
  async close(): Promise<void> {
    this.#nics.clear();
  }

  async #attachPrograms({ dataplane }: NicState, ifindex: number): Promise<void> {
    const mode = xdpModes.indexOf(await this.#xdpMode(ifindex));
    await dataplane.attach(ifindex, mode, this.#options.forcesClsact);
  }

  async #xdpMode(ifindex: number): Promise<XdpMode> {
    const { xdp } = this.#options;
    if (xdp !== "auto") return xdp;
    return driversWithoutXdp.has(await this.#native.addon.driverOf(ifindex)) ? "off" : "native";
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
    throw unknownVirtualIp();
  }
}

async function write({ dataplane }: NicState, virtualIp: EngineVirtualIp): Promise<void> {
  const settings = nativeVirtualIp(virtualIp);
  try {
    await dataplane.setVirtualIp(settings);
  } catch (error) {
    if (errnoName(error) !== "ENOSPC") throw error;
    const why = `there is no room for another virtual IP on ${virtualIp.nic}; those that a change replaces count until it is over`;
    throw new Error(`${why}. Engine 'userspace' has no such limit`, { cause: error });
  }
}

/** What a dead daemon served and this one does not. */
async function removeStaleVirtualIps({ dataplane, virtualIps, isPrepared }: NicState): Promise<void> {
  if (!isPrepared) return;
  for (const { addressHost } of await dataplane.virtualIps()) {
    if (!virtualIps.has(ipv4Address(addressHost))) await dataplane.removeVirtualIp(addressHost);
  }
}

async function programStatus({ dataplane }: NicState): Promise<ProgramStatus> {
  const { tc, xdp, xdpErrno, xdpOtherProgram } = await dataplane.attachment();
  const why =
    xdpOtherProgram !== 0
      ? `another XDP program is attached (id ${xdpOtherProgram})`
      : xdpErrno !== 0
        ? `the driver refused it (${getSystemErrorName(-xdpErrno)})`
        : undefined;
  return { tc, xdp, ...(why === undefined ? {} : { xdpOffBecause: why }) };
}

/** An interface that has just gone is not a program that was taken away: its event is on the way. */
async function isTrueOrGone(ask: () => Promise<boolean>): Promise<boolean> {
  try {
    return await ask();
  } catch {
    return true;
  }
}
