/**
 * The library: CLUSTERIP's hash, buckets, verdicts and cluster MAC as pure functions, for
 * programs and tests that need the reference. It loads no native code and needs no privilege.
 */
export {
  bucketOf,
  bucketOfHash,
  type Flow,
  type HashMode,
  type HashSettings,
  hashModes,
  hashOf,
  hashWords,
  type ProtocolName,
  portsOffset,
  portWireLittleEndian,
  protocolNumbers,
} from "./core/bucket.ts";
export {
  type Classification,
  type ClassifyOptions,
  type ClassifyTarget,
  classify,
  type PacketType,
} from "./core/classify.ts";
export { deriveClusterMac } from "./core/cluster-mac.ts";
export { ClusterIpError, type ErrorCode, errorCatalogue } from "./core/errors.ts";
export { broadcastOf, formatIpv4, parseIpv4 } from "./core/ipv4.ts";
export { jhash1word, jhash2words, jhash3words } from "./core/jhash.ts";
export { formatMac, parseClusterMac, parseMac } from "./core/mac.ts";
export { type Reason, reasonCatalogue, type Verdict, verdicts } from "./core/verdict.ts";
