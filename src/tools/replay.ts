/**
 * `clusterip replay`: what every node of a cluster would have done with the frames of a capture.
 * Each frame is judged once, by a node that has all buckets; the bucket then says whose it is.
 */
import { stat } from "node:fs/promises";
import type { HashMode, HashSettings } from "../core/bucket.ts";
import { type Classification, type ClassifyTarget, classify } from "../core/classify.ts";
import { ClusterIpError } from "../core/errors.ts";
import { formatIpv4 } from "../core/ipv4.ts";
import type { Reason } from "../core/verdict.ts";
import { allBuckets } from "../model/bucket-set.ts";
import { ipv4Addresses, type LinkFrame, linkFrameOf } from "../pcap/link-layer.ts";
import { readCapture, readFileChunks } from "../pcap/read-capture.ts";
import type { CaptureRecord, CaptureWarning } from "../pcap/record.ts";
import { findVirtualIp } from "./find-virtual-ip.ts";
import { countOf, listOf } from "./numbers.ts";
import { type Ownership, ownershipAfter } from "./ownership.ts";
import type { Replay, ReplayProgress } from "./replay-report.ts";
import { FlowTable, FrameCounter, flowKey, ReasonTally, VirtualIpTally } from "./replay-tally.ts";

export interface ReplayRequest {
  /** The path of a capture, or its octets (standard input). */
  readonly source: string | AsyncIterable<Uint8Array>;
  /** Host order; when there are none, a path is searched for the one address sent to a cluster MAC. */
  readonly virtualIps?: readonly number[];
  readonly bucketCount: number;
  readonly hashMode?: HashMode;
  readonly hashInit?: number;
  /** Nodes that are down; by default none. */
  readonly down?: Iterable<number>;
  /** Flows that are told apart at most; by default a million, about 100 MB of memory. */
  readonly maxFlows?: number;
  /** Called for every chunk that has been read. */
  readonly onProgress?: (progress: ReplayProgress) => void;
}

/** Judges a whole capture. Throws CLUSTERIP_BAD_CAPTURE for a damaged one, with the place. */
export async function replayCapture(request: ReplayRequest): Promise<Replay> {
  const ownership = ownershipAfter(request.bucketCount, request.down);
  const settings: HashSettings = {
    hashMode: request.hashMode ?? "sourceip-sourceport",
    bucketCount: request.bucketCount,
    hashInit: request.hashInit ?? 0,
  };
  const given = [...new Set(request.virtualIps ?? [])];
  const addresses = given.length > 0 ? given : [await findIn(request)];
  const run = new ReplayRun(addresses, settings, ownership, new FlowTable(request.maxFlows));
  const chunks = await chunksOf(request, "judge");
  for await (const record of readCapture(chunks, { onWarning: (warning) => run.warn(warning) })) {
    run.add(record);
  }
  return run.report(given.length > 0);
}

async function findIn(request: ReplayRequest): Promise<number> {
  const isFile = typeof request.source === "string" && (await isReadTwice(request.source));
  if (typeof request.source !== "string" || !isFile) {
    throw new ClusterIpError(
      "CLUSTERIP_USAGE",
      "A capture from a pipe can be read only once: say with --vip which address is the virtual IP.",
    );
  }
  return findVirtualIp(readCapture(await chunksOf(request, "find-virtual-ip")));
}

async function chunksOf(
  request: ReplayRequest,
  phase: ReplayProgress["phase"],
): Promise<AsyncIterable<Uint8Array>> {
  const { source, onProgress } = request;
  const chunks = typeof source === "string" ? readFileChunks(source) : source;
  if (onProgress === undefined) return chunks;
  const bytesTotal = typeof source === "string" ? await sizeOf(source) : undefined;
  return reportingProgress(chunks, (bytesRead) => onProgress({ phase, bytesRead, bytesTotal }));
}

/** Not so a FIFO, which waits for its next writer when it is opened again, nor what is no file at all. */
async function isReadTwice(path: string): Promise<boolean> {
  const status = await stat(path).catch(() => undefined);
  // What cannot be looked at is told better by who reads it.
  return status === undefined || status.isFile() || status.isDirectory();
}

