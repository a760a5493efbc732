/**
 * What a packet engine is to the daemon. The contract:
 *  - `open` acquires everything that outlives a virtual IP and fails when another daemon has it;
 *  - a virtual IP belongs to an interface by name; `bindNic` says which device that name is now,
 *    and counters survive the device;
 *  - when `setBuckets` returns, it is in force for the next frame, and frames that arrived before
 *    are not answered by the buckets gained;
 *  - nothing here touches addresses or nft: that is the host plumbing's.
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

export interface Engine {
  readonly name: EngineName;
  /**
   * The device through which local frames enter the stack. Without one the engine judges them in
   * place: nothing else keeps the stack from the frames of an address that it has, so the engine
   * has to judge before the address comes and until it has gone.
   */
  readonly device: string | undefined;
  open(): void;
  /** Makes the device again after somebody has removed it. */
  reopenDevice(): void;
  /** An engine that judges in place takes new settings of a virtual IP that it has, without a gap. */
  attach(virtualIp: EngineVirtualIp): void;
  detach(address: Address, nic: string): void;
  setBuckets(address: Address, buckets: BucketSet): void;
  /** @param ifindex of the device that has the name now; undefined when there is none */
  bindNic(nic: string, ifindex: number | undefined): void;
  boundIfindex(nic: string): number | undefined;
  /** Whether what judges is still on the interface; cheap, for engines where others could take it away. */
  isJudging?(nic: string): boolean;
  /** Puts back what the interface has lost, to others or by going and coming; whether something was missing. */
  restoreNic?(nic: string): boolean;
  counters(address: Address): VirtualIpCounters;
  nicCounters(nic: string): NicCounters;
  close(): void;
}
