/** What a replay found. */
import type { HashSettings } from "../core/bucket.ts";
import type { Reason, Verdict } from "../core/verdict.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import type { Ownership } from "./ownership.ts";

export interface FrameCount {
  readonly frames: number;
  /** Octets on the wire, as far as the capture knows them. */
  readonly bytes: number;
}

export interface ReasonCount extends FrameCount {
  readonly reason: Reason;
  readonly verdict: Verdict;
}

export interface BucketCount extends FrameCount {
  readonly bucket: number;
  readonly node: number;
  /** Flows of different protocol, client address and ports; see `Replay.flowsAreComplete`. */
  readonly flows: number;
}

export interface NodeCount {
  readonly node: number;
  readonly isDown: boolean;
  readonly buckets: BucketSet;
  readonly flows: number;
  /** Frames of its buckets and those that every node takes. */
  readonly accepted: FrameCount;
  /** Frames of other nodes' buckets, which it drops silently. */
  readonly foreign: FrameCount;
}

/** The frames to one virtual IP. */
export interface VirtualIpReplay {
  /** host order */
  readonly address: number;
  readonly buckets: readonly BucketCount[];
  readonly nodes: readonly NodeCount[];
  /** Accepted by every node because they have no bucket (later fragments). */
  readonly everyNode: FrameCount;
  /** Frames that the virtual IP sent: replies, which are not judged. */
  readonly outgoing: FrameCount;
}

export interface Replay {
  readonly settings: HashSettings;
  readonly ownership: Ownership;
  /** False when the virtual IP was found in the capture. */
  readonly isVirtualIpGiven: boolean;
  /** Everything in the file. */
  readonly total: FrameCount;
  /** Times of the first and the last record; undefined in a capture without frames. */
  readonly firstNs: bigint | undefined;
  readonly lastNs: bigint | undefined;
  /** Frames that were judged, by reason: `local-bucket` means that one of the nodes has the bucket. */
  readonly reasons: readonly ReasonCount[];
  /** Frames that the snap length cut before their ports, so that nobody can judge them. */
  readonly cut: FrameCount;
  /** Frames of link types that are not understood. */
  readonly unsupported: FrameCount;
  readonly virtualIps: readonly VirtualIpReplay[];
  /** False when there were more flows than are remembered: `flows` are then lower bounds. */
  readonly flowsAreComplete: boolean;
  readonly warnings: readonly string[];
}

export interface ReplayProgress {
  /** A capture is read twice when its virtual IP has to be found first. */
  readonly phase: "find-virtual-ip" | "judge";
  readonly bytesRead: number;
  /** Unknown when the capture comes from a pipe. */
  readonly bytesTotal: number | undefined;
}
