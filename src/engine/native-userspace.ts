/** What the addon of engine "userspace" takes and gives. */
import { getSystemErrorName } from "node:util";
import { ipv4Host } from "../model/address.ts";
import type { EngineVirtualIp } from "../model/virtual-ip.ts";
import type { NativeNicCounters, NativePrefilter } from "../native.ts";
import type { NicCounters, PrefilterStatus } from "./engine.ts";
import { encodeProgram } from "./prefilter/instructions.ts";
import type { Prefilter } from "./prefilter/prefilter.ts";
import { noFrames, talliesByEngineDrop, talliesByReason, talliesByVerdict } from "./tallies.ts";

/** Of an interface that the engine does not have. */
export const nothingCounted: NativeNicCounters = {
  received: noFrames,
  receivedVariance: 0,
  byReason: [],
  byEngineDrop: [],
  kernelDropped: 0,
  captureErrors: 0,
  lastDeliveryErrno: 0,
  prefilterErrno: 0,
  isCaptureStale: false,
};

export function nativePrefilter(
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

export function prefilterStatus({ program, weight, passedUp }: Prefilter, errno: number): PrefilterStatus {
  const state = program === undefined ? "off" : errno === 0 ? "attached" : "refused";
  return {
    state,
    instructions: program?.length ?? 0,
    sampling: state === "attached" ? weight : 1,
    passedUp,
    error: errno === 0 ? undefined : getSystemErrorName(-errno),
  };
}

export function nicCountersOf(native: NativeNicCounters): NicCounters {
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
