/**
 * The packet paths of the virtual IPs: which engine is attached to what, on which interface, and what it has counted.
 *
 * Wanted: of each virtual IP in force its engine with its buckets, bound to the interface that has the name now. Had is
 * what the engines say; a dead daemon's programs are taken away where nothing goes on with them.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../core/errors.ts";
import {
  deviceOf,
  type Engine,
  isJudging,
  type NicCounters,
  type VirtualIpCounters,
} from "../../engine/engine.ts";
import type { EngineSet } from "../../engine/engine-set.ts";
import type { Link } from "../../host/ip.ts";
import type { Address } from "../../model/address.ts";
import type { BucketSet } from "../../model/bucket-set.ts";
import { type EngineName, toEngine } from "../../model/virtual-ip.ts";
import { inForce, type ServedMap, type ServedVirtualIp } from "../asked.ts";
import type { Log } from "../log.ts";
import type { Repairs } from "../repairs.ts";
import type { Links } from "./links.ts";
import { removeStalePrograms } from "./stale-programs.ts";

/** For so long a change waits for counters that are told meanwhile: what is withdrawn is to be silent soon. */
const HOLD_MS = 500;

/** An engine at work on an interface. */
export interface Binding {
  readonly nic: string;
  readonly engine: EngineName;
}

/** The packet path itself is not as it must be. */
export type EngineBreakage =
  | { readonly code: "engine-unbound" | "program-missing"; readonly nic: string }
  | { readonly code: "engine-stuck"; readonly error: string };

/** What an engine tells of an interface. */
export interface BindingState extends Binding, NicCounters {
  /** undefined while the interface does not exist */
  readonly ifindex: number | undefined;
}

/** What engines told of virtual IPs and interfaces that a change may have taken from them by now. */
interface Held {
  readonly virtualIps: ReadonlyMap<Address, VirtualIpCounters>;
  /** by {@link nameOf} */
  readonly bindings: ReadonlyMap<string, BindingState>;
}

const nothingHeld: Held = { virtualIps: new Map(), bindings: new Map() };

export class Programs {
  readonly #engines: EngineSet;
  readonly #links: Links;
  readonly #repairs: Repairs;
  readonly #log: Log;
  #held = nothingHeld;

  constructor(engines: EngineSet, links: Links, repairs: Repairs, log: Log) {
    this.#engines = engines;
    this.#links = links;
    this.#repairs = repairs;
    this.#log = log;
  }

  /** Nothing but such an engine keeps the host's stack from the frames of an address that it has. */
  judgesInPlace({ engine }: Pick<ServedVirtualIp, "engine">): boolean {
    return this.#engines.of(engine).placement === "in-place";
  }

