/**
 * Everything that this host is asked to serve: what it serves, and what waits until the host has what it takes. Saved
 * for the next start before a change is in force: a change that cannot be saved is refused, and one that fails leaves
 * the saved state as it was.
 */
import { messageOf } from "../core/errors.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import type { Link } from "../host/ip.ts";
import type { Address } from "../model/address.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import { inKernelWords } from "../model/kernel-words.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import type { Log } from "./log.ts";
import { type HostProblem, waitingProblem } from "./problems.ts";
import type { BridgesBefore } from "./reach-keeper.ts";
import {
  type AskedVirtualIp,
  isMissingOnHost,
  isWaiting,
  resolveOrWait,
  type ServedMap,
  type ServedVirtualIp,
  toRefusal,
  type WaitingMap,
  type WaitingVirtualIp,
} from "./resolve.ts";
import { restore } from "./restore.ts";
import type { Serving } from "./serving.ts";
import type { StateFile } from "./state-file.ts";

/** Between two tries of what the host refused; what it merely lacks is looked for at every look. */
const RETRY_MS = 10_000;

export class SavedServing {
  readonly #serving: Serving;
  readonly #engines: EngineSet;
  readonly #state: StateFile;
  readonly #log: Log;
  #waiting: WaitingMap = new Map();
  #retryAt = 0;
  /** what is in the state file; undefined: not known */
  #saved: ServedMap | undefined;
  #savedBridges: BridgesBefore | undefined;

  constructor(serving: Serving, engines: EngineSet, state: StateFile, log: Log) {
    this.#serving = serving;
    this.#engines = engines;
    this.#state = state;
    this.#log = log;
  }

  get waiting(): WaitingMap {
    return this.#waiting;
  }

