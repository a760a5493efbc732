/** Engine "userspace": AF_PACKET capture, verdict in C++, delivery through a TUN device. */

import { getSystemErrorName } from "node:util";
import { hashModes } from "../core/bucket.ts";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { parseMac } from "../core/mac.ts";
import { type NodeSet, nodeMask } from "../core/node-set.ts";
import { type Reason, reasonCatalogue, reasons, type Verdict, verdicts } from "../core/verdict.ts";
import type { NativeAddon, NativeDataplane, NativeNicCounters, Tally } from "../native.ts";
import type { Engine, EngineVirtualIp, NicCounters, VirtualIpCounters } from "./engine.ts";

interface NicState {
  readonly id: number;
  ifindex: number | undefined;
}

interface VirtualIpState {
  readonly id: number;
  readonly virtualIp: EngineVirtualIp;
}

export class UserspaceEngine implements Engine {
  readonly name = "userspace";
  readonly device: string;
  readonly #addon: NativeAddon;
  readonly #nics = new Map<string, NicState>();
  readonly #virtualIps = new Map<number, VirtualIpState>();
  #dataplane: NativeDataplane | undefined;

  constructor(addon: NativeAddon, device: string) {
    this.#addon = addon;
    this.device = device;
  }

  open(): void {
    try {
      this.#dataplane = new this.#addon.Dataplane(this.device);
    } catch (error) {
      // The device exists only while a process holds it: then that process is a clusteripd.
      if (errnoName(error) === "EBUSY") {
        throw new ClusterIpError(
          "CLUSTERIP_ALREADY_RUNNING",
          `Another clusteripd serves this host: it holds the device ${this.device}. Stop it first.`,
          { cause: error },
        );
      }
      throw engineError(`The device ${this.device} cannot be made`, error);
    }
  }

  reopenDevice(): void {
    guarded(`The device ${this.device} cannot be made again`, () => this.#native().reopenTun(this.device));
  }

  attach(virtualIp: EngineVirtualIp): void {
    const nic = this.#nic(virtualIp.nic);
    const id = guarded("The virtual IP cannot be attached", () =>
      this.#native().addVirtualIp(nic.id, {
        addressHost: virtualIp.addressHost,
        clusterMac: parseMac(virtualIp.clusterMac),
        hashMode: hashModes.indexOf(virtualIp.hashMode),
        totalNodes: virtualIp.totalNodes,
        hashInit: virtualIp.hashInit,
        localMask: nodeMask(virtualIp.localNodes),
      }),
    );
    this.#virtualIps.set(virtualIp.addressHost, { id, virtualIp });
  }

  detach(addressHost: number): void {
    const state = this.#virtualIps.get(addressHost);
    if (state === undefined) return;
    guarded("The virtual IP cannot be detached", () => this.#native().removeVirtualIp(state.id));
    this.#virtualIps.delete(addressHost);
    const { nic } = state.virtualIp;
    const isUsed = [...this.#virtualIps.values()].some((other) => other.virtualIp.nic === nic);
    const nicState = this.#nics.get(nic);
    if (isUsed || nicState === undefined) return;
    guarded("The interface cannot be released", () => this.#native().removeNic(nicState.id));
    this.#nics.delete(nic);
  }

  setLocal(addressHost: number, nodes: NodeSet): void {
    const { id } = this.#state(addressHost);
    guarded("The buckets cannot be changed", () => this.#native().setLocal(id, nodeMask(nodes)));
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

  counters(addressHost: number): VirtualIpCounters {
    const { id, virtualIp } = this.#state(addressHost);
    const native = guarded("The counters cannot be read", () => this.#native().virtualIpCounters(id));
    const buckets = Array.from({ length: virtualIp.totalNodes }, (_, index) => ({
      bucket: index + 1,
      local: native.local[index] ?? nothing,
      foreign: native.foreign[index] ?? nothing,
    }));
    return { buckets, withoutBucket: native.withoutBucket };
  }

  nicCounters(nic: string): NicCounters {
    const { id } = this.#nic(nic);
    return toNicCounters(guarded("The counters cannot be read", () => this.#native().nicCounters(id)));
  }

  close(): void {
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
    const state: NicState = { id, ifindex: undefined };
    this.#nics.set(name, state);
    return state;
  }

  #state(addressHost: number): VirtualIpState {
    const state = this.#virtualIps.get(addressHost);
    if (state === undefined)
      throw new ClusterIpError("CLUSTERIP_NOT_FOUND", "The engine has no such virtual IP.");
    return state;
  }
}

const nothing: Tally = { frames: 0, bytes: 0 };

function sum(tallies: readonly Tally[]): Tally {
  return tallies.reduce((a, b) => ({ frames: a.frames + b.frames, bytes: a.bytes + b.bytes }), nothing);
}

function toNicCounters(native: NativeNicCounters): NicCounters {
  const byReason = Object.fromEntries(
    reasons.map((reason, index) => [reason, native.byReason[index] ?? nothing]),
  ) as Record<Reason, Tally>;
  const byEngineDrop = {
    "capture-truncated": native.captureTruncated,
    "delivery-failed": native.deliveryFailed,
  };
  const byVerdict = Object.fromEntries(
    verdicts.map((verdict) => {
      const ofVerdict = reasons.filter((reason) => reasonCatalogue[reason].verdict === verdict);
      const own = verdict === "drop" ? Object.values(byEngineDrop) : [];
      return [verdict, sum([...ofVerdict.map((reason) => byReason[reason]), ...own])];
    }),
  ) as Record<Verdict, Tally>;
  return {
    received: native.received,
    byVerdict,
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
