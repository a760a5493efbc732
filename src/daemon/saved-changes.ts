/**
 * Changes of what is asked for. Each is saved for the next start before it is in force: one that cannot be saved is
 * refused, and one that fails leaves the saved state as it was. What the host cannot serve yet waits, and is tried again.
 */
import { messageOf } from "../core/errors.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import type { Link } from "../host/ip.ts";
import type { Address } from "../model/address.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import { inKernelWords } from "../model/kernel-words.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import {
  type Asked,
  type AskedVirtualIp,
  isWaiting,
  type ServedVirtualIp,
  type WaitingVirtualIp,
  withAsked,
  withoutAsked,
} from "./asked.ts";
import type { Log } from "./log.ts";
import type { Ownership } from "./ownership.ts";
import type { Problem } from "./problems.ts";
import { isMissingOnHost, resolveOrWait, toRefusal } from "./resolve.ts";
import type { Links } from "./resources/links.ts";
import { restore } from "./restore.ts";
import type { Serving } from "./serving.ts";

/** Between two tries of what the host refused; what it merely lacks is looked for at every look. */
const RETRY_MS = 10_000;

interface Resolved {
  readonly served: Map<Address, ServedVirtualIp>;
  readonly waiting: Map<Address, WaitingVirtualIp>;
}

export class SavedChanges {
  readonly #serving: Serving;
  readonly #ownership: Ownership;
  readonly #links: Links;
  readonly #engines: EngineSet;
  readonly #log: Log;
  #retryAt = 0;

  constructor(serving: Serving, ownership: Ownership, links: Links, engines: EngineSet, log: Log) {
    this.#serving = serving;
    this.#ownership = ownership;
    this.#links = links;
    this.#engines = engines;
    this.#log = log;
  }

  /**
   * Serves the configuration and what was saved, as far as the host can; the rest waits. What a dead daemon left and
   * nobody asks for any more is removed.
   */
  async start(configured: readonly VirtualIp[]): Promise<void> {
    const saved = this.#ownership.readSaved();
    const asked = restore(configured, saved);
    const wasOurs = new Set(saved.flatMap((v) => (v.isAdopted || v.isWaiting ? [] : [v.settings.address])));
    // The interface on which a dead daemon's programs may still accept it, by its own name: an alternative one is not saved.
    const wasThere = new Map(
      saved.flatMap(({ isWaiting: waited, settings }) => (waited ? [] : [[settings.address, settings.nic]])),
    );
    const { served, waiting } = await this.#resolveAll(asked.values(), await this.#links.look());
    const wanted = new Map<Address, ServedVirtualIp>();
    for (const [address, resolved] of served) {
      // Our mark on it may have been lost with the daemon.
      const virtualIp = wasOurs.has(address) ? { ...resolved, isAdopted: false } : resolved;
      served.set(address, virtualIp);
      const mayBeElsewhere = wasThere.get(address) !== virtualIp.settings.nic;
      wanted.set(address, { ...virtualIp, mayBeElsewhere });
    }
    await this.#serving.removeStale(served);
    try {
      await this.#serving.change({ served: wanted, waiting });
      // It is nowhere else now.
      this.#ownership.set({ ...this.#ownership.now, served });
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "not all can be served together; trying one by one");
      await this.#serving.removeStale(new Map());
      this.#ownership.set({ ...this.#ownership.now, waiting });
      await this.#serveEach(served.values());
    }
    for (const virtualIp of this.#ownership.waiting.values()) this.#logWaiting(virtualIp);
    this.#ownership.saveAtStart();
  }

  /** Makes `next` what is asked for; on failure everything is as it was. */
  async change(next: Asked): Promise<void> {
    this.#ownership.save(next);
    try {
      await this.#serving.change(next);
    } catch (error) {
      this.#ownership.saveAgain();
      throw error;
    }
  }

  /** Asks for one more, which the host can serve. */
  async add(virtualIp: ServedVirtualIp): Promise<void> {
    await this.change(withAsked(this.#ownership.now, virtualIp));
  }

  /** Asks for it no longer. @returns what is left of it for now */
  async remove(address: Address): Promise<readonly Problem[]> {
    const isServed = this.#ownership.served.has(address);
    const next = withoutAsked(this.#ownership.now, address);
    this.#ownership.save(next);
    if (isServed) return this.#serving.withdraw(next);
    this.#ownership.set(next);
    return [];
  }

  /** A move of buckets, which starts no process; it is in force when this resolves. */
  async setBuckets(address: Address, localBuckets: BucketSet): Promise<void> {
    const virtualIp = this.#ownership.find(address);
    if (virtualIp === undefined) return;
    const next = withAsked(this.#ownership.now, { ...virtualIp, localBuckets });
    this.#ownership.save(next);
    try {
      if (!isWaiting(virtualIp)) await this.#serving.setBuckets(virtualIp, localBuckets);
    } catch (error) {
      this.#ownership.saveAgain();
      throw error;
    }
    this.#ownership.set(next);
  }

  /** Serves what waits and can be served by now; after each look at the host. */
  async serveWaiting(): Promise<void> {
    const before = this.#ownership.waiting;
    if (before.size > 0) {
      const triesAll = performance.now() >= this.#retryAt;
      const due = [...before.values()].filter(({ why }) => triesAll || isMissingOnHost(why));
      if (triesAll) this.#retryAt = performance.now() + RETRY_MS;
      const { served, waiting } = await this.#resolveAll(due, this.#links.known);
      this.#ownership.set({ ...this.#ownership.now, waiting: new Map([...before, ...waiting]) });
      await this.#serveEach(served.values());
      for (const [address, virtualIp] of this.#ownership.waiting) {
        if (!isSameRefusal(before.get(address), virtualIp)) this.#logWaiting(virtualIp);
      }
    }
    this.#ownership.saveIfChanged();
  }

  async #resolveAll(asked: Iterable<AskedVirtualIp>, links: readonly Link[]): Promise<Resolved> {
    const served = new Map<Address, ServedVirtualIp>();
    const waiting = new Map<Address, WaitingVirtualIp>();
    for (const entry of asked) {
      const resolved = await resolveOrWait(entry, links, this.#engines);
      if (isWaiting(resolved)) waiting.set(entry.settings.address, resolved);
      else served.set(entry.settings.address, resolved);
    }
    return { served, waiting };
  }

  /** One by one; those that fail wait. */
  async #serveEach(virtualIps: Iterable<ServedVirtualIp>): Promise<void> {
    for (const virtualIp of virtualIps) {
      const { settings, origin, localBuckets } = virtualIp;
      try {
        await this.#serving.change(withAsked(this.#ownership.now, virtualIp));
        this.#log.info(inKernelWords({ vip: settings.address, nic: settings.nic, localBuckets }), "serving");
      } catch (error) {
        const waits = { settings, origin, localBuckets, why: toRefusal(error) };
        this.#ownership.set(withAsked(this.#ownership.now, waits));
      }
    }
  }

  #logWaiting({ settings: { address: vip }, why }: WaitingVirtualIp): void {
    this.#log.warn({ vip, code: why.code }, `not served yet: ${why.message}`);
  }
}

/** Whether the operator has been told of it. */
function isSameRefusal(before: WaitingVirtualIp | undefined, { why }: WaitingVirtualIp): boolean {
  return before?.why.code === why.code && before.why.message === why.message;
}
