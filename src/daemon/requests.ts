/**
 * What a request for whole virtual IPs means: add, remove, a change of buckets by hand, and the configuration file read
 * again. Each runs as a transaction of the daemon.
 */
import { ClusterIpError } from "../core/errors.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import type { Link } from "../host/ip.ts";
import type { Address } from "../model/address.ts";
import { type BucketSet, changeBuckets, parseBucketChange } from "../model/bucket-set.ts";
import { agree, agreeBut, compare, meaningOfBuckets } from "../model/compare.ts";
import { inKernelWords } from "../model/kernel-words.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { requireRoom } from "../settings/limits.ts";
import {
  type AskedVirtualIp,
  isSetUpAlike,
  isWaiting,
  type ServedVirtualIp,
  type WaitingVirtualIp,
} from "./asked.ts";
import type { Log } from "./log.ts";
import type { Ownership } from "./ownership.ts";
import { describeAll } from "./problem-text.ts";
import { isMissingOnHost, resolveOrWait, resolveVirtualIp } from "./resolve.ts";
import type { Links } from "./resources/links.ts";
import type { SavedChanges } from "./saved-changes.ts";

/** What requests are carried out with. */
export interface RequestParts {
  readonly ownership: Ownership;
  readonly changes: SavedChanges;
  readonly links: Links;
  readonly engines: EngineSet;
  readonly log: Log;
}

export class Requests {
  readonly #parts: RequestParts;

  constructor(parts: RequestParts) {
    this.#parts = parts;
  }

  /** @throws CLUSTERIP_EXISTS, and whatever keeps this host from serving it */
  async add(settings: VirtualIp): Promise<void> {
    const { ownership, changes, links, engines, log } = this.#parts;
    const { address: vip, nic, localBuckets } = settings;
    if (ownership.find(vip) !== undefined) {
      throw new ClusterIpError(
        "CLUSTERIP_EXISTS",
        `${vip} is served already: 'clusterip del ${vip}' removes it, 'clusterip nodes ${vip} +N' adds a bucket.`,
      );
    }
    requireRoom(ownership.served.size);
    await changes.add(await resolveVirtualIp(settings, "request", await links.look(), engines));
    log.info(inKernelWords({ vip, nic, localBuckets }), "added");
  }

  /** Serves it no longer; resolves with what it was. */
  async remove(address: Address): Promise<AskedVirtualIp> {
    const { ownership, changes, log } = this.#parts;
    const removed = ownership.require(address);
    const left = await changes.remove(address);
    if (left.length > 0) {
      const what = `${address} is not served any more, but not everything is removed; that is tried again`;
      throw new ClusterIpError("CLUSTERIP_HOST", `${what}: ${describeAll(left)}`);
    }
    log.info({ vip: address }, "removed");
    return removed;
  }

  /** The local buckets after the change `+N` or `-N`; it is in force when this resolves. */
  async changeBuckets(address: Address, change: string): Promise<BucketSet> {
    const { ownership, changes, log } = this.#parts;
    const { settings, localBuckets } = ownership.require(address);
    const next = changeBuckets(localBuckets, parseBucketChange(change), settings.bucketCount);
    await changes.setBuckets(address, next);
    log.info(inKernelWords({ vip: settings.address, change, localBuckets: next }), "buckets moved");
    return next;
  }

  /**
   * Touches only what differs: buckets moved since, and virtual IPs added by hand, stay. What the host merely lacks is
   * waited for, but not by a virtual IP that is served now; one that it refuses is a reason to change nothing.
   */
  async reload(configured: readonly VirtualIp[]): Promise<void> {
    const { ownership, changes, links, log } = this.#parts;
    const byRequest = <T extends AskedVirtualIp>(map: ReadonlyMap<Address, T>): Map<Address, T> =>
      new Map([...map].filter(([, { origin }]) => origin === "request"));
    const served = byRequest(ownership.served);
    const waiting = byRequest(ownership.waiting);
    const known = await links.look();
    for (const settings of configured) {
      const { address } = settings;
      served.delete(address);
      waiting.delete(address);
      const next = await this.#reloaded(settings, ownership.find(address), known);
      if (!isWaiting(next)) served.set(address, next);
      // What is answered now is not given up for an interface that is not there: that is a slip of the pen.
      else if (!isMissingOnHost(next.why) || ownership.served.has(address)) throw next.why;
      else waiting.set(address, next);
    }
    await changes.change({ served, waiting });
    log.info({ virtualIps: ownership.all.map(({ settings }) => settings.address) }, "reloaded");
  }

  async #reloaded(
    settings: VirtualIp,
    before: ServedVirtualIp | WaitingVirtualIp | undefined,
    links: readonly Link[],
  ): Promise<ServedVirtualIp | WaitingVirtualIp> {
    const { engines } = this.#parts;
    const origin = "config" as const;
    const next = { settings, origin, localBuckets: settings.localBuckets };
    if (before === undefined) return resolveOrWait(next, links, engines);
    // A bucket that was moved is another node's now, also where it would come back with another interface or engine.
    const asked = compare(before.settings, settings);
    const staysMoved = agree(asked, "localBuckets", ...meaningOfBuckets);
    const localBuckets = staysMoved ? before.localBuckets : settings.localBuckets;
    // What is asked for as before stays as it is, even while its interface is away.
    if (!isWaiting(before) && agreeBut(asked, "localBuckets")) {
      return { ...before, settings, origin, localBuckets };
    }
    const wasServed = !isWaiting(before) && before.settings.nic === settings.nic;
    const resolved = await resolveOrWait({ ...next, localBuckets, wasServed }, links, engines);
    if (isWaiting(resolved) || isWaiting(before) || !isSetUpAlike(before, resolved)) return resolved;
    return { ...resolved, isAdopted: before.isAdopted };
  }
}