/** Undefined for a FIFO and for a file that cannot be read, which reading it will report better. */
async function sizeOf(path: string): Promise<number | undefined> {
  const status = await stat(path).catch(() => undefined);
  return status?.isFile() === true ? status.size : undefined;
}

async function* reportingProgress(
  chunks: AsyncIterable<Uint8Array>,
  report: (bytesRead: number) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  let bytesRead = 0;
  for await (const chunk of chunks) {
    bytesRead += chunk.length;
    report(bytesRead);
    yield chunk;
  }
}

/** Reasons that a frame cut by the snap length may have although the frame on the wire was whole. */
const reasonsOfCut: ReadonlySet<Reason> = new Set([
  "ethernet-truncated",
  "ipv4-truncated",
  "ipv4-header-length",
  "ports-truncated",
  "icmp-truncated",
  "icmp-inner-truncated",
]);

const OTHER_HOST: Classification = { verdict: "not-ours", reason: "other-host" };
const NOT_IPV4: Classification = { verdict: "not-ours", reason: "not-ipv4" };
/** Interfaces and link types to tell apart before a warning has enough of them. */
const MAX_REMEMBERED = 16;

class ReplayRun {
  readonly #settings: HashSettings;
  readonly #ownership: Ownership;
  readonly #targets: ReadonlyMap<number, ClassifyTarget>;
  /** Judges the frames that are for none of the virtual IPs: the reason is the same for each. */
  readonly #anyTarget: ClassifyTarget;
  readonly #tallies: ReadonlyMap<number, VirtualIpTally>;
  readonly #total = new FrameCounter();
  readonly #cut = new FrameCounter();
  readonly #unsupported = new FrameCounter();
  readonly #reasons = new ReasonTally();
  readonly #flows: FlowTable;
  readonly #unknownLinkTypes = new Set<number>();
  readonly #interfaces = new Set<number>();
  readonly #warnings: string[] = [];
  #firstNs: bigint | undefined;
  #lastNs: bigint | undefined;

  constructor(addresses: readonly number[], settings: HashSettings, ownership: Ownership, flows: FlowTable) {
    this.#flows = flows;
    this.#settings = settings;
    this.#ownership = ownership;
    const localBuckets = allBuckets(settings.bucketCount);
    const targets = addresses.map((address) => ({ address, ...settings, localBuckets }));
    this.#targets = new Map(targets.map((target) => [target.address, target]));
    this.#anyTarget = targets[0] ?? { address: 0, ...settings, localBuckets };
    this.#tallies = new Map(addresses.map((address) => [address, new VirtualIpTally(address, ownership)]));
  }

  warn(warning: CaptureWarning): void {
    this.#warnings.push(warning.message);
  }

