/**
 * Engine "userspace": AF_PACKET capture with a prefilter in the kernel, verdict in C++, delivery
 * through a TUN device.
 */
import { getSystemErrorName } from "node:util";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import type { ForeignSampling } from "../core/sampling.ts";
import { type Address, ipv4Host } from "../model/address.ts";
import { type BucketSet, bucketMask } from "../model/bucket-set.ts";
import type { EngineVirtualIp } from "../model/virtual-ip.ts";
import type { NativeAddon, NativeDataplane, NativeNicCounters, NativePrefilter } from "../native.ts";
import type { Engine, NicCounters, PrefilterStatus, VirtualIpCounters } from "./engine.ts";
import { nativeVirtualIp } from "./native-virtual-ip.ts";
import { encodeProgram } from "./prefilter/instructions.ts";
import { buildPrefilter, noPrefilter, type Prefilter } from "./prefilter/prefilter.ts";
import { SamplingChoice } from "./prefilter/sampling.ts";
import { noFrames, talliesByEngineDrop, talliesByReason, talliesByVerdict } from "./tallies.ts";

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

export class UserspaceEngine implements Engine {
  readonly name = "userspace";
  readonly device: string;
  readonly #addon: NativeAddon;
  readonly #nics = new Map<string, NicState>();
  readonly #virtualIps = new Map<Address, VirtualIpState>();
  readonly #options: UserspaceOptions;
  #dataplane: NativeDataplane | undefined;
  #samplingTimer: NodeJS.Timeout | undefined;

  constructor(addon: NativeAddon, device: string, options: UserspaceOptions) {
    this.#addon = addon;
    this.device = device;
    this.#options = options;
  }

