/** A virtual IP of the verdict's tests as an engine has it. */
import type { ClassifyTarget } from "../../../src/core/classify.ts";
import { ipv4Address } from "../../../src/model/address.ts";
import { toClusterMac } from "../../../src/model/mac.ts";
import type { EngineVirtualIp } from "../../../src/model/virtual-ip.ts";

export function engineVirtualIp(target: ClassifyTarget): EngineVirtualIp {
  const { address, hashMode, hashInit, bucketCount, localBuckets } = target;
  return {
    address: ipv4Address(address),
    nic: "eth0",
    clusterMac: toClusterMac("01:00:5e:00:00:01"),
    hash: { family: "jhash", words: hashMode, seed: hashInit },
    bucketCount,
    localBuckets,
  };
}
