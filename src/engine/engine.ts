/**
 * What a packet engine is to the daemon. The contract:
 *  - `open` acquires everything that outlives a virtual IP and fails when another daemon has it;
 *  - a virtual IP belongs to an interface by name; `bindNic` says which device that name is now,
 *    and counters survive the device;
 *  - when `setLocal` returns, it is in force for the next frame, and frames that arrived before
 *    are not answered by the buckets gained;
 *  - nothing here touches addresses or nft: that is the host plumbing's.
 */
import type { HashMode } from "../core/bucket.ts";
import type { NodeSet } from "../core/node-set.ts";
import type { EngineDrop, Reason, Verdict } from "../core/verdict.ts";

export interface EngineVirtualIp {
  /** host order */
  readonly addressHost: number;
  readonly nic: string;
  /** six octets as text */
  readonly clusterMac: string;
  readonly hashMode: HashMode;
  readonly totalNodes: number;
  readonly hashInit: number;
  readonly localNodes: NodeSet;
}

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
  readonly name: "userspace" | "bpf";
  /** the device through which local frames enter the stack, where there is one */
  readonly device: string | undefined;
  open(): void;
  /** Makes the device again after somebody has removed it. */
  reopenDevice(): void;
  attach(virtualIp: EngineVirtualIp): void;
  detach(addressHost: number): void;
  setLocal(addressHost: number, nodes: NodeSet): void;
  /** @param ifindex of the device that has the name now; undefined when there is none */
  bindNic(nic: string, ifindex: number | undefined): void;
  boundIfindex(nic: string): number | undefined;
  counters(addressHost: number): VirtualIpCounters;
  nicCounters(nic: string): NicCounters;
  close(): void;
}
