/**
 * What this host serves, and the only code that changes it: addresses, nft tables and engine
 * together, so that a change is in force as a whole or not at all.
 *
 * The order of a change follows from one rule: this host never answers ARP for a virtual IP
 * with its own MAC, and its own stack never sees a frame that the engine did not accept.
 *
 *   engine lets go of the old -> tables for old and new -> addresses: new on, old off
 *     -> tables for the new alone -> engine takes the new
 *
 * With an engine that judges in place there is no guard but the engine itself, so it takes the new
 * before anything else changes, and lets go of the old at the very end. Where it takes over from the
 * other kind, the tables lift the guard: that one has let go by then, or both would deliver.
 */
import { messageOf } from "../core/errors.ts";
import { formatIpv4 } from "../core/ipv4.ts";
import type { NodeSet } from "../core/node-set.ts";
import type { Engine, EngineName } from "../engine/engine.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import { addAddresses, type Link, listLinks, type OwnAddress, removeAddresses } from "../host/ip.ts";
import { applyTables, listTables, renderTables } from "../host/nft.ts";
import { configureTun, tunFilterIsLoose } from "../host/tun.ts";
import { planChange, type ServedMap, type Taking } from "./change-plan.ts";
import { removeLeftPrograms } from "./left-programs.ts";
import type { Log } from "./log.ts";
import { findProblems, type HostProblem } from "./problems.ts";
import type { ServedVirtualIp } from "./resolve.ts";
import { undoable } from "./undoable.ts";

export const repairKinds = ["nft", "address", "nic", "device", "program"] as const;
export type RepairKind = (typeof repairKinds)[number];

export interface RepairRecord {
  count: number;
  lastAt: string | undefined;
}

/** An engine at work on an interface. */
export interface Binding {
  readonly nic: string;
  readonly engine: EngineName;
}

type Step = Parameters<Parameters<typeof undoable>[0]>[0];

