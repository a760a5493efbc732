/**
 * Engine "userspace": AF_PACKET capture with a prefilter in the kernel, verdict in C++, delivery
 * through a TUN device.
 */
import { ClusterIpError } from "../core/errors.ts";
import { Mutex } from "../core/mutex.ts";
import type { ForeignSampling } from "../core/sampling.ts";
import type { Address } from "../model/address.ts";
import { type BucketSet, bucketMask } from "../model/bucket-set.ts";
import type { EngineVirtualIp } from "../model/virtual-ip.ts";
import type { NativeAddon, NativeDataplane, NativePrefilter } from "../native.ts";
import type { DeviceEngine, NicCounters, Restoration, VirtualIpCounters } from "./engine.ts";
import { engineError, errnoName, guarded, guardedIfThere, unknownVirtualIp } from "./engine-error.ts";
import { nativePrefilter, nicCountersOf, nothingCounted, prefilterStatus } from "./native-userspace.ts";
import { nativeVirtualIp } from "./native-virtual-ip.ts";
import { buildPrefilter, noPrefilter, type Prefilter } from "./prefilter/prefilter.ts";
import { SamplingChoice } from "./prefilter/sampling.ts";
import { noFrames } from "./tallies.ts";

interface NicState {
  readonly id: number;
  readonly sampling: SamplingChoice;
  prefilter: Prefilter;
  ifindex: number | undefined;
}

interface VirtualIpState {
  readonly id: number;
  virtualIp: EngineVirtualIp;
}

/** How often the engine looks whether the prefilter pays. */
const SAMPLING_INTERVAL_MS = 250;

export interface UserspaceOptions {
  readonly foreignSampling: ForeignSampling;
  /** threads that share the frames of an interface by the CPU that received them */
  readonly workers: number;
}

export class UserspaceEngine implements DeviceEngine {
  readonly name = "userspace";
  readonly placement = "device";
  readonly capabilities = { outlivesDaemon: false };
  readonly device: string;
  readonly #addon: NativeAddon;
  readonly #nics = new Map<string, NicState>();
  readonly #virtualIps = new Map<Address, VirtualIpState>();
  readonly #options: UserspaceOptions;
  /** A prefilter is made from all that is served: whatever changes that, or it, does so alone. */
  readonly #changes = new Mutex();
  #dataplane: NativeDataplane | undefined;
  #samplingTimer: NodeJS.Timeout | undefined;
  #isAdapting = false;

  constructor(addon: NativeAddon, device: string, options: UserspaceOptions) {
    this.#addon = addon;
    this.device = device;
    this.#options = options;
  }

  async open(): Promise<void> {
    const dataplane = new this.#addon.Dataplane();
    try {
      await dataplane.open(this.device, this.#options.workers);
    } catch (error) {
      // The device exists only while a process holds it.
      if (errnoName(error) === "EBUSY") {
        throw new ClusterIpError(
          "CLUSTERIP_ALREADY_RUNNING",
          `Another clusteripd serves this host: it holds the device ${this.device}. Stop it first.`,
          { cause: error },
        );
      }
      throw engineError(`The device ${this.device} cannot be made`, error);
    }
    this.#dataplane = dataplane;
    if (this.#options.foreignSampling !== "auto") return;
    this.#samplingTimer = setInterval(() => void this.#adaptSampling(), SAMPLING_INTERVAL_MS).unref();
  }

  async reopenDevice(): Promise<void> {
    await guarded(`The device ${this.device} cannot be made again`, () =>
      this.#native().reopenTun(this.device),
    );
  }

  attach(virtualIp: EngineVirtualIp): Promise<void> {
    return this.#changes.run(async () => {
      const nic = await this.#nic(virtualIp.nic);
      const settings = nativeVirtualIp(virtualIp);
      const served = [...this.#servedOn(virtualIp.nic), virtualIp];
      const id = await guarded("The virtual IP cannot be attached", () =>
        withPrefilter(nic, served, (prefilter) => this.#native().addVirtualIp(nic.id, settings, prefilter)),
      );
      this.#virtualIps.set(virtualIp.address, { id, virtualIp });
    });
  }

  detach(address: Address): Promise<void> {
    return this.#changes.run(async () => {
      const state = this.#virtualIps.get(address);
      if (state === undefined) return;
      const { nic } = state.virtualIp;
      const nicState = await this.#nic(nic);
      const others = this.#servedOn(nic).filter((other) => other.address !== address);
      await guarded("The virtual IP cannot be detached", () =>
        withPrefilter(nicState, others, (prefilter) => this.#native().removeVirtualIp(state.id, prefilter)),
      );
      this.#virtualIps.delete(address);
      if (others.length > 0) return;
      await guarded("The interface cannot be released", () => this.#native().removeNic(nicState.id));
      this.#nics.delete(nic);
    });
  }

  setBuckets(address: Address, buckets: BucketSet): Promise<void> {
    return this.#changes.run(async () => {
      const state = this.#state(address);
      const old = state.virtualIp.localBuckets;
      const kept = old.filter((bucket) => buckets.includes(bucket));
      // Losing and gaining buckets put the prefilter in force at different moments.
      if (kept.length < old.length || buckets.length === kept.length) await this.#setBuckets(state, kept);
      if (buckets.length > kept.length) await this.#setBuckets(state, buckets);
    });
  }

