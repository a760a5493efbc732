/**
 * The library: CLUSTERIP's hash, buckets, verdicts and cluster MAC as pure functions, for
 * programs and tests that need the reference. It loads no native code and needs no privilege.
 */
import { bucketOf as bucketOfFlow, type Flow, type HashSettings as OurHashSettings } from "./core/bucket.ts";
import {
  type Classification,
  type ClassifyOptions,
  classify as classifyFrame,
  type ClassifyTarget as OurClassifyTarget,
} from "./core/classify.ts";
import { hashInOurWords, type InKernelWords, targetInOurWords } from "./model/kernel-words.ts";

export {
  bucketOfHash,
  type Flow,
  type HashMode,
  hashModes,
  hashOf,
  hashWords,
  type ProtocolName,
  portsOffset,
  portWireLittleEndian,
  protocolNumbers,
} from "./core/bucket.ts";
export type { Classification, ClassifyOptions, PacketType } from "./core/classify.ts";
export { deriveClusterMac } from "./core/cluster-mac.ts";
export { ClusterIpError, type ErrorCode, errorCatalogue } from "./core/errors.ts";
export { broadcastOf, formatIpv4, parseIpv4 } from "./core/ipv4.ts";
export { jhash1word, jhash2words, jhash3words } from "./core/jhash.ts";
export { formatMac, parseClusterMac, parseMac } from "./core/mac.ts";
export { type Reason, reasonCatalogue, type Verdict, verdicts } from "./core/verdict.ts";

/** What the hash needs of a virtual IP's settings: `hashMode`, `totalNodes` (1 to 16) and `hashInit`. */
export interface HashSettings extends InKernelWords<OurHashSettings> {}

/** A virtual IP as the verdict sees it: {@link HashSettings}, `address` (host order) and `localNodes`. */
export interface ClassifyTarget extends InKernelWords<OurClassifyTarget> {}

/** The bucket of a flow, 1 to `totalNodes`. */
export function bucketOf(flow: Flow, settings: HashSettings): number {
  return bucketOfFlow(flow, hashInOurWords(settings));
}

/** Judges a frame, or an IPv4 packet, that arrived on the virtual IP's interface. Never throws. */
export function classify(
  frame: Uint8Array,
  target: ClassifyTarget,
  options: ClassifyOptions = {},
): Classification {
  return classifyFrame(frame, targetInOurWords(target), options);
}
