/** A virtual IP as the addons take it. */
import { hashModeNumbers } from "../core/bucket.ts";
import { ipv4Host } from "../model/address.ts";
import { bucketMask } from "../model/bucket-set.ts";
import { macOctets } from "../model/mac.ts";
import type { EngineVirtualIp } from "../model/virtual-ip.ts";
import type { NativeVirtualIp } from "../native.ts";

export function nativeVirtualIp(virtualIp: EngineVirtualIp): NativeVirtualIp {
  const { address, clusterMac, hash, bucketCount, localBuckets } = virtualIp;
  return {
    addressHost: ipv4Host(address),
    clusterMac: macOctets(clusterMac),
    hashMode: hashModeNumbers[hash.words],
    bucketCount,
    hashInit: hash.seed,
    localMask: bucketMask(localBuckets),
  };
}