  async #setBuckets(state: VirtualIpState, localBuckets: BucketSet): Promise<void> {
    const next = { ...state.virtualIp, localBuckets };
    const served = this.#servedOn(next.nic).map((v) => (v.address === next.address ? next : v));
    const nic = await this.#nic(next.nic);
    await guarded("The buckets cannot be changed", () =>
      withPrefilter(nic, served, (prefilter) =>
        this.#native().setLocal(state.id, bucketMask(localBuckets), prefilter),
      ),
    );
    state.virtualIp = next;
  }

  /** Looks at the traffic since the last look and lets the prefilter begin or end. */
  async #adaptSampling(): Promise<void> {
    // Behind a change that waits there is one look and not one for each turn of the timer.
    if (this.#isAdapting) return;
    this.#isAdapting = true;
    for (const name of [...this.#nics.keys()]) {
      // A packet path that does not answer is the monitors' business; the next look tries again.
      await this.#changes.run(() => this.#adaptSamplingOf(name)).catch(() => {});
    }
    this.#isAdapting = false;
  }

  async #adaptSamplingOf(name: string): Promise<void> {
    const nic = this.#nics.get(name);
    if (nic === undefined) return;
    const { byVerdict } = await this.nicCounters(name);
    const before = nic.sampling.current;
    const frames = byVerdict.foreign.frames + byVerdict["not-ours"].frames;
    if (!nic.sampling.observe(frames, performance.now())) return;
    const dropsMore = nic.sampling.current > before;
    try {
      await withPrefilter(nic, this.#servedOn(name), (prefilter) =>
        this.#native().setPrefilter(nic.id, prefilter, dropsMore),
      );
    } catch (error) {
      nic.sampling.goBackTo(before);
      throw error;
    }
  }

  #servedOn(nic: string): readonly EngineVirtualIp[] {
    return [...this.#virtualIps.values()].map((state) => state.virtualIp).filter((v) => v.nic === nic);
  }

  bindNic(nic: string, ifindex: number | undefined): Promise<void> {
    return this.#changes.run(async () => {
      const state = await this.#nic(nic);
      if (ifindex === undefined) {
        await guarded(`${nic} cannot be released`, () => this.#native().closeNic(state.id));
      } else {
        await guarded(`Frames of ${nic} cannot be captured`, () => this.#native().openNic(state.id, ifindex));
      }
      state.ifindex = ifindex;
    });
  }

  boundIfindex(nic: string): number | undefined {
    return this.#nics.get(nic)?.ifindex;
  }

  async restoreNic(nic: string): Promise<Restoration> {
    const state = this.#nics.get(nic);
    if (state?.ifindex === undefined) return { restored: "nothing" };
    const { isCaptureStale } = await guarded("The counters cannot be read", () =>
      this.#native().nicCounters(state.id),
    );
    if (!isCaptureStale) return { restored: "nothing" };
    await this.bindNic(nic, state.ifindex);
    return { restored: "capture" };
  }

  async counters(address: Address): Promise<VirtualIpCounters> {
    const { id, virtualIp } = this.#state(address);
    const native = await guardedIfThere("The counters cannot be read", () =>
      this.#native().virtualIpCounters(id),
    );
    if (native === undefined) throw unknownVirtualIp();
    const buckets = Array.from({ length: virtualIp.bucketCount }, (_, index) => ({
      bucket: index + 1,
      local: native.local[index] ?? noFrames,
      foreign: native.foreign[index] ?? noFrames,
    }));
    const foreignStandardError = Math.sqrt(native.foreignVariance);
    return { buckets, foreignStandardError, withoutBucket: native.withoutBucket };
  }

  async nicCounters(nic: string): Promise<NicCounters> {
    const state = this.#nics.get(nic);
    const native =
      state &&
      (await guardedIfThere("The counters cannot be read", () => this.#native().nicCounters(state.id)));
    const { prefilterErrno } = native ?? nothingCounted;
    return {
      ...nicCountersOf(native ?? nothingCounted),
      prefilter: prefilterStatus(state?.prefilter ?? noPrefilter, prefilterErrno),
    };
  }

  async close(): Promise<void> {
    clearInterval(this.#samplingTimer);
    const dataplane = this.#dataplane;
    this.#dataplane = undefined;
    await this.#changes.run(async () => dataplane?.close());
    this.#nics.clear();
    this.#virtualIps.clear();
  }

  #native(): NativeDataplane {
    if (this.#dataplane === undefined)
      throw new ClusterIpError("CLUSTERIP_ENGINE", "The engine is not open.");
    return this.#dataplane;
  }

  /** For a change: adds it where it is not known. */
  async #nic(name: string): Promise<NicState> {
    const known = this.#nics.get(name);
    if (known !== undefined) return known;
    const id = await guarded("The interface cannot be added", () => this.#native().addNic());
    const sampling = new SamplingChoice(this.#options.foreignSampling);
    const state: NicState = { id, sampling, prefilter: noPrefilter, ifindex: undefined };
    this.#nics.set(name, state);
    return state;
  }

  #state(address: Address): VirtualIpState {
    const state = this.#virtualIps.get(address);
    if (state === undefined) throw unknownVirtualIp();
    return state;
  }
}

/** Makes the prefilter that fits what is served after a change, and remembers it when that succeeds. */
async function withPrefilter<T>(
  nic: NicState,
  virtualIps: readonly EngineVirtualIp[],
  change: (prefilter: NativePrefilter) => Promise<T>,
): Promise<T> {
  const prefilter = buildPrefilter(virtualIps, nic.sampling.current);
  const result = await change(nativePrefilter(prefilter, virtualIps));
  nic.prefilter = prefilter;
  return result;
}
