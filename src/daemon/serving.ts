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
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { deviceOf, type Engine, isJudging } from "../engine/engine.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import { arpIgnoreOf, type Link, listLinks, type OwnAddress, type PlacedAddress } from "../host/ip.ts";
import { renderTables } from "../host/nft.ts";
import { syncRoutes } from "../host/routes.ts";
import { configureTun, tunFilterIsLoose } from "../host/tun.ts";
import type { Address } from "../model/address.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import { type EngineName, toAnnounced, toEngine } from "../model/virtual-ip.ts";
import { linkNamed } from "../settings/nic-name.ts";
import {
  type AddressFailure,
  addEachAddress,
  describeAddresses,
  hasAddress,
  hasDevice,
  includesAddress,
  removeEachAddress,
  staleAddresses,
  throwIfFailed,
} from "./addresses.ts";
import { type Attaching, planChange } from "./change-plan.ts";
import { findPrefixLength } from "./find-network.ts";
import type { Log } from "./log.ts";
import { isFormerPlace, isSetByOthers, placesOf, withdrawnPlaces } from "./placement.ts";
import { presentNics } from "./present-nics.ts";
import { findProblems, type HostProblem } from "./problems.ts";
import { type BridgesBefore, ReachKeeper } from "./reach-keeper.ts";
import { inForce, type ServedMap, type ServedVirtualIp } from "./resolve.ts";
import { removeStalePrograms } from "./stale-programs.ts";
import { Tables } from "./tables.ts";
import { undoable } from "./undoable.ts";

export const repairKinds = ["nft", "address", "nic", "device", "program", "reach"] as const;
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

/** What a failure concerns; nothing of it: perhaps everything. */
type Concerns = Pick<HostProblem, "nic" | "vip">;

type Step = Parameters<Parameters<typeof undoable>[0]>[0];

export class Serving {
  readonly repairs: Record<RepairKind, RepairRecord> = {
    nft: { count: 0, lastAt: undefined },
    address: { count: 0, lastAt: undefined },
    nic: { count: 0, lastAt: undefined },
    device: { count: 0, lastAt: undefined },
    program: { count: 0, lastAt: undefined },
    reach: { count: 0, lastAt: undefined },
  };
  readonly #engines: EngineSet;
  readonly #log: Log;
  #current: ServedMap = new Map();
  #change: Promise<void> | undefined;
  #links: readonly Link[] = [];
  #problems: readonly HostProblem[] = [];
  readonly #tables = new Tables();
  /** withdrawn, while an address of theirs may still be on the host: silent, and under our tables */
  readonly #withdrawn = new Map<Address, ServedVirtualIp>();

  readonly #reach: ReachKeeper;

  constructor(engines: EngineSet, log: Log) {
    this.#engines = engines;
    this.#log = log;
    this.#reach = new ReachKeeper(log);
  }

  /** Of bridges, what the daemon has changed; another object when that changes. */
  get bridgesBefore(): BridgesBefore {
    return this.#reach.bridgesBefore;
  }