  add(record: CaptureRecord): void {
    const bytes = record.originalLength;
    this.#total.add(bytes);
    this.#firstNs ??= record.timestampNs;
    this.#lastNs = record.timestampNs;

    const frame = linkFrameOf(record);
    if (frame === undefined) {
      this.#unsupported.add(bytes);
      if (this.#unknownLinkTypes.size < MAX_REMEMBERED) this.#unknownLinkTypes.add(record.linkType);
      return;
    }
    const addresses =
      frame.ipv4Offset === undefined ? undefined : ipv4Addresses(frame.data, frame.ipv4Offset);
    const sender = addresses === undefined ? undefined : this.#tallies.get(addresses.source);
    if (sender !== undefined) {
      sender.outgoing.add(bytes);
      return;
    }
    this.#judge(frame, addresses?.destination, bytes);
  }

  #judge(frame: LinkFrame, destination: number | undefined, bytes: number): void {
    const target = destination === undefined ? undefined : this.#targets.get(destination);
    const isCut = frame.data.length < frame.originalLength;
    const data = isCut ? shortenedToCapture(frame) : frame.data;
    const classification = classificationOf(frame, data, target ?? this.#anyTarget);
    if (isCut && reasonsOfCut.has(classification.reason)) {
      this.#cut.add(bytes);
      return;
    }
    this.#reasons.add(classification.reason, bytes);
    if (destination === undefined || target === undefined) return;
    if (this.#interfaces.size < MAX_REMEMBERED) this.#interfaces.add(frame.interfaceKey);
    let isNewFlow = false;
    if (classification.bucket !== undefined) {
      const key = flowKey(data.subarray(frame.ipv4Offset));
      isNewFlow = key !== undefined && this.#flows.isNew(key);
    }
    this.#tallies.get(destination)?.add(classification, bytes, isNewFlow);
  }

  report(isVirtualIpGiven: boolean): Replay {
    return {
      settings: this.#settings,
      ownership: this.#ownership,
      isVirtualIpGiven,
      total: { frames: this.#total.frames, bytes: this.#total.bytes },
      firstNs: this.#firstNs,
      lastNs: this.#lastNs,
      reasons: this.#reasons.counts(),
      cut: { frames: this.#cut.frames, bytes: this.#cut.bytes },
      unsupported: { frames: this.#unsupported.frames, bytes: this.#unsupported.bytes },
      virtualIps: Array.from(this.#tallies.values(), (tally) => tally.report()),
      flowsAreComplete: this.#flows.isComplete,
      warnings: [...this.#warnings, ...this.#ownWarnings()],
    };
  }

  *#ownWarnings(): Generator<string, void, undefined> {
    if (this.#unsupported.frames > 0) {
      yield `${countOf(this.#unsupported.frames, "frame")} of link type ${listOf([...this.#unknownLinkTypes])} ` +
        "could not be read: Ethernet (1), raw IP (101, 228) and Linux cooked (113, 276) are understood.";
    }
    if (this.#cut.frames > 0) {
      yield `${countOf(this.#cut.frames, "frame")} could not be judged: the capture's snap length cut off what ` +
        "the verdict needs. Capture with tcpdump -s 0.";
    }
    if (this.#interfaces.size > 1) {
      yield `Frames to the virtual IP were captured on ${this.#interfaces.size} interfaces: a frame seen on two of ` +
        "them counts twice. Capture on the cluster's interface alone.";
    }
    for (const [address, tally] of this.#tallies) {
      const { everyNode, buckets, outgoing } = tally.report();
      if (everyNode.frames > 0 || buckets.some(({ frames }) => frames > 0)) continue;
      yield outgoing.frames > 0
        ? `The capture holds replies of ${formatIpv4(address)} and nothing that a node would accept for it.`
        : `The capture holds nothing that a node would accept for ${formatIpv4(address)}.`;
    }
    if (!this.#flows.isComplete)
      yield "There are more flows than are remembered: their numbers are lower bounds.";
  }
}

function classificationOf(frame: LinkFrame, data: Uint8Array, target: ClassifyTarget): Classification {
  if (frame.kind === "other") return NOT_IPV4;
  if (frame.kind === "ipv4" && frame.isOtherHost) return OTHER_HOST;
  return classify(data, target, { layer: frame.kind });
}

/**
 * A frame that the snap length cut is not malformed, but its total length says more than is
 * there. This makes it a whole packet of what was captured: nothing behind the ports takes part
 * in the verdict. A total length that the frame on the wire did not have either is left alone.
 */
function shortenedToCapture(frame: LinkFrame): Uint8Array {
  const { data, ipv4Offset, originalLength } = frame;
  if (ipv4Offset === undefined || data.length < ipv4Offset + 4) return data;
  const captured = data.length - ipv4Offset;
  const totalLength = new DataView(data.buffer, data.byteOffset + ipv4Offset, 4).getUint16(2);
  if (totalLength <= captured || totalLength > originalLength - ipv4Offset) return data;
  const shortened = Uint8Array.from(data);
  new DataView(shortened.buffer, ipv4Offset, 4).setUint16(2, captured);
  return shortened;
}