  /** Of the engine of the virtual IP: the device that has its address, too. */
  deviceOf({ engine }: Pick<ServedVirtualIp, "engine">): string | undefined {
    return deviceOf(this.#engines.of(engine));
  }

  async attach(virtualIp: ServedVirtualIp): Promise<void> {
    const engine = this.#engineOf(virtualIp);
    const { nic } = virtualIp.settings;
    await engine.attach(toEngine(inForce(virtualIp)));
    const ifindex = this.#links.of(nic)?.ifindex;
    if (engine.boundIfindex(nic) !== ifindex) await engine.bindNic(nic, ifindex);
  }

  async detach(virtualIp: ServedVirtualIp): Promise<void> {
    await this.#engineOf(virtualIp).detach(virtualIp.settings.address, virtualIp.settings.nic);
  }

  /** In force for the next frame. */
  async setBuckets(virtualIp: ServedVirtualIp, buckets: BucketSet): Promise<void> {
    await this.#engineOf(virtualIp).setBuckets(virtualIp.settings.address, buckets);
  }

  /** An engine that judges in place goes on as the guard of an address that is still there. */
  async silence(virtualIp: ServedVirtualIp): Promise<void> {
    if (this.judgesInPlace(virtualIp)) await this.setBuckets(virtualIp, []);
    else await this.detach(virtualIp);
  }

  /** Programs that a dead daemon left and this one goes on with accept what that one served besides, too. */
  async removeStaleVirtualIps(): Promise<void> {
    await this.#engines.removeStaleVirtualIps();
  }

  /** Takes a dead daemon's programs off, except where `keep` goes on with them. */
  async removeStale(keep: ServedMap): Promise<void> {
    const adopting = [...keep.values()].filter(
      (virtualIp) => this.#engineOf(virtualIp).capabilities.outlivesDaemon,
    );
    const kept = new Set(adopting.map(({ settings }) => settings.nic));
    for (const link of this.#links.known) if (!kept.has(link.name)) await this.#removeStaleOf(link);
  }

  async #removeStaleOf(link: Link): Promise<void> {
    const { name: nic } = link;
    try {
      const removal = await removeStalePrograms(link, (ifindex) => this.#engines.removePrograms(ifindex));
      if (removal.outcome === "unknown") this.#log.warn({ nic }, removal.why);
      else if (removal.outcome === "removed")
        this.#log.warn({ nic }, "removed the programs of a dead daemon");
    } catch (error) {
      // One of many interfaces, on which perhaps nothing is served: no reason to serve nothing at all.
      this.#log.error({ nic, error: messageOf(error) }, "the programs of a dead daemon are not removed");
    }
  }

  /** Binds the engine to the interface that has the name now, and puts back what that has lost. */
  async repair({ nic, engine: name }: Binding): Promise<void> {
    const engine = this.#engines.of(name);
    const ifindex = this.#links.of(nic)?.ifindex;
    if (engine.boundIfindex(nic) === ifindex) {
      const { restored } = await engine.restoreNic(nic);
      if (restored === "programs") this.#repairs.count({ kind: "program", nic });
      else if (restored === "capture") this.#repairs.count({ kind: "nic", nic });
      return;
    }
    await engine.bindNic(nic, ifindex);
    if (ifindex === undefined) this.#log.warn({ nic }, "the interface is gone; waiting for it");
    else this.#repairs.count({ kind: "nic", nic, ifindex });
  }

  /** Whether every engine whose program others can take away has it in place; cheap. */
  async areJudging(served: ServedMap): Promise<boolean> {
    for (const { nic, engine } of bindingsOf(served)) {
      if (!(await isJudging(this.#engines.of(engine), nic))) return false;
    }
    return true;
  }

  /** What keeps the engine from judging what comes by the interface; undefined when nothing does. */
  async whyBroken({ nic, engine }: Binding): Promise<EngineBreakage | undefined> {
    const link = this.#links.of(nic);
    if (link === undefined || this.#engines.of(engine).boundIfindex(nic) !== link.ifindex) {
      return { code: "engine-unbound", nic };
    }
    if (!(await isJudging(this.#engines.of(engine), nic))) return { code: "program-missing", nic };
    return this.whyStuck([{ nic, engine }]);
  }

  /** Asks the packet path of each interface for its counters: an answer is a sign of life. */
  async whyStuck(bindings: Iterable<Binding>): Promise<EngineBreakage | undefined> {
    try {
      for (const { nic, engine } of bindings) await this.#engines.of(engine).nicCounters(nic);
      return undefined;
    } catch (error) {
      return { code: "engine-stuck", error: messageOf(error) };
    }
  }

  async countersOf(virtualIp: ServedVirtualIp): Promise<VirtualIpCounters> {
    const { address } = virtualIp.settings;
    return this.#held.virtualIps.get(address) ?? this.#engineOf(virtualIp).counters(address);
  }

  async stateOf(binding: Binding): Promise<BindingState> {
    const { nic, engine: name } = binding;
    const engine = this.#engines.of(name);
    const ifindex = engine.boundIfindex(nic);
    return (
      this.#held.bindings.get(nameOf(binding)) ?? {
        ...{ nic, engine: name, ifindex },
        ...(await engine.nicCounters(nic)),
      }
    );
  }

  /** Another object when what is held has changed, and what was read before may be of either side. */
  get held(): object {
    return this.#held;
  }

  /**
   * What the change at hand changes in its engine tells the counters that it has now, until {@link release}. A packet path
   * that does not answer is no reason not to change it, or to do so late.
   */
  async hold(changing: readonly ServedVirtualIp[]): Promise<void> {
    if (changing.length === 0) return;
    const virtualIps = new Map<Address, VirtualIpCounters>();
    const bindings = new Map<string, BindingState>();
    const read = async (): Promise<void> => {
      for (const virtualIp of changing) {
        virtualIps.set(virtualIp.settings.address, await this.countersOf(virtualIp));
      }
      const served = new Map(changing.map((virtualIp) => [virtualIp.settings.address, virtualIp]));
      for (const binding of bindingsOf(served)) bindings.set(nameOf(binding), await this.stateOf(binding));
    };
    await Promise.race([read().catch(() => {}), sleep(HOLD_MS, undefined, { ref: false })]);
    this.#held = { virtualIps: new Map(virtualIps), bindings: new Map(bindings) };
  }

  /** What is in force is with its engines again. */
  release(): void {
    this.#held = nothingHeld;
  }

  #engineOf({ engine }: ServedVirtualIp): Engine {
    return this.#engines.of(engine);
  }
}

/** Which engines are at work where, in the order of the interfaces' names. */
export function bindingsOf(served: ServedMap): readonly Binding[] {
  const byName = new Map(
    [...served.values()].map(({ settings: { nic }, engine }) => [nameOf({ nic, engine }), { nic, engine }]),
  );
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, binding]) => binding);
}

const nameOf = ({ nic, engine }: Binding): string => `${nic} ${engine}`;
