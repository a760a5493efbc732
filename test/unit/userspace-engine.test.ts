/**
 * Engine userspace changes its prefilter by itself when the traffic changes. A prefilter that is made from what a change is
 * replacing would drop the frames of a bucket gained: the two line up, however long one waits.
 */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { nothingCounted } from "../../src/engine/native-userspace.ts";
import { encodeProgram } from "../../src/engine/prefilter/instructions.ts";
import { buildPrefilter } from "../../src/engine/prefilter/prefilter.ts";
import { UserspaceEngine } from "../../src/engine/userspace.ts";
import type { NativeAddon, NativeNicCounters, NativePrefilter } from "../../src/native.ts";
import { engineVirtualIp } from "../support/verdict/engine-virtual-ip.ts";

const BEFORE = engineVirtualIp({
  address: 0x0a4d0064,
  hashMode: "sourceip",
  hashInit: 0,
  bucketCount: 4,
  localBuckets: [1],
});
const AFTER = { ...BEFORE, localBuckets: [1, 2] };
const LOOK_MS = 250;
/** Many foreign frames with every look. */
const FLOOD = 10_000;

/** A packet path that notes its calls in order. A change of buckets waits until it is let go. */
class SlowDataplane {
  readonly calls: string[] = [];
  readonly prefilters: NativePrefilter[] = [];
  letGo = (): void => {};
  #foreign = 0;

  async open(): Promise<void> {}
  async close(): Promise<void> {
    this.calls.push("close");
  }
  async addNic(): Promise<number> {
    return 1;
  }
  async openNic(): Promise<void> {}
  async addVirtualIp(): Promise<number> {
    return 2;
  }
  async setLocal(): Promise<void> {
    this.calls.push("setLocal");
    await new Promise<void>((resolve) => {
      this.letGo = resolve;
    });
    this.calls.push("in force");
  }
  async setPrefilter(_nic: number, prefilter: NativePrefilter): Promise<void> {
    this.calls.push("setPrefilter");
    this.prefilters.push(prefilter);
  }
  async nicCounters(): Promise<NativeNicCounters> {
    this.#foreign += FLOOD;
    const byReason = Array.from({ length: 64 }, () => ({ frames: this.#foreign, bytes: 0 }));
    return { ...nothingCounted, byReason };
  }
}

let dataplane: SlowDataplane;
let engine: UserspaceEngine;

beforeEach(async () => {
  vi.useFakeTimers();
  dataplane = new SlowDataplane();
  const slow = dataplane;
  class Dataplane {
    constructor() {
      // biome-ignore lint/correctness/noConstructorReturn: the test keeps the object
      return slow;
    }
  }
  const addon = { Dataplane } as unknown as NativeAddon;
  engine = new UserspaceEngine(addon, "tun0", { foreignSampling: "auto", workers: 1 });
  await engine.open();
  await engine.attach(BEFORE);
  await engine.bindNic("eth0", 7);
});
afterEach(() => vi.useRealTimers());

it("a prefilter that the traffic calls for waits for a change of buckets, and is made from what that has made", async () => {
  const change = engine.setBuckets(BEFORE.address, AFTER.localBuckets);
  await vi.advanceTimersByTimeAsync(8 * LOOK_MS);
  expect(dataplane.calls).toEqual(["setLocal"]);
  dataplane.letGo();
  await change;
  await vi.advanceTimersByTimeAsync(4 * LOOK_MS);
  expect(dataplane.calls).toEqual(["setLocal", "in force", "setPrefilter"]);
  const [made] = dataplane.prefilters;
  const { program } = buildPrefilter([AFTER], made?.notOursWeight ?? 0);
  expect(made?.program).toEqual(encodeProgram(program ?? []));
  expect(made?.program).not.toEqual(
    encodeProgram(buildPrefilter([BEFORE], made?.notOursWeight ?? 0).program ?? []),
  );
});

it("counters are read while a change waits, and close comes behind it", async () => {
  const change = engine.setBuckets(BEFORE.address, AFTER.localBuckets);
  await vi.advanceTimersByTimeAsync(1);
  expect((await engine.nicCounters("eth0")).kernelDropped).toBe(0);
  expect((await engine.nicCounters("eth9")).received.frames).toBe(0);
  const closed = engine.close();
  await vi.advanceTimersByTimeAsync(LOOK_MS);
  expect(dataplane.calls).toEqual(["setLocal"]);
  dataplane.letGo();
  await Promise.all([change, closed]);
  expect(dataplane.calls).toEqual(["setLocal", "in force", "close"]);
});
