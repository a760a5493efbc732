/** What a starting daemon serves: its configuration file, and what was in force when the last one ended. */
import { messageOf } from "../core/errors.ts";
import type { Log } from "./log.ts";
import { haveSameBuckets, type ServedVirtualIp } from "./resolve.ts";
import type { SavedVirtualIp } from "./state-file.ts";

/**
 * The configuration file wins over what was saved, with one exception, the same as at a reload:
 * where it asks for the buckets that it asked for before, those that were moved since stay where they are.
 * A virtual IP that came by request comes back; one that no longer fits the host is left out, and
 * whoever asked for it (a monitor) finds it missing.
 */
export function restore(
  configured: ReadonlyMap<number, ServedVirtualIp>,
  saved: readonly SavedVirtualIp[],
  resolve: (saved: SavedVirtualIp) => ServedVirtualIp,
  log: Log,
): Map<number, ServedVirtualIp> {
  const next = new Map(configured);
  for (const entry of saved) {
    const { addressHost, vip } = entry.settings;
    const wanted = configured.get(addressHost);
    if (wanted !== undefined) {
      if (isUnchanged(entry, wanted)) {
        next.set(addressHost, { ...wanted, localNodes: entry.settings.localNodes });
      }
      continue;
    }
    if (entry.origin === "config") continue;
    try {
      next.set(addressHost, resolve(entry));
    } catch (error) {
      log.error({ vip, error: messageOf(error) }, "what was served before cannot be served any more");
    }
  }
  return next;
}

function isUnchanged(saved: SavedVirtualIp, wanted: ServedVirtualIp): boolean {
  return (
    saved.origin === "config" &&
    String(saved.asked) === String(wanted.settings.localNodes) &&
    haveSameBuckets(saved.settings, wanted.settings)
  );
}
