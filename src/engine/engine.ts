/**
 * What a packet engine is to the daemon. The contract:
 *  - a virtual IP belongs to an interface by name; `bindNic` says which device that name is now,
 *    and counters survive the device;
 *  - when `setBuckets` resolves, it is in force for the next frame, and frames that arrived before
 *    are not answered by the buckets gained;
 *  - nothing here touches addresses or nft: that is the host plumbing's.
 *
 * Nothing of it waits on the event loop, and some of it waits long: for a CPU that stands still up to a second, for a
 * worker up to two. So other things happen during a call:
 *  - Changes are awaited one after the other (`attach`, `detach`, `setBuckets`, `bindNic`, `restoreNic`): the order that
 *    the daemon needs (`src/daemon/change-steps.ts`) is the order in which they resolve. What an engine changes by itself, as
 *    the sampling of a prefilter, it puts between them: it never overtakes one, or builds on what one is replacing.
 *  - Questions (`counters`, `nicCounters`, `isJudging`) come at any time and are answered meanwhile, by what is in force:
 *    before the change or after it. What the change takes away may be gone for them already: CLUSTERIP_NOT_FOUND for
 *    a virtual IP, nothing counted for an interface. `isJudging` may be false where programs are just being put on or
 *    taken off; the repair that this asks for comes after the change, and finds nothing to do.
 *  - `boundIfindex` is what the last `bindNic` has bound that resolved.
 */
import type { EngineDrop, Reason, Verdict } from "../core/verdict.ts";
import type { Address } from "../model/address.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import type { EngineName, EngineVirtualIp } from "../model/virtual-ip.ts";

export interface Tally {
  readonly frames: number;
  /** octets with the Ethernet header */
  readonly bytes: number;
}

/**
 * received = accept + foreign + not-ours + malformed + drop, at any moment. What is foreign or not
 * ours, and so their part of `received`, is an estimate while a prefilter samples it.
 */
export interface NicCounters {
  readonly received: Tally;
  /** of the number of frames received: 0 (or absent) means that all counters are exact */
  readonly receivedStandardError?: number;
  /** the filter in the kernel before the engine, where the engine has one */
  readonly prefilter?: PrefilterStatus;
  readonly byVerdict: Readonly<Record<Verdict, Tally>>;
  readonly byReason: Readonly<Record<Reason, Tally>>;
  /** part of `drop`: frames that the engine itself could not judge or deliver */
  readonly byEngineDrop: Readonly<Record<EngineDrop, Tally>>;
  /** never reached the engine: the socket's buffer was full */
  readonly kernelDropped: number;
  readonly captureErrors: number;
  /** errno name of the last failed delivery */
  readonly lastDeliveryError: string | undefined;
  /** the programs on the interface, where the engine has some */
  readonly programs?: ProgramStatus;
}

export interface ProgramStatus {
  readonly tc: "none" | "tcx" | "clsact";
  readonly xdp: "off" | "native" | "generic";
  /** why there is no XDP program although there should be one, as half a sentence */
  readonly xdpOffBecause?: string;
}

export interface PrefilterStatus {
  /** `off` while the traffic is too light to be worth it, or when exact counters are wanted */
  readonly state: "attached" | "off" | "refused";
  readonly instructions: number;
  /** one dropped frame in so many passes and is counted for all of them */
  readonly sampling: number;
  /** virtual IPs without room in the program, of which every frame passes */
  readonly passedUp: readonly string[];
  /** errno name, when the kernel refused the program */
  readonly error: string | undefined;
}

export interface BucketCounters {
  readonly bucket: number;
  /** counted while the bucket was this node's */
  readonly local: Tally;
  /** counted while it was another node's */
  readonly foreign: Tally;
}

export interface VirtualIpCounters {
  readonly buckets: readonly BucketCounters[];
  /** of the number of foreign frames of all buckets together: 0 (or absent) means exact */
  readonly foreignStandardError?: number;
  /** accepted without a bucket: later fragments and the like */
  readonly withoutBucket: Tally;
}

/** What the daemon has to know of an engine besides where it judges. */
export interface EngineCapabilities {
  /** What it has attached goes on when the process ends: the next daemon goes on with it where it serves the same, and removes the rest. */
  readonly outlivesDaemon: boolean;
}

/** What an interface had lost, to others or by going and coming, and has again. */
export interface Restoration {
  readonly restored: "nothing" | "programs" | "capture";
}

interface AnyEngine {
  readonly name: EngineName;
  readonly capabilities: EngineCapabilities;
  /** One that judges in place takes new settings of a virtual IP that it has, without a gap. */
  attach(virtualIp: EngineVirtualIp): Promise<void>;
  detach(address: Address, nic: string): Promise<void>;
  setBuckets(address: Address, buckets: BucketSet): Promise<void>;
  /** @param ifindex of the device that has the name now; undefined when there is none */
  bindNic(nic: string, ifindex: number | undefined): Promise<void>;
  boundIfindex(nic: string): number | undefined;
  /** Puts back what the interface has lost. */
  restoreNic(nic: string): Promise<Restoration>;
  /** An answer is a sign of life of what judges. */
  nicCounters(nic: string): Promise<NicCounters>;
  counters(address: Address): Promise<VirtualIpCounters>;
  /** Resolves when nothing of the process is in the packet path any more; changes on their way are made before. */
  close(): Promise<void>;
}

/**
 * It judges frames on their interface and leaves them there. Nothing else keeps the stack from the frames of an address
 * that it has, so the engine has to judge before the address comes and until it has gone.
 */
export interface InPlaceEngine extends AnyEngine {
  readonly placement: "in-place";
  /** Whether what judges is still on the interface, where others could take it away; cheap, to be asked often. */
  isJudging(nic: string): Promise<boolean>;
  /** On the interfaces served: forgets what a dead daemon served and this one does not. */
  removeStaleVirtualIps(): Promise<void>;
}

/** It takes frames off their interface, and local ones enter the stack through a device of its own. */
export interface DeviceEngine extends AnyEngine {
  readonly placement: "device";
  readonly device: string;
  /** Makes the device; CLUSTERIP_ALREADY_RUNNING when another process has it. Before it nothing can be attached. */
  open(): Promise<void>;
  /** Makes the device again after somebody has removed it. */
  reopenDevice(): Promise<void>;
}

export type Engine = InPlaceEngine | DeviceEngine;

/** Whether the engine's program is on the interface; one that judges elsewhere has none that others could take away. */
export async function isJudging(engine: Engine, nic: string): Promise<boolean> {
  return engine.placement === "device" || engine.isJudging(nic);
}

/** The device whose frames are those that the engine has accepted; undefined where they stay on their interface. */
export function deviceOf(engine: Engine): string | undefined {
  return engine.placement === "device" ? engine.device : undefined;
}
