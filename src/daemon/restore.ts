/** What a starting daemon is asked to serve: its configuration file, and what was in force when the last one ended. */
import type { VirtualIpSettings } from "../settings/virtual-ip.ts";
import { type AskedVirtualIp, haveSameBuckets } from "./resolve.ts";
import type { SavedVirtualIp } from "./state-file.ts";

/**
 * The configuration file takes precedence over what was saved, with one exception, the same as at a reload:
 * where it asks for the buckets that it asked for before, those that were moved since stay where they are.
 * A virtual IP that came by request comes back.
 *
 * @returns by address, host order
 */
export function restore(
  configured: readonly VirtualIpSettings[],
  saved: readonly SavedVirtualIp[],
): Map<number, AskedVirtualIp> {
  const asked = new Map<number, AskedVirtualIp>();
  for (const settings of configured) {
    asked.set(settings.addressHost, { settings, origin: "config", localBuckets: settings.localBuckets });
  }
  for (const entry of saved) {
    const { addressHost, localBuckets, nic } = entry.settings;
    const wanted = asked.get(addressHost);
    const isSameNic = (wanted?.settings.nic ?? nic) === nic;
    const before = isSameNic && !entry.isWaiting ? { wasServed: true } : {};
    if (wanted === undefined) {
      if (entry.origin === "config") continue;
      asked.set(addressHost, {
        settings: { ...entry.settings, localBuckets: entry.asked },
        origin: "request",
        localBuckets,
        ...before,
      });
    } else {
      const moved = isUnchanged(entry, wanted.settings) ? { localBuckets } : {};
      asked.set(addressHost, { ...wanted, ...moved, ...before });
    }
  }
  return asked;
}

function isUnchanged({ origin, asked, settings }: SavedVirtualIp, wanted: VirtualIpSettings): boolean {
  return (
    origin === "config" && String(asked) === String(wanted.localBuckets) && haveSameBuckets(settings, wanted)
  );
}
