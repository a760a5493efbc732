/** The counters of a replay while it runs. */
import { portsOffset, protocolNumbers } from "../core/bucket.ts";
import type { Classification } from "../core/classify.ts";
import { type Reason, reasonCatalogue, reasons } from "../core/verdict.ts";
import { bucketsOf, type Ownership } from "./ownership.ts";
import type { FrameCount, ReasonCount, VirtualIpReplay } from "./replay-report.ts";

/** A count of frames and octets that grows. */
export class FrameCounter implements FrameCount {
  frames = 0;
  bytes = 0;

  add(bytes: number): void {
    this.frames++;
    this.bytes += bytes;
  }
}

/** Counts by reason, in the order of the catalogue; reasons that did not occur are left out. */
export class ReasonTally {
  readonly #counters = new Map<Reason, FrameCounter>();

  add(reason: Reason, bytes: number): void {
    let counter = this.#counters.get(reason);
    if (counter === undefined) {
      counter = new FrameCounter();
      this.#counters.set(reason, counter);
    }
    counter.add(bytes);
  }

  counts(): readonly ReasonCount[] {
    return reasons.flatMap((reason) => {
      const counter = this.#counters.get(reason);
      if (counter === undefined) return [];
      return [
        { reason, verdict: reasonCatalogue[reason].verdict, frames: counter.frames, bytes: counter.bytes },
      ];
    });
  }
}

/** About 100 MB of memory at the worst; a capture with more flows still counts its frames. */
const MAX_FLOWS = 1_000_000;

/** Which flows have been seen, up to a limit that all virtual IPs share. */
export class FlowTable {
  isComplete = true;
  readonly #keys = new Set<string>();
  readonly #limit: number;

  constructor(limit: number = MAX_FLOWS) {
    this.#limit = limit;
  }

  /** Whether the flow is new. Beyond the limit no flow is. */
  isNew(key: string): boolean {
    if (this.#keys.has(key)) return false;
    if (this.#keys.size >= this.#limit) {
      this.isComplete = false;
      return false;
    }
    this.#keys.add(key);
    return true;
  }
}

/**
 * The flow of a well-formed packet as a short text of seven 16-bit characters, or undefined for
 * ICMP, whose errors belong to a flow of something else; its requests count by address.
 */
export function flowKey(packet: Uint8Array): string | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const protocol = view.getUint8(9);
  const headerLength = (view.getUint8(0) & 0x0f) * 4;
  const isIcmp = protocol === protocolNumbers.icmp;
  if (isIcmp && ![8, 13, 15, 17].includes(view.getUint8(headerLength))) return undefined;
  const offset = portsOffset(protocol);
  return String.fromCharCode(
    protocol,
    view.getUint16(12),
    view.getUint16(14),
    view.getUint16(16),
    view.getUint16(18),
    offset === undefined ? 0 : view.getUint16(headerLength + offset),
    offset === undefined ? 0 : view.getUint16(headerLength + offset + 2),
  );
}

/** What goes to one virtual IP, and what comes from it. */
export class VirtualIpTally {
  readonly outgoing = new FrameCounter();
  readonly #everyNode = new FrameCounter();
  readonly #frames: readonly FrameCounter[];
  readonly #flows: number[];
  readonly #ownership: Ownership;
  readonly #address: number;

  constructor(address: number, ownership: Ownership) {
    this.#address = address;
    this.#ownership = ownership;
    this.#frames = Array.from({ length: ownership.bucketCount }, () => new FrameCounter());
    this.#flows = new Array<number>(ownership.bucketCount).fill(0);
  }

  /** Counts a frame whose verdict is accept, by a judge who has all buckets. */
  add(classification: Classification, bytes: number, isNewFlow: boolean): void {
    if (classification.verdict !== "accept") return;
    if (classification.bucket === undefined) {
      this.#everyNode.add(bytes);
      return;
    }
    const index = classification.bucket - 1;
    this.#frames[index]?.add(bytes);
    if (isNewFlow) this.#flows[index] = (this.#flows[index] ?? 0) + 1;
  }

  report(): VirtualIpReplay {
    const ownership = this.#ownership;
    const buckets = this.#frames.map(({ frames, bytes }, index) => ({
      bucket: index + 1,
      node: ownership.ownerOf[index] ?? 0,
      frames,
      bytes,
      flows: this.#flows[index] ?? 0,
    }));
    const everyNode = { frames: this.#everyNode.frames, bytes: this.#everyNode.bytes };
    const nodes = buckets.map(({ bucket: node }) => {
      const isDown = ownership.down.includes(node);
      const own = buckets.filter((bucket) => bucket.node === node);
      const others = buckets.filter((bucket) => bucket.node !== node);
      return {
        node,
        isDown,
        buckets: bucketsOf(ownership, node),
        flows: own.reduce((sum, bucket) => sum + bucket.flows, 0),
        accepted: isDown ? none : sum([...own, everyNode]),
        foreign: isDown ? none : sum(others),
      };
    });
    const outgoing = { frames: this.outgoing.frames, bytes: this.outgoing.bytes };
    return { address: this.#address, buckets, nodes, everyNode, outgoing };
  }
}

const none: FrameCount = { frames: 0, bytes: 0 };

function sum(counts: readonly FrameCount[]): FrameCount {
  return {
    frames: counts.reduce((total, { frames }) => total + frames, 0),
    bytes: counts.reduce((total, { bytes }) => total + bytes, 0),
  };
}
