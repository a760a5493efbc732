/** A second request for a virtual IP has to mean the same one: the kernel target accepted and ignored other numbers. */
import { ClusterIpError } from "../core/errors.ts";
import type { VirtualIpSettings } from "../settings/virtual-ip.ts";
import type { ServedVirtualIp } from "./resolve.ts";

/**
 * @param wanted whose local buckets do not matter; no MAC and engine `auto` mean whichever is served
 * @throws CLUSTERIP_EXISTS with every setting that differs
 */
export function requireSame(served: ServedVirtualIp, wanted: VirtualIpSettings): void {
  const { settings, clusterMac, engine } = served;
  const pairs: readonly (readonly [name: string, served: unknown, wanted: unknown])[] = [
    ["nic", settings.nic, wanted.nic],
    ["total-nodes", settings.totalNodes, wanted.totalNodes],
    ["hashmode", settings.hashMode, wanted.hashMode],
    ["hash-init", settings.hashInit, wanted.hashInit],
    ["clustermac", clusterMac, wanted.clusterMac ?? clusterMac],
    ["engine", engine, wanted.engine === "auto" ? engine : wanted.engine],
  ];
  const differences = pairs.filter(([, a, b]) => a !== b).map(([name, a, b]) => `${name} ${a}, not ${b}`);
  if (differences.length === 0) return;
  throw new ClusterIpError(
    "CLUSTERIP_EXISTS",
    `${wanted.vip} is served already, with ${differences.join("; ")}: give all its buckets up first ('clusterip del ${wanted.vip}', or stop the resource), then change them.`,
  );
}