export class Serving {
  readonly repairs: Record<RepairKind, RepairRecord> = {
    nft: { count: 0, lastAt: undefined },
    address: { count: 0, lastAt: undefined },
    nic: { count: 0, lastAt: undefined },
    device: { count: 0, lastAt: undefined },
    program: { count: 0, lastAt: undefined },
  };
  readonly #engines: EngineSet;
  readonly #log: Log;
  #current: ServedMap = new Map();
  #change: Promise<void> | undefined;
  #links: readonly Link[] = [];
  #problems: readonly HostProblem[] = [];
  /** the transaction in force, and what nft printed right after it; undefined: not known */
  #tables: { readonly transaction: string; readonly listing: string | undefined } = {
    // Nothing yet: the first change replaces what a dead daemon may have left.
    transaction: "",
    listing: undefined,
  };

  constructor(engines: EngineSet, log: Log) {
    this.#engines = engines;
    this.#log = log;
  }

  get current(): ServedMap {
    return this.#current;
  }

  /** As of the last look; events make us look. */
  get problems(): readonly HostProblem[] {
    return this.#problems;
  }

  /** Which engines are at work where, in the order of the interfaces' names. */
  get bindings(): readonly Binding[] {
    const names = [...this.#current.values()].map(({ settings, engine }) => `${settings.nic} ${engine}`);
    return [...new Set(names)].sort().map((name) => {
      const [nic = "", engine] = name.split(" ");
      return { nic, engine: engine as EngineName };
    });
  }

  /** Whether every engine whose program others can take away has it in place; cheap. */
  isJudging(): boolean {
    return this.bindings.every(({ nic, engine }) => this.#engines.of(engine).isJudging?.(nic) !== false);
  }

  linkOf(nic: string): Link | undefined {
    return this.#links.find(({ name }) => name === nic);
  }

  async lookAtLinks(): Promise<readonly Link[]> {
    this.#links = await listLinks();
    return this.#links;
  }

  /**
   * Takes away what a dead daemon left and `keep` does not want: first the addresses, so that
   * the tables that make them harmless go last (with the next change). Then its programs, except
   * where `keep` goes on with them.
   */
  async sweep(keep: ServedMap): Promise<void> {
    const remains = (await this.lookAtLinks()).flatMap((link) =>
      link.addresses
        .filter((a) => a.isOurs && keep.get(a.addressHost)?.settings.nic !== link.name)
        .map((a) => ({ addressHost: a.addressHost, device: link.name })),
    );
    await removeAddresses(
      remains.map(({ addressHost, device }) => ({ vip: formatIpv4(addressHost), device })),
    );
    const adopting = [...keep.values()].filter((virtualIp) => this.#judgesInPlace(virtualIp));
    const kept = new Set(adopting.map(({ settings }) => settings.nic));
    for (const link of this.#links) if (!kept.has(link.name)) await this.#sweepPrograms(link);
  }

  async #sweepPrograms(link: Link): Promise<void> {
    const { name: nic } = link;
    try {
      const left = await removeLeftPrograms(link, (ifindex) => this.#engines.removePrograms(ifindex));
      if (typeof left === "object") this.#log.warn({ nic }, left.unknown);
      else if (left === "removed") this.#log.warn({ nic }, "removed the programs of a dead daemon");
    } catch (error) {
      // One of many interfaces, on which perhaps nothing is served: no reason to serve nothing at all.
      this.#log.error({ nic, error: messageOf(error) }, "the programs of a dead daemon are not removed");
    }
  }

  /** Amid a change the engines are between what was served and what will be. */
  get isChanging(): boolean {
    return this.#change !== undefined;
  }

  /** Resolves when no change runs, whatever came of it. */
  async settled(): Promise<void> {
    while (this.#change !== undefined) await this.#change.catch(() => {});
  }

  /** Makes `next` what is served; on failure everything is as it was, and the error is thrown. */
  async change(next: ServedMap): Promise<void> {
    this.#change = this.#changeOrUndo(next).finally(() => {
      this.#change = undefined;
    });
    await this.#change;
  }

  async #changeOrUndo(next: ServedMap): Promise<void> {
    await undoable(
      (step) => this.#changeInSteps(next, step),
      // The next repair tries again: what is served has not changed.
      (error) => this.#log.error({ error: messageOf(error) }, "a step could not be undone"),
    );
    this.#current = next;
    // The change is in force: when this look fails, it must not be refused, and a repair looks again.
    await this.lookAtLinks().catch((error: unknown) =>
      this.#log.warn({ error: messageOf(error) }, "the look after a change failed"),
    );
    this.#problems = this.#findProblems();
  }

  async #changeInSteps(next: ServedMap, step: Step): Promise<void> {
    const previous = this.#current;
    const links = await this.lookAtLinks();
    const plan = planChange(previous, next, (virtualIp) => this.#judgesInPlace(virtualIp));
    // A virtual IP that moves to another interface stands in it twice: the old one stays guarded
    // until its address has gone.
    const leavingNic = [...previous.values()].filter(
      ({ settings }) => next.get(settings.addressHost)?.settings.nic !== settings.nic,
    );
    const superset = [...leavingNic, ...next.values()];
    const before = this.#ownAddresses(previous.values());
    const after = this.#ownAddresses(next.values());
    const gone = before.filter((a) => !includesAddress(after, a));
    const added = after.filter((a) => !includesAddress(before, a));
    const take = ({ virtualIp, replaces }: Taking): Promise<void> =>
      step(
        () => this.#attach(virtualIp),
        () => (replaces === undefined ? this.#detach(virtualIp) : this.#attach(replaces)),
      );
    const letGo = (virtualIp: ServedVirtualIp): Promise<void> =>
      step(
        () => this.#detach(virtualIp),
        () => this.#attach(virtualIp),
      );
    for (const taking of plan.takeFirst) await take(taking);
    // In programs that a dead daemon left and this one goes on with, what it served besides would be accepted as
    // soon as the address is here again, on whichever interface.
    if (plan.takeFirst.length > 0) this.#engines.forgetOthers();
    for (const virtualIp of plan.letGoFirst) await letGo(virtualIp);
    await step(
      () => this.#setTables(superset),
      async () => {
        // An address must not stay without its tables: one whose removal has failed, and when a start fails
        // those of the dead daemon.
        await this.#removeStale(previous, await this.lookAtLinks());
        await this.#setTables(previous.values(), true);
      },
    );
    await step(
      () => this.#addMissing(added, links),
      () => this.#removePresent(added),
    );
    await step(
      () => this.#removePresent(gone),
      async () => {
        // The next repair tries both again.
        if (this.#tables.listing === undefined)
          throw new Error("without its nft tables no address is put back");
        await this.#addMissing(gone, await this.lookAtLinks());
      },
    );
    await step(
      () => this.#setTables(next.values()),
      () => this.#setTables(superset, true),
    );
    for (const taking of plan.takeLast) await take(taking);
    for (const virtualIp of plan.letGoLast) await letGo(virtualIp);
    for (const { virtualIp, from } of plan.move) {
      const { addressHost } = virtualIp.settings;
      await step(
        () => this.#engineOf(virtualIp).setLocal(addressHost, virtualIp.localNodes),
        () => this.#engineOf(virtualIp).setLocal(addressHost, from),
      );
    }
  }

  /** Moves buckets only: no process is started, the engine alone changes. */
  setLocal(addressHost: number, localNodes: NodeSet): void {
    const virtualIp = this.#current.get(addressHost);
    if (virtualIp === undefined) return;
    this.#engineOf(virtualIp).setLocal(addressHost, localNodes);
    this.#current = new Map(this.#current).set(addressHost, { ...virtualIp, localNodes });
  }

  /** Puts back our tables if somebody has changed them: the first thing after an nft event. */
  async repairTables(): Promise<void> {
    if (this.#current.size === 0) return;
    const transaction = this.#render(this.#current.values());
    const listing = await listTables();
    const isIntact = listing !== undefined && listing === this.#tables.listing;
    if (isIntact && transaction === this.#tables.transaction) return;
    const wasTouched = transaction === this.#tables.transaction;
    await this.#setTables(this.#current.values(), true);
    if (wasTouched) this.#count("nft", "nft tables were changed or removed by somebody else; put back");
  }

  /** Brings the host to what is served, whatever has been done to it meanwhile. */
  async repair(): Promise<void> {
    const failures: HostProblem[] = [];
    const attempt = async (act: () => void | Promise<void>): Promise<boolean> => {
      try {
        await act();
        return true;
      } catch (error) {
        failures.push({ code: "repair-failed", message: messageOf(error) });
        this.#log.error({ error: messageOf(error) }, "repair failed");
        return false;
      }
    };
    await this.lookAtLinks();
    // First: the tables for today's interfaces no longer guard one that was renamed away.
    await attempt(() => this.#repairStaleAddresses());
    const haveTables = await attempt(() => this.repairTables());
    await attempt(() => this.#repairDevice());
    for (const binding of this.bindings) await attempt(() => this.#repairBinding(binding));
    // An address without its tables would be answered for with the interface's own MAC.
    if (haveTables) await attempt(() => this.#repairAddresses());
    this.#problems = [...this.#findProblems(), ...failures];
  }

  async #repairDevice(): Promise<void> {
    const { device } = this.#engines;
    if (device === undefined || this.#current.size === 0) return;
    const link = this.linkOf(device);
    if (link?.isUp === true && tunFilterIsLoose(device)) return;
    if (link === undefined) this.#engines.reopenDevice();
    await configureTun(device);
    this.#count("device", `${device} was changed or removed by somebody else; put back`);
    await this.lookAtLinks();
  }

  /** A renamed interface keeps our address, but the name that we serve is another device now. */
  async #repairStaleAddresses(): Promise<void> {
    const stale = await this.#removeStale(this.#current, this.#links);
    if (stale.length === 0) return;
    this.#count("address", `removed from where it is not served: ${describeAddresses(stale)}`);
  }

  /** Removes our addresses from where `served` does not want them. */
  async #removeStale(served: ServedMap, links: readonly Link[]): Promise<readonly OwnAddress[]> {
    const wanted = this.#ownAddresses(served.values());
    const stale = links.flatMap((link) =>
      link.addresses
        .filter((a) => a.isOurs)
        .map((a) => ({ vip: formatIpv4(a.addressHost), device: link.name }))
        .filter((address) => !includesAddress(wanted, address)),
    );
    if (stale.length === 0) return stale;
    await removeAddresses(stale);
    await this.lookAtLinks();
    return stale;
  }

  #repairBinding({ nic, engine: name }: Binding): void {
    const engine = this.#engines.of(name);
    const ifindex = this.linkOf(nic)?.ifindex;
    if (engine.boundIfindex(nic) === ifindex) {
      if (engine.restoreNic?.(nic) !== true) return;
      if (engine.device === undefined) {
        this.#count("program", `the programs on ${nic} were removed by somebody else; put back`);
      } else {
        this.#count("nic", `${nic} was away or down, and its capture missed frames; opened again`);
      }
      return;
    }
    engine.bindNic(nic, ifindex);
    if (ifindex === undefined) this.#log.warn({ nic }, "the interface is gone; waiting for it");
    else this.#count("nic", `${nic} is back as interface ${ifindex}; serving again`);
  }

  async #repairAddresses(): Promise<void> {
    const missing = this.#missing(this.#ownAddresses(this.#current.values()), this.#links);
    if (missing.length === 0) return;
    await addAddresses(missing);
    this.#count("address", `put back: ${describeAddresses(missing)}`);
    await this.lookAtLinks();
  }

  #findProblems(): readonly HostProblem[] {
    return findProblems(this.#current, this.#links, this.#engines.device);
  }

  #engineOf(virtualIp: ServedVirtualIp): Engine {
    return this.#engines.of(virtualIp.engine);
  }

  #judgesInPlace(virtualIp: ServedVirtualIp): boolean {
    return this.#engineOf(virtualIp).device === undefined;
  }

  #attach(virtualIp: ServedVirtualIp): void {
    const engine = this.#engineOf(virtualIp);
    const { settings, clusterMac, localNodes } = virtualIp;
    const { addressHost, nic, hashMode, totalNodes, hashInit } = settings;
    engine.attach({ addressHost, nic, clusterMac, hashMode, totalNodes, hashInit, localNodes });
    const ifindex = this.linkOf(nic)?.ifindex;
    if (engine.boundIfindex(nic) !== ifindex) engine.bindNic(nic, ifindex);
  }

  #detach(virtualIp: ServedVirtualIp): void {
    this.#engineOf(virtualIp).detach(virtualIp.settings.addressHost, virtualIp.settings.nic);
  }

  #render(virtualIps: Iterable<ServedVirtualIp>): string {
    const guarded = [...virtualIps].map((virtualIp) => ({
      vip: virtualIp.settings.vip,
      nic: virtualIp.settings.nic,
      clusterMac: virtualIp.clusterMac,
      isJudgedInPlace: this.#judgesInPlace(virtualIp),
    }));
    const lowers = new Set(this.#links.map(({ lower }) => lower));
    const present = this.#links.map(({ name }) => ({ name, carriesOthers: lowers.has(name) }));
    return renderTables(guarded, present);
  }

  async #setTables(virtualIps: Iterable<ServedVirtualIp>, always = false): Promise<void> {
    const served = [...virtualIps];
    const transaction = this.#render(served);
    const { transaction: last, listing } = this.#tables;
    if (!always && transaction === last && listing !== undefined) return;
    // Should this fail, it may have been after nft had done it: what is in force is not known.
    this.#tables = { transaction: last, listing: undefined };
    await applyTables(transaction);
    this.#tables = { transaction, listing: served.length === 0 ? "" : await listTables() };
  }

  /** Every address that we set: on the engine's device first, then on the interface. */
  #ownAddresses(virtualIps: Iterable<ServedVirtualIp>): OwnAddress[] {
    return [...virtualIps].flatMap((virtualIp) => {
      const { vip, nic } = virtualIp.settings;
      const { device } = this.#engineOf(virtualIp);
      return [
        ...(device === undefined ? [] : [{ vip, device }]),
        ...(virtualIp.isAdopted ? [] : [{ vip, device: nic }]),
      ];
    });
  }

  /** Those that are not there, on devices that exist. */
  #missing(addresses: readonly OwnAddress[], links: readonly Link[]): OwnAddress[] {
    return addresses.filter(({ vip, device }) => {
      const link = links.find(({ name }) => name === device);
      return link !== undefined && !link.addresses.some((a) => a.isOurs && formatIpv4(a.addressHost) === vip);
    });
  }

  async #addMissing(addresses: readonly OwnAddress[], links: readonly Link[]): Promise<void> {
    await addAddresses(this.#missing(addresses, links));
  }

  /** The interface's address goes first: from then on nobody resolves it here. */
  async #removePresent(addresses: readonly OwnAddress[]): Promise<void> {
    if (addresses.length === 0) return;
    const links = await this.lookAtLinks();
    const missing = this.#missing(addresses, links);
    const present = addresses.filter(
      (a) => !includesAddress(missing, a) && links.some(({ name }) => name === a.device),
    );
    await removeAddresses([...present].reverse());
  }

  #count(kind: RepairKind, message: string): void {
    const record = this.repairs[kind];
    record.count += 1;
    record.lastAt = new Date().toISOString();
    this.#log.warn({ repair: kind, count: record.count }, message);
  }
}

function includesAddress(addresses: readonly OwnAddress[], { vip, device }: OwnAddress): boolean {
  return addresses.some((a) => a.vip === vip && a.device === device);
}

function describeAddresses(addresses: readonly OwnAddress[]): string {
  return addresses.map(({ vip, device }) => `${vip} on ${device}`).join(", ");
}