  open(): void {
    try {
      this.#dataplane = new this.#addon.Dataplane(this.device, this.#options.workers);
    } catch (error) {
      // The device exists only while a process holds it: a clusteripd, or a clean-up.
      if (errnoName(error) === "EBUSY") {
        throw new ClusterIpError(
          "CLUSTERIP_ALREADY_RUNNING",
          `Another clusteripd serves this host: it holds the device ${this.device}. Stop it first; 'clusterip cleanup' holds it for a moment, too.`,
          { cause: error },
        );
      }
      throw engineError(`The device ${this.device} cannot be made`, error);
    }
    if (this.#options.foreignSampling !== "auto") return;
    this.#samplingTimer = setInterval(() => this.#adaptSampling(), SAMPLING_INTERVAL_MS).unref();
  }

  reopenDevice(): void {
    guarded(`The device ${this.device} cannot be made again`, () => this.#native().reopenTun(this.device));
  }

  attach(virtualIp: EngineVirtualIp): void {
    const nic = this.#nic(virtualIp.nic);
    const settings = nativeVirtualIp(virtualIp);
    const served = [...this.#servedOn(virtualIp.nic), virtualIp];
    const id = guarded("The virtual IP cannot be attached", () =>
      withPrefilter(nic, served, (prefilter) => this.#native().addVirtualIp(nic.id, settings, prefilter)),
    );
    this.#virtualIps.set(virtualIp.address, { id, virtualIp });
  }

  detach(address: Address): void {
    const state = this.#virtualIps.get(address);
    if (state === undefined) return;
    const { nic } = state.virtualIp;
    const nicState = this.#nic(nic);
    const others = this.#servedOn(nic).filter((other) => other.address !== address);
    guarded("The virtual IP cannot be detached", () =>
      withPrefilter(nicState, others, (prefilter) => this.#native().removeVirtualIp(state.id, prefilter)),
    );
    this.#virtualIps.delete(address);
    if (others.length > 0) return;
    guarded("The interface cannot be released", () => this.#native().removeNic(nicState.id));
    this.#nics.delete(nic);
  }

  setBuckets(address: Address, buckets: BucketSet): void {
    const state = this.#state(address);
    const old = state.virtualIp.localBuckets;
    const kept = old.filter((bucket) => buckets.includes(bucket));
    // Losing and gaining buckets put the prefilter in force at different moments.
    if (kept.length < old.length || buckets.length === kept.length) this.#setBuckets(state, kept);
    if (buckets.length > kept.length) this.#setBuckets(state, buckets);
  }

  #setBuckets(state: VirtualIpState, localBuckets: BucketSet): void {
    const next = { ...state.virtualIp, localBuckets };
    const served = this.#servedOn(next.nic).map((v) => (v.address === next.address ? next : v));
    guarded("The buckets cannot be changed", () =>
      withPrefilter(this.#nic(next.nic), served, (prefilter) =>
        this.#native().setLocal(state.id, bucketMask(localBuckets), prefilter),
      ),
    );
    state.virtualIp = next;
  }

  /** Looks at the traffic since the last look and lets the prefilter begin or end. */
  #adaptSampling(): void {
    for (const [name, nic] of this.#nics) {
      try {
        this.#adaptSamplingOf(name, nic);
      } catch {
        // A packet path that does not answer is the monitors' business; the next look tries again.
      }
    }
  }

  #adaptSamplingOf(name: string, nic: NicState): void {
    const { byVerdict } = this.nicCounters(name);
    const before = nic.sampling.current;
    const frames = byVerdict.foreign.frames + byVerdict["not-ours"].frames;
    if (!nic.sampling.observe(frames, performance.now())) return;
    const dropsMore = nic.sampling.current > before;
    try {
      withPrefilter(nic, this.#servedOn(name), (prefilter) =>
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

  bindNic(nic: string, ifindex: number | undefined): void {
    const state = this.#nic(nic);
    if (ifindex === undefined) {
      guarded(`${nic} cannot be released`, () => this.#native().closeNic(state.id));
    } else {
      guarded(`Frames of ${nic} cannot be captured`, () => this.#native().openNic(state.id, ifindex));
    }
    state.ifindex = ifindex;
  }

  boundIfindex(nic: string): number | undefined {
    return this.#nics.get(nic)?.ifindex;
  }

  restoreNic(nic: string): boolean {
    const state = this.#nics.get(nic);
    if (state?.ifindex === undefined) return false;
    const { isCaptureStale } = guarded("The counters cannot be read", () =>
      this.#native().nicCounters(state.id),
    );
    if (isCaptureStale) this.bindNic(nic, state.ifindex);
    return isCaptureStale;
  }

  counters(address: Address): VirtualIpCounters {
    const { id, virtualIp } = this.#state(address);
    const native = guarded("The counters cannot be read", () => this.#native().virtualIpCounters(id));
    const buckets = Array.from({ length: virtualIp.bucketCount }, (_, index) => ({
      bucket: index + 1,
      local: native.local[index] ?? noFrames,
      foreign: native.foreign[index] ?? noFrames,
    }));
    const foreignStandardError = Math.sqrt(native.foreignVariance);
    return { buckets, foreignStandardError, withoutBucket: native.withoutBucket };
  }

  nicCounters(nic: string): NicCounters {
    const state = this.#nic(nic);
    const native = guarded("The counters cannot be read", () => this.#native().nicCounters(state.id));
    return { ...toNicCounters(native), prefilter: prefilterStatus(state.prefilter, native.prefilterErrno) };
  }

  close(): void {
    clearInterval(this.#samplingTimer);
    this.#dataplane?.close();
    this.#dataplane = undefined;
    this.#nics.clear();
    this.#virtualIps.clear();
  }

  #native(): NativeDataplane {
    if (this.#dataplane === undefined)
      throw new ClusterIpError("CLUSTERIP_ENGINE", "The engine is not open.");
    return this.#dataplane;
  }

  #nic(name: string): NicState {
    const known = this.#nics.get(name);
    if (known !== undefined) return known;
    const id = guarded("The interface cannot be added", () => this.#native().addNic());
    const sampling = new SamplingChoice(this.#options.foreignSampling);
    const state: NicState = { id, sampling, prefilter: noPrefilter, ifindex: undefined };
    this.#nics.set(name, state);
    return state;
  }

  #state(address: Address): VirtualIpState {
    const state = this.#virtualIps.get(address);
    if (state === undefined)
      throw new ClusterIpError("CLUSTERIP_NOT_FOUND", "The engine has no such virtual IP.");
    return state;
  }
}

/** Makes the prefilter that fits what is served after a change, and remembers it when that succeeds. */
function withPrefilter<T>(
  nic: NicState,
  virtualIps: readonly EngineVirtualIp[],
  change: (prefilter: NativePrefilter) => T,
): T {
  const prefilter = buildPrefilter(virtualIps, nic.sampling.current);
  const result = change(toNative(prefilter, virtualIps));
  nic.prefilter = prefilter;
  return result;
}

function toNative(
  { program, weight, passedUp }: Prefilter,
  virtualIps: readonly EngineVirtualIp[],
): NativePrefilter {
  const weights = virtualIps.flatMap(({ address }) => [
    ipv4Host(address),
    passedUp.includes(address) ? 1 : weight,
  ]);
  return {
    program: encodeProgram(program ?? []),
    notOursWeight: weight,
    foreignWeights: Uint32Array.from(weights),
  };
}

function prefilterStatus({ program, weight, passedUp }: Prefilter, errno: number): PrefilterStatus {
  const state = program === undefined ? "off" : errno === 0 ? "attached" : "refused";
  return {
    state,
    instructions: program?.length ?? 0,
    sampling: state === "attached" ? weight : 1,
    passedUp,
    error: errno === 0 ? undefined : getSystemErrorName(-errno),
  };
}

function toNicCounters(native: NativeNicCounters): NicCounters {
  const byReason = talliesByReason(native.byReason);
  const byEngineDrop = talliesByEngineDrop(native.byEngineDrop);
  return {
    received: native.received,
    receivedStandardError: Math.sqrt(native.receivedVariance),
    byVerdict: talliesByVerdict(byReason, Object.values(byEngineDrop)),
    byReason,
    byEngineDrop,
    kernelDropped: native.kernelDropped,
    captureErrors: native.captureErrors,
    lastDeliveryError:
      native.lastDeliveryErrno === 0 ? undefined : getSystemErrorName(-native.lastDeliveryErrno),
  };
}

function errnoName(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

function engineError(what: string, error: unknown): ClusterIpError {
  return new ClusterIpError("CLUSTERIP_ENGINE", `${what}: ${messageOf(error)}.`, { cause: error });
}

function guarded<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw engineError(what, error);
  }
}
