/** What a starting daemon is asked to serve: its configuration file, and what was in force when the last one ended. */
import type { Address } from "../model/address.ts";
import { agree, compare, meaningOfBuckets } from "../model/compare.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import type { AskedVirtualIp } from "./asked.ts";
import type { SavedVirtualIp } from "./state-file.ts";

/**
 * The configuration file takes precedence over what was saved, with one exception, the same as at a reload:
 * where it asks for the buckets that it asked for before, those that were moved since stay where they are.
 * A virtual IP that came by request comes back.
 *
 * @returns by address
 */
export function restore(
  configured: readonly VirtualIp[],
  saved: readonly SavedVirtualIp[],
): Map<Address, AskedVirtualIp> {
  const asked = new Map<Address, AskedVirtualIp>();
  for (const settings of configured) {
    asked.set(settings.address, { settings, origin: "config", localBuckets: settings.localBuckets });
  }
  for (const entry of saved) {
    const { address, localBuckets, nic } = entry.settings;
    const wanted = asked.get(address);
    const isSameNic = (wanted?.settings.nic ?? nic) === nic;
    const before = isSameNic && !entry.isWaiting ? { wasServed: true } : {};
    if (wanted === undefined) {
      if (entry.origin === "config") continue;
      asked.set(address, {
        settings: { ...entry.settings, localBuckets: entry.asked },
        origin: "request",
        localBuckets,
        ...before,
      });
    } else {
      const moved = isUnchanged(entry, wanted.settings) ? { localBuckets } : {};
      asked.set(address, { ...wanted, ...moved, ...before });
    }
  }
  return asked;
}

function isUnchanged({ origin, asked, settings }: SavedVirtualIp, wanted: VirtualIp): boolean {
  const differences = compare({ ...settings, localBuckets: asked }, wanted);
  return origin === "config" && agree(differences, "localBuckets", ...meaningOfBuckets);
}
