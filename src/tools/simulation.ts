/** What a simulation found. */
import type { HashSettings } from "../core/bucket.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import type { AddressRange } from "./clients.ts";
import type { Ownership } from "./ownership.ts";
import type { ExpectedSpread } from "./spread.ts";

export interface BucketShare {
  readonly bucket: number;
  /** The node that has the bucket. */
  readonly node: number;
  readonly flows: number;
  readonly share: number;
}

export interface NodeShare {
  readonly node: number;
  readonly isDown: boolean;
  readonly buckets: BucketSet;
  readonly flows: number;
  readonly share: number;
}

export interface Simulation {
  readonly settings: HashSettings;
  readonly clientRanges: readonly AddressRange[];
  readonly clients: number;
  readonly ports: number;
  readonly destinationPort: number;
  /** clients × ports */
  readonly flows: number;
  /** Flows that `buckets` and `nodes` count: fewer than `flows` when `isSample`. */
  readonly countedFlows: number;
  readonly isSample: boolean;
  readonly ownership: Ownership;
  readonly buckets: readonly BucketShare[];
  readonly nodes: readonly NodeShare[];
  readonly expected: ExpectedSpread;
  /** Probability that chance alone spreads the flows at least as unevenly over the buckets. */
  readonly chance: number;
  readonly advice: readonly SimulationAdvice[];
}

export interface SimulationAdvice {
  /** Stable name of the case. */
  readonly kind:
    | "single-node"
    | "one-client"
    | "few-clients"
    | "few-flows"
    | "as-expected"
    | "uneven"
    | "nat"
    | "more-buckets"
    | "bucket-limit";
  readonly text: string;
}