  rememberBridges(bridges: BridgesBefore): void {
    this.#reach.remember(bridges);
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
  async isJudging(): Promise<boolean> {
    const all = await Promise.all(
      this.bindings.map(({ nic, engine }) => isJudging(this.#engines.of(engine), nic)),
    );
    return all.every(Boolean);
  }

  /** Whether every address is where it has to be by the sysctls of its interface, which change without an event; cheap. */
  isPlaced(): boolean {
    return this.bindings.every(
      ({ nic }) => (this.linkOf(nic)?.arpIgnore ?? arpIgnoreOf(nic)) === arpIgnoreOf(nic),
    );
  }

  linkOf(nic: string): Link | undefined {
    return this.#links.find(({ name }) => name === nic);
  }

  /** As of the last look. */
  get links(): readonly Link[] {
    return this.#links;
  }

  /** The interface's own name, where that is an alternative one of an interface that there is. */
  ownNameOf(nic: string): string {
    return linkNamed(this.#links, nic)?.name ?? nic;
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
  async removeStale(keep: ServedMap): Promise<void> {
    const links = await this.lookAtLinks();
    throwIfFailed(await removeEachAddress(staleAddresses(links, this.#ownAddresses(keep.values()))));
    const adopting = [...keep.values()].filter((v) => this.#engineOf(v).capabilities.outlivesDaemon);
    const kept = new Set(adopting.map(({ settings }) => settings.nic));
    for (const link of this.#links) if (!kept.has(link.name)) await this.#removeStalePrograms(link);
  }

  async #removeStalePrograms(link: Link): Promise<void> {
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

  /** During a change the engines are between what was served and what will be. */
  get isChanging(): boolean {
    return this.#change !== undefined;
  }

  /** Resolves when no change runs, whatever came of it. */
  async settled(): Promise<void> {
    while (this.#change !== undefined) await this.#change.catch(() => {});
  }

  /**
   * Makes `next` what is served; on failure everything is as it was, and the error is thrown.
   *
   * @param mayBeElsewhere whether programs that a dead daemon left may still accept it on another interface
   */
  async change(next: ServedMap, mayBeElsewhere?: (virtualIp: ServedVirtualIp) => boolean): Promise<void> {
    await this.#asChange(() => this.#changeOrUndo(next, mayBeElsewhere));
  }

  /**
   * Serves these no longer. Nothing is put back where a step fails, whatever it is: they are silent from now on, and
   * repairs go on until nothing of them is left.
   *
   * @returns what is left for now, a sentence each
   */
  async withdraw(addresses: ReadonlySet<Address>): Promise<readonly string[]> {
    let failures: readonly HostProblem[] = [];
    await this.#asChange(async () => {
      const leaving = [...this.#current.values()].filter((v) => addresses.has(v.settings.address));
      this.#current = new Map([...this.#current].filter(([address]) => !addresses.has(address)));
      for (const virtualIp of leaving) this.#withdrawn.set(virtualIp.settings.address, virtualIp);
      for (const virtualIp of leaving) {
        failures = [...failures, ...(await this.#attempt(virtualIp, () => this.#silence(virtualIp)))];
      }
      failures = [...failures, ...(await this.#removeWithdrawn())];
      failures = [
        ...failures,
        ...(await this.#attemptAsync({}, () => this.#reach.restoreUnserved(this.#current, this.#links))),
      ];
      this.#problems = [...this.#findProblems(), ...failures];
    });
    return failures.map(({ message }) => message);
  }

  async #asChange(act: () => Promise<void>): Promise<void> {
    this.#change = act().finally(() => {
      this.#change = undefined;
    });
    await this.#change;
  }

  /** An engine that judges in place goes on as the guard of an address that is still there. */
  async #silence(virtualIp: ServedVirtualIp): Promise<void> {
    const { address } = virtualIp.settings;
    if (this.#judgesInPlace(virtualIp)) await this.#engineOf(virtualIp).setBuckets(address, []);
    else await this.#detach(virtualIp);
  }

  /** Takes away what is left of what was withdrawn: addresses, then programs and tables. */
  async #removeWithdrawn(): Promise<readonly HostProblem[]> {
    if (this.#withdrawn.size === 0 && this.#tables.areKnown) return [];
    const links = await this.#lookOrKnown();
    const present = [...this.#withdrawn.values()].flatMap((virtualIp) =>
      withdrawnPlaces(virtualIp, deviceOf(this.#engineOf(virtualIp)), links),
    );
    // The interface's address goes first: from then on nobody resolves it here.
    const failed = await removeEachAddress([...present].reverse());
    const failures: HostProblem[] = failed.map(({ address, message }) => ({
      code: "repair-failed",
      vip: address.vip,
      message: `${describeAddresses([address])} cannot be removed: ${message}`,
    }));
    for (const [address, virtualIp] of this.#withdrawn) {
      if (failed.some((failure) => failure.address.vip === address)) continue;
      const left = await this.#attempt(virtualIp, () => this.#detach(virtualIp));
      if (left.length === 0) this.#withdrawn.delete(address);
      failures.push(...left);
    }
    try {
      await this.#setTables(this.#guarded());
      await this.lookAtLinks();
    } catch (error) {
      failures.push({ code: "repair-failed", message: messageOf(error) });
    }
    return failures;
  }

  /** What has to be under our tables: what is served, and addresses that could not be removed. */
  #guarded(): readonly ServedVirtualIp[] {
    return [...this.#current.values(), ...this.#withdrawn.values()];
  }

  /** The links now, or as of the last look where `ip` fails just now. */
  async #lookOrKnown(): Promise<readonly Link[]> {
    return this.lookAtLinks().catch(() => this.#links);
  }

  async #changeOrUndo(
    next: ServedMap,
    mayBeElsewhere?: (virtualIp: ServedVirtualIp) => boolean,
  ): Promise<void> {
    await this.#requireRemoved(next);
    await undoable(
      (step) => this.#changeInSteps(next, step, mayBeElsewhere),
      // The next repair tries again: what is served has not changed.
      (error) => this.#log.error({ error: messageOf(error) }, "a step could not be undone"),
    );
    this.#current = next;
    // The next repair tries again, and says so when it fails.
    await this.#syncRoutes(next, this.#links).catch((error: unknown) =>
      this.#log.warn({ error: messageOf(error) }, "the routes to the clients are not as they should be"),
    );
    // The change is in force: when this look fails, it must not be refused, and a repair looks again.
    await this.lookAtLinks().catch((error: unknown) =>
      this.#log.warn({ error: messageOf(error) }, "the look after a change failed"),
    );
    this.#problems = this.#findProblems();
  }

  /** Whether clients reach what is served and get answers, as of now. */
  async lookAtReach(): Promise<void> {
    await this.#reach.look([...this.#current.values()], this.#links);
    this.#problems = this.#findProblems();
  }

  /** What comes back while something of it is still on its way out starts from nothing. */
  async #requireRemoved(next: ServedMap): Promise<void> {
    if (![...next.keys()].some((address) => this.#withdrawn.has(address))) return;
    await this.#removeWithdrawn();
    const stuck = [...next].find(([address]) => this.#withdrawn.has(address));
    if (stuck === undefined) return;
    const { address: vip } = stuck[1].settings;
    throw new ClusterIpError("CLUSTERIP_HOST", `${vip} is still being removed: 'clusterip status' says why.`);
  }

  async #changeInSteps(
    next: ServedMap,
    step: Step,
    mayBeElsewhere?: (virtualIp: ServedVirtualIp) => boolean,
  ): Promise<void> {
    const previous = this.#current;
    const links = await this.lookAtLinks();
    const plan = planChange(previous, next, (v) => this.#judgesInPlace(v), mayBeElsewhere);
    // A virtual IP that moves to another interface stands in it twice: the old one stays guarded
    // until its address has gone.
    const leavingNic = [...previous.values()].filter(
      ({ settings }) => next.get(settings.address)?.settings.nic !== settings.nic,
    );
    const superset = [...leavingNic, ...next.values(), ...this.#withdrawn.values()];
    const before = this.#ownAddresses(previous.values());
    const after = this.#ownAddresses(next.values());
    const gone = before.filter((a) => !includesAddress(after, a));
    const added = after.filter((a) => !includesAddress(before, a));
    const attach = ({ virtualIp, replaces }: Attaching): Promise<void> =>
      step(
        () => this.#attach(virtualIp),
        () => (replaces === undefined ? this.#detach(virtualIp) : this.#attach(replaces)),
      );
    const detach = (virtualIp: ServedVirtualIp): Promise<void> =>
      step(
        () => this.#detach(virtualIp),
        () => this.#attach(virtualIp),
      );
    for (const attaching of plan.attachFirst) await attach(attaching);
    // Programs that a dead daemon left and this one goes on with accept what that one served besides, too.
    if (plan.attachFirst.length > 0) await this.#engines.removeStaleVirtualIps();
    for (const virtualIp of plan.detachFirst) await detach(virtualIp);
    await step(
      () => this.#setTables(superset),
      async () => {
        // An address must not stay without its tables: one whose removal has failed, and when a start fails
        // those of the dead daemon.
        await this.#removeStaleAddresses([...previous.values()], await this.lookAtLinks());
        await this.#setTables([...previous.values(), ...this.#withdrawn.values()], true);
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
        if (!this.#tables.areKnown) throw new Error("without its nft tables no address is put back");
        await this.#addMissing(gone, await this.lookAtLinks());
      },
    );
    await step(
      () => this.#setTables([...next.values(), ...this.#withdrawn.values()]),
      () => this.#setTables(superset, true),
    );
    for (const attaching of plan.attachLast) await attach(attaching);
    for (const virtualIp of plan.detachLast) await detach(virtualIp);
    for (const { virtualIp, from } of plan.move) {
      const { address } = virtualIp.settings;
      await step(
        () => this.#engineOf(virtualIp).setBuckets(address, virtualIp.localBuckets),
        () => this.#engineOf(virtualIp).setBuckets(address, from),
      );
    }
  }

  /** Moves buckets only: no process is started, the engine alone changes. */
  async setBuckets(address: Address, localBuckets: BucketSet): Promise<void> {
    const virtualIp = this.#current.get(address);
    if (virtualIp === undefined) return;
    await this.#engineOf(virtualIp).setBuckets(address, localBuckets);
    this.#current = new Map(this.#current).set(address, { ...virtualIp, localBuckets });
  }

  /**
   * Puts back our tables if somebody has changed them: the first thing after an nft event. One may be that an
   * interface has gone, and its chain with it.
   */
  async repairTables(): Promise<void> {
    const guarded = this.#guarded();
    if (guarded.length === 0) return;
    const render = async (): Promise<string> => {
      await this.#lookOrKnown();
      return this.#render(guarded);
    };
    if (await this.#tables.repair(render)) {
      this.#count("nft", "nft tables were changed or removed by somebody else; put back");
    }
  }

  /** Brings the host to what is served, whatever has been done to it meanwhile; each part whatever comes of the others. */
  async repair(): Promise<void> {
    await this.lookAtLinks();
    const failures: HostProblem[] = [];
    // First: the tables for today's interfaces no longer guard one that was renamed away.
    failures.push(...(await this.#repairStaleAddresses()));
    const tables = await this.#attemptAsync({}, () => this.repairTables());
    failures.push(...tables, ...(await this.#attemptAsync({}, () => this.#repairDevice())));
    for (const binding of this.bindings) {
      failures.push(...(await this.#attemptAsync({ nic: binding.nic }, () => this.#repairBinding(binding))));
    }
    // An address without its tables would be answered for with the interface's own MAC.
    if (tables.length === 0) failures.push(...(await this.#repairAddresses()));
    failures.push(...(await this.#removeWithdrawn()));
    failures.push(...(await this.#attemptAsync({}, () => this.#repairRoutes())));
    const mended = await this.#reach.repair(this.#current, this.#links);
    if (mended.length > 0) {
      await this.lookAtLinks();
      this.#count("reach", `what keeps clients away is put back: ${mended.join(", ")}`);
    }
    this.#problems = [...this.#findProblems(), ...failures];
  }

  #attempt({ settings }: ServedVirtualIp, act: () => Promise<void>): Promise<readonly HostProblem[]> {
    return this.#attemptAsync({ vip: settings.address }, act);
  }

  async #attemptAsync(concerns: Concerns, act: () => Promise<void>): Promise<readonly HostProblem[]> {
    try {
      await act();
      return [];
    } catch (error) {
      return [this.#failure(concerns, error)];
    }
  }

  #failure(concerns: Concerns, error: unknown): HostProblem {
    const message = messageOf(error);
    this.#log.error({ ...concerns, error: message }, "repair failed");
    return { code: "repair-failed", message, ...concerns };
  }

  async #repairDevice(): Promise<void> {
    const { device } = this.#engines;
    if (this.#current.size === 0) return;
    const link = this.linkOf(device);
    if (link?.isUp === true && tunFilterIsLoose(device)) return;
    if (link === undefined) await this.#engines.reopenDevice();
    await configureTun(device);
    this.#count("device", `${device} was changed or removed by somebody else; put back`);
    await this.lookAtLinks();
  }

  /** A renamed interface keeps our address, but the name that we serve is another device now. */
  async #repairStaleAddresses(): Promise<readonly HostProblem[]> {
    const { stale, failures } = await this.#removeStaleAddresses(this.#guarded(), this.#links, (address) =>
      isFormerPlace(address, this.#current.values(), this.#links),
    );
    if (stale.length > failures.length) {
      this.#count("address", `removed from where it is not served: ${describeAddresses(stale)}`);
    }
    return failures.map(({ address, message }) => this.#failure({ vip: address.vip }, new Error(message)));
  }

  /** Removes our addresses from where `served` does not want them, but for those to be kept for now. */
  async #removeStaleAddresses(
    served: Iterable<ServedVirtualIp>,
    links: readonly Link[],
    isKept: (address: OwnAddress) => boolean = () => false,
  ): Promise<{ readonly stale: readonly OwnAddress[]; readonly failures: readonly AddressFailure[] }> {
    const stale = staleAddresses(links, this.#ownAddresses(served)).filter((address) => !isKept(address));
    const failures = await removeEachAddress(stale);
    if (stale.length > 0) await this.lookAtLinks();
    return { stale, failures };
  }

  async #repairBinding({ nic, engine: name }: Binding): Promise<void> {
    const engine = this.#engines.of(name);
    const ifindex = this.linkOf(nic)?.ifindex;
    if (engine.boundIfindex(nic) === ifindex) {
      const { restored } = await engine.restoreNic(nic);
      if (restored === "programs") {
        this.#count("program", `the programs on ${nic} were removed by somebody else; put back`);
      } else if (restored === "capture") {
        this.#count("nic", `${nic} was away or down, and its capture missed frames; opened again`);
      }
      return;
    }
    await engine.bindNic(nic, ifindex);
    if (ifindex === undefined) this.#log.warn({ nic }, "the interface is gone; waiting for it");
    else this.#count("nic", `${nic} is back as interface ${ifindex}; serving again`);
  }

  async #repairAddresses(): Promise<readonly HostProblem[]> {
    this.#takeOverAdopted();
    const missing = this.#missing(this.#ownAddresses(this.#current.values()), this.#links);
    const failures = await addEachAddress(missing);
    if (missing.length > 0) await this.lookAtLinks();
    const failed = failures.map(({ address }) => address.vip);
    const { stale, failures: stuck } = await this.#removeStaleAddresses(
      this.#guarded(),
      this.#links,
      ({ vip }) => failed.includes(vip),
    );
    const moved = new Set(stale.map(({ vip }) => vip));
    const done = missing.filter(
      (a) =>
        !includesAddress(
          failures.map(({ address }) => address),
          a,
        ),
    );
    const restored = done.filter(({ vip }) => !moved.has(vip));
    if (restored.length > 0) this.#count("address", `put back: ${describeAddresses(restored)}`);
    if (moved.size > 0)
      this.#log.info({ to: describeAddresses(done) }, "addresses moved, as arp_ignore wants it");
    return [...failures, ...stuck].map(({ address, message }) =>
      this.#failure({ vip: address.vip }, new Error(message)),
    );
  }

  /** An address that somebody else had set and has removed is needed all the same: from now on it is ours. */
  #takeOverAdopted(): void {
    for (const [address, virtualIp] of this.#current) {
      if (!virtualIp.isAdopted || isSetByOthers(address, virtualIp.settings.nic, this.#links)) continue;
      this.#current = new Map(this.#current).set(address, { ...virtualIp, isAdopted: false });
    }
  }

  #findProblems(): readonly HostProblem[] {
    const { reach, unanswered } = this.#reach;
    return findProblems(this.#current, {
      links: this.#links,
      device: this.#engines.device,
      reach,
      unanswered,
    });
  }

  async #repairRoutes(): Promise<void> {
    const added = await this.#syncRoutes(this.#current, this.#links);
    if (added.length > 0) this.#count("address", `routes put back: ${added.join(", ")}`);
  }

  /** Where only the virtual IP is of its network, its interface has no route to the clients: it gets one. */
  #syncRoutes(served: ServedMap, links: readonly Link[]): Promise<readonly string[]> {
    const wanted = [...served.values()].flatMap(({ settings: { nic, address, prefixLength } }) => {
      const link = links.find(({ name }) => name === nic);
      if (prefixLength === undefined || prefixLength > 31 || link?.isUp !== true) return [];
      const hasOwn = findPrefixLength(address, link, [], prefixLength) !== undefined;
      return hasOwn ? [] : [{ device: nic, address, prefixLength }];
    });
    return syncRoutes(wanted);
  }

  #engineOf(virtualIp: ServedVirtualIp): Engine {
    return this.#engines.of(virtualIp.engine);
  }

  #judgesInPlace(virtualIp: ServedVirtualIp): boolean {
    return this.#engineOf(virtualIp).placement === "in-place";
  }

  async #attach(virtualIp: ServedVirtualIp): Promise<void> {
    const engine = this.#engineOf(virtualIp);
    const { nic } = virtualIp.settings;
    await engine.attach(toEngine(inForce(virtualIp)));
    const ifindex = this.linkOf(nic)?.ifindex;
    if (engine.boundIfindex(nic) !== ifindex) await engine.bindNic(nic, ifindex);
  }

  async #detach(virtualIp: ServedVirtualIp): Promise<void> {
    await this.#engineOf(virtualIp).detach(virtualIp.settings.address, virtualIp.settings.nic);
  }

  #render(virtualIps: Iterable<ServedVirtualIp>): string {
    const guarded = [...virtualIps].map((virtualIp) => ({
      ...toAnnounced(inForce(virtualIp)),
      isJudgedInPlace: this.#judgesInPlace(virtualIp),
    }));
    return renderTables(guarded, presentNics(this.#links, new Set(guarded.map(({ address }) => address))));
  }

  async #setTables(virtualIps: Iterable<ServedVirtualIp>, always = false): Promise<void> {
    const guarded = [...virtualIps];
    await this.#tables.set(this.#render(guarded), guarded.length === 0, always);
  }

  /** Every address that we set, by the links as of the last look: on the engine's device first. */
  #ownAddresses(virtualIps: Iterable<ServedVirtualIp>): PlacedAddress[] {
    return [...virtualIps].flatMap((virtualIp) =>
      placesOf(virtualIp, deviceOf(this.#engineOf(virtualIp)), this.#links),
    );
  }

  /** Those that are not there, on devices that exist. */
  #missing(addresses: readonly PlacedAddress[], links: readonly Link[]): PlacedAddress[] {
    return addresses.filter((a) => hasDevice(links, a) && !hasAddress(links, a, "ours"));
  }

  async #addMissing(addresses: readonly PlacedAddress[], links: readonly Link[]): Promise<void> {
    throwIfFailed(await addEachAddress(this.#missing(addresses, links)));
  }

  /** The interface's address goes first: from then on nobody resolves it here. */
  async #removePresent(addresses: readonly OwnAddress[]): Promise<void> {
    if (addresses.length === 0) return;
    const links = await this.lookAtLinks();
    const present = addresses.filter((a) => hasAddress(links, a, "any"));
    throwIfFailed(await removeEachAddress([...present].reverse()));
  }

  #count(kind: RepairKind, message: string): void {
    const record = this.repairs[kind];
    record.count += 1;
    record.lastAt = new Date().toISOString();
    this.#log.warn({ repair: kind, count: record.count }, message);
  }
}