  /** Served and waiting ones together. */
  get all(): readonly (ServedVirtualIp | WaitingVirtualIp)[] {
    return [...this.#serving.current.values(), ...this.#waiting.values()];
  }

  find(address: Address): ServedVirtualIp | WaitingVirtualIp | undefined {
    return this.#serving.current.get(address) ?? this.#waiting.get(address);
  }

  /** What is wrong now, with what waits. */
  get problems(): readonly HostProblem[] {
    return [...this.#serving.problems, ...[...this.#waiting.values()].map(waitingProblem)];
  }

  /**
   * Serves the configuration and what was saved, as far as the host can; the rest waits. What a dead daemon left and
   * nobody asks for any more is removed.
   */
  async start(configured: readonly VirtualIp[]): Promise<void> {
    const saved = this.#state.read();
    const asked = restore(configured, saved);
    this.#serving.rememberBridges(this.#state.readBridges());
    const wasOurs = new Set(saved.flatMap((v) => (v.isAdopted || v.isWaiting ? [] : [v.settings.address])));
    const links = await this.#serving.lookAtLinks();
    const { served, waiting } = await this.#resolveAll(asked.values(), links);
    for (const [address, virtualIp] of served) {
      // Our mark on it may have been lost with the daemon.
      if (wasOurs.has(address)) served.set(address, { ...virtualIp, isAdopted: false });
    }
    await this.#serving.removeStale(served);
    // The interface on which a dead daemon's programs may still accept it, by its own name: an alternative one is not saved.
    const wasThere = new Map(
      saved.flatMap(({ isWaiting: waited, settings }) => (waited ? [] : [[settings.address, settings.nic]])),
    );
    try {
      await this.#serving.change(served, ({ settings }) => wasThere.get(settings.address) !== settings.nic);
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "not all can be served together; trying one by one");
      await this.#serving.removeStale(new Map());
      await this.#serveEach(served.values(), waiting);
    }
    this.#waiting = waiting;
    for (const virtualIp of waiting.values()) this.#logWaiting(virtualIp);
    this.#saveAtStart();
  }

  /** Makes `served` and `waiting` what is asked for; on failure everything is as it was. */
  async change(served: ServedMap, waiting: WaitingMap = this.#waiting): Promise<void> {
    const previous = this.#serving.current;
    this.#save(served, waiting);
    const leaving = new Set([...previous.keys()].filter((address) => !served.has(address)));
    try {
      // What goes, goes when everything else is in force: until then a failure is undone.
      await this.#serving.change(new Map([...[...previous].filter(([key]) => leaving.has(key)), ...served]));
    } catch (error) {
      this.#saveAgain(previous, this.#waiting);
      throw error;
    }
    this.#waiting = waiting;
    if (leaving.size > 0) await this.#serving.withdraw(leaving);
  }

  /** Asks for it no longer. @returns what is left of it for now, a sentence each */
  async remove(address: Address): Promise<readonly string[]> {
    const without = <T>(map: ReadonlyMap<Address, T>): ReadonlyMap<Address, T> =>
      new Map([...map].filter(([key]) => key !== address));
    const waiting = without(this.#waiting);
    this.#save(without(this.#serving.current), waiting);
    this.#waiting = waiting;
    return this.#serving.current.has(address) ? this.#serving.withdraw(new Set([address])) : [];
  }

  /** A move of buckets, which starts no process. */
  async setBuckets(address: Address, localBuckets: BucketSet): Promise<void> {
    const { current } = this.#serving;
    const waits = this.#waiting.get(address);
    if (waits !== undefined) {
      const waiting = new Map(this.#waiting).set(address, { ...waits, localBuckets });
      this.#save(current, waiting);
      this.#waiting = waiting;
      return;
    }
    const served = current.get(address);
    if (served === undefined) return;
    this.#save(new Map(current).set(address, { ...served, localBuckets }), this.#waiting);
    try {
      await this.#serving.setBuckets(address, localBuckets);
    } catch (error) {
      this.#saveAgain(current, this.#waiting);
      throw error;
    }
    this.#saved = this.#serving.current;
  }

  /** Serves what waits and can be served by now; after each look at the host. */
  async serveWaiting(): Promise<void> {
    if (this.#waiting.size > 0) {
      const triesAll = performance.now() >= this.#retryAt;
      const due = [...this.#waiting.values()].filter(({ why }) => triesAll || isMissingOnHost(why));
      if (triesAll) this.#retryAt = performance.now() + RETRY_MS;
      const { served, waiting } = await this.#resolveAll(due, this.#serving.links);
      const next = new Map([...this.#waiting, ...waiting]);
      for (const address of served.keys()) next.delete(address);
      await this.#serveEach(served.values(), next);
      for (const [address, virtualIp] of next) {
        if (this.#waiting.get(address)?.why.message !== virtualIp.why.message) this.#logWaiting(virtualIp);
      }
      this.#waiting = next;
    }
    // A repair may have changed whose an address is, and what a bridge had before.
    const { current, bridgesBefore } = this.#serving;
    if (this.#saved !== current || this.#savedBridges !== bridgesBefore)
      this.#saveAgain(this.#serving.current, this.#waiting);
  }

  async #resolveAll(
    asked: Iterable<AskedVirtualIp>,
    links: readonly Link[],
  ): Promise<{
    readonly served: Map<Address, ServedVirtualIp>;
    readonly waiting: Map<Address, WaitingVirtualIp>;
  }> {
    const served = new Map<Address, ServedVirtualIp>();
    const waiting = new Map<Address, WaitingVirtualIp>();
    for (const entry of asked) {
      const resolved = await resolveOrWait(entry, links, this.#engines);
      if (isWaiting(resolved)) waiting.set(entry.settings.address, resolved);
      else served.set(entry.settings.address, resolved);
    }
    return { served, waiting };
  }

  /** One by one; `waiting` gets those that fail. */
  async #serveEach(
    virtualIps: Iterable<ServedVirtualIp>,
    waiting: Map<Address, WaitingVirtualIp>,
  ): Promise<void> {
    for (const virtualIp of virtualIps) {
      const { settings, origin, localBuckets } = virtualIp;
      try {
        await this.#serving.change(new Map(this.#serving.current).set(settings.address, virtualIp));
        this.#log.info(inKernelWords({ vip: settings.address, nic: settings.nic, localBuckets }), "serving");
      } catch (error) {
        waiting.set(settings.address, { settings, origin, localBuckets, why: toRefusal(error) });
      }
    }
  }

  #logWaiting({ settings: { address: vip }, why }: WaitingVirtualIp): void {
    this.#log.warn({ vip, code: why.code }, `not served yet: ${why.message}`);
  }

  #save(served: ServedMap, waiting: WaitingMap): void {
    this.#saved = undefined;
    const { bridgesBefore } = this.#serving;
    this.#state.save(served.values(), waiting.values(), bridgesBefore);
    this.#saved = served;
    this.#savedBridges = bridgesBefore;
  }

  /** What is served is right; a state that cannot be written must not keep it from being served. */
  #saveAtStart(): void {
    try {
      this.#save(this.#serving.current, this.#waiting);
      this.#state.forgetReleases();
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "the state is not saved");
    }
  }

  #saveAgain(served: ServedMap, waiting: WaitingMap): void {
    try {
      this.#save(served, waiting);
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "the saved state is not what is served");
    }
  }
}
