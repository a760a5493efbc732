/** A second request for a virtual IP has to mean the same one: the kernel target accepted and ignored other numbers. */
import { ClusterIpError } from "../core/errors.ts";
import { type OurSetting, settingNames } from "../model/kernel-words.ts";
import type { VirtualIpSettings } from "../settings/virtual-ip.ts";
import { isWaiting, type ServedVirtualIp, type WaitingVirtualIp } from "./resolve.ts";

/**
 * @param wanted whose local buckets do not matter; no MAC and engine `auto` mean whichever is served
 * @throws CLUSTERIP_EXISTS with every setting that differs
 */
export function requireSame(served: ServedVirtualIp, wanted: VirtualIpSettings): void {
  const engine = wanted.engine === "auto" ? served.engine : wanted.engine;
  const differences = [
    ...differingSettings(served, wanted),
    ...(engine === served.engine ? [] : [`engine ${served.engine}, not ${engine}`]),
  ];
  if (differences.length === 0) return;
  throw new ClusterIpError(
    "CLUSTERIP_EXISTS",
    `${wanted.vip} is served already, with ${differences.join("; ")}: give all its buckets up first ('clusterip del ${wanted.vip}', or stop the resource), then change them.`,
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
  wanted: VirtualIpSettings | undefined,
): void {
  const clusterMac = isWaiting(served) ? undefined : served.clusterMac;
  const { settings } = served;
  const differences = wanted === undefined ? [] : differingSettings({ settings, clusterMac }, wanted);
  if (differences.length === 0) return;
  throw new ClusterIpError(
    "CLUSTERIP_NOT_FOUND",
    `${served.settings.vip} is served with ${differences.join("; ")}: its buckets are somebody else's.`,
  );
}

function differingSettings(
  { settings, clusterMac }: { settings: VirtualIpSettings; clusterMac: string | undefined },
  wanted: VirtualIpSettings,
): readonly string[] {
  const pairs: readonly (readonly [name: OurSetting, served: unknown, wanted: unknown])[] = [
    ["nic", settings.nic, wanted.nic],
    ["bucketCount", settings.bucketCount, wanted.bucketCount],
    ["hashMode", settings.hashMode, wanted.hashMode],
    ["hashInit", settings.hashInit, wanted.hashInit],
    ["clusterMac", clusterMac ?? wanted.clusterMac, wanted.clusterMac ?? clusterMac],
  ];
  return pairs.filter(([, a, b]) => a !== b).map(([name, a, b]) => `${settingNames[name]} ${a}, not ${b}`);
}
