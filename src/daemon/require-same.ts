/** A second request for a virtual IP has to mean the same one: the kernel target accepted and ignored other numbers. */
import { ClusterIpError } from "../core/errors.ts";
import { compare } from "../model/compare.ts";
import { type OurSetting, settingNames } from "../model/kernel-words.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { inForce, isWaiting, type ServedVirtualIp, type WaitingVirtualIp } from "./asked.ts";

/**
 * @param wanted whose local buckets do not matter; no MAC and engine `auto` mean whichever is served
 * @throws CLUSTERIP_EXISTS with every setting that differs
 */
export function requireSame(served: ServedVirtualIp, wanted: VirtualIp): void {
  const engine = wanted.engine === "auto" ? served.engine : wanted.engine;
  const differences = describe(inForce(served), { ...wanted, engine }, [...ofBucket, "engine"]);
  if (differences.length === 0) return;
  throw new ClusterIpError(
    "CLUSTERIP_EXISTS",
    `${wanted.address} is served already, with ${differences.join("; ")}: give all its buckets up first ('clusterip del ${wanted.address}', or stop the resource), then change them.`,
  );
}

/**
 * Whether a bucket with these settings is the one that is served: another interface, MAC or hash makes it another
 * resource's, whatever its number. The engine does not.
 *
 * @throws CLUSTERIP_NOT_FOUND with every setting that differs
 */
export function requireSameBucket(
  served: ServedVirtualIp | WaitingVirtualIp,
  wanted: VirtualIp | undefined,
): void {
  const known = isWaiting(served) ? { ...served.settings, clusterMac: undefined } : inForce(served);
  const differences = wanted === undefined ? [] : describe(known, wanted, ofBucket);
  if (differences.length === 0) return;
  throw new ClusterIpError(
    "CLUSTERIP_NOT_FOUND",
    `${served.settings.address} is served with ${differences.join("; ")}: its buckets are somebody else's.`,
  );
}

/** Which bucket of which virtual IP is meant. */
const ofBucket = ["nic", "bucketCount", "hashMode", "hashInit", "clusterMac"] as const;

/** Of the settings, those that differ, half a sentence each; a MAC that one of the two does not know differs from none. */
function describe(served: VirtualIp, wanted: VirtualIp, names: readonly OurSetting[]): readonly string[] {
  const clusterMac = wanted.clusterMac ?? served.clusterMac;
  const differences = compare(
    { ...served, clusterMac: served.clusterMac ?? clusterMac },
    { ...wanted, clusterMac },
  );
  return names.flatMap((name) => {
    const difference = differences.get(name);
    return difference === undefined
      ? []
      : [`${settingNames[name]} ${difference.left}, not ${difference.right}`];
  });
}
