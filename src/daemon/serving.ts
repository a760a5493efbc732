/**
 * What this host serves, and the only code that changes it: addresses, nft tables and engine
 * together, so that a change is in force as a whole or not at all. `change-steps.ts` has the order
 * of a change, the resources know how each of its steps is done, and `repair` brings all of them
 * to what is in force, whatever has been done to the host meanwhile.
 */
import { ClusterIpError, messageOf } from "../core/errors.ts";
import type { Address } from "../model/address.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import type { Asked, ServedMap, ServedVirtualIp } from "./asked.ts";
import { changeSteps, changingInEngines } from "./change-steps.ts";
import type { Log } from "./log.ts";
import type { Ownership } from "./ownership.ts";
import { type Concerns, type FailedRepair, findProblems, type Problem } from "./problems.ts";
import type { AddressFailure } from "./resources/each-address.ts";
import { isSetByOthers } from "./resources/placement.ts";
import { type Binding, bindingsOf } from "./resources/programs.ts";
import type { Resources } from "./resources/resources.ts";
import { StepRunner } from "./step-runner.ts";
import { undoable } from "./undoable.ts";

export class Serving {
  readonly #resources: Resources;
  readonly #ownership: Ownership;
  readonly #log: Log;
  #change: Promise<void> | undefined;
  #problems: readonly Problem[] = [];
  /** withdrawn, while an address of theirs may still be on the host: silent, and under our tables */
  readonly #withdrawn = new Map<Address, ServedVirtualIp>();

  constructor(resources: Resources, ownership: Ownership, log: Log) {
    this.#resources = resources;
    this.#ownership = ownership;
    this.#log = log;
  }

  get #current(): ServedMap {
    return this.#ownership.served;
  }

  /** As of the last look; events make us look. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Which engines are at work where, in the order of the interfaces' names. */
  get bindings(): readonly Binding[] {
    return bindingsOf(this.#current);
  }

  /**
   * Whether every program and every address is where it has to be, as far as that can change without an event: programs
   * can be taken away, and the place of an address depends on sysctls. Cheap.
   */
  async isInPlace(): Promise<boolean> {
    const { links, programs } = this.#resources;
    if (!this.bindings.every(({ nic }) => links.isArpIgnoreKnown(nic))) return false;
    return programs.areJudging(this.#current);
  }

  /**
   * Takes away what a dead daemon left and `keep` does not want: first the addresses, so that
   * the tables that make them harmless go last (with the next change). Then its programs, except
   * where `keep` goes on with them.
   */
  async removeStale(keep: ServedMap): Promise<void> {
    const { links, addresses, programs } = this.#resources;
    await addresses.removeUnwanted(keep.values(), await links.look());
    await programs.removeStale(keep);
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
   * Makes `next` what is in force. What it has is in force before what it has not is withdrawn: until then everything is
   * as it was on failure, and the error is thrown.
   */
  async change(next: Asked): Promise<void> {
    await this.#asChange(next, async (leaving) => {
      await this.#changeOrUndo(next.served, leaving);
      this.#ownership.set(next);
      const failures = leaving.length === 0 ? [] : await this.#letGo(leaving);
      await this.#settleIn();
      this.#problems = [...this.#findProblems(), ...failures];
    });
  }

  /**
   * Serves no longer what `next` has not; everything else in it is in force already. Nothing is put back where a step
   * fails, whatever it is: what leaves is silent from now on, and repairs go on until nothing of it is left.
   *
   * @returns what is left for now
   */
  async withdraw(next: Asked): Promise<readonly Problem[]> {
    let failures: readonly Problem[] = [];
    await this.#asChange(next, async (leaving) => {
      await this.#resources.programs.hold(leaving);
      this.#ownership.set(next);
      failures = await this.#letGo(leaving);
      this.#problems = [...this.#findProblems(), ...failures];
    });
    return failures;
  }

  /** @param act gets what `next` does not have and is in force; readers see what comes of it when it is over */
  async #asChange(next: Asked, act: (leaving: readonly ServedVirtualIp[]) => Promise<void>): Promise<void> {
    const leaving = [...this.#current.values()].filter((v) => !next.served.has(v.settings.address));
    const whenTold = (): void => {
      this.#resources.programs.release();
      this.#change = undefined;
    };
    this.#change = this.#ownership.untold(() => act(leaving), whenTold);
    await this.#change;
  }

  /** Silences what is in force no longer, and takes away as much of it as goes. */
  async #letGo(leaving: readonly ServedVirtualIp[]): Promise<readonly Problem[]> {
    const { links, reach, programs } = this.#resources;
    const failures: Problem[] = [];
    for (const virtualIp of leaving) this.#withdrawn.set(virtualIp.settings.address, virtualIp);
    for (const virtualIp of leaving) {
      const { address: vip } = virtualIp.settings;
      failures.push(...(await this.#attempt({ vip }, () => programs.silence(virtualIp))));
    }
    failures.push(...(await this.#removeWithdrawn()));
    failures.push(...(await this.#attempt({}, () => reach.restoreUnserved(this.#current, links.known))));
    return failures;
  }

  /** Takes away what is left of what was withdrawn: addresses, then programs and tables. */
  async #removeWithdrawn(): Promise<readonly Problem[]> {
    const { links, addresses, programs, tables } = this.#resources;
    if (this.#withdrawn.size === 0 && tables.areKnown) return [];
    const failed = await addresses.removeWithdrawn(this.#withdrawn.values());
    const failures: Problem[] = failed.map(({ address, message: error }) => ({
      ...{ code: "repair-failed", vip: address.vip, stays: address, error },
    }));
    for (const [vip, virtualIp] of this.#withdrawn) {
      if (failed.some(({ address }) => address.vip === vip)) continue;
      const left = await this.#attempt({ vip }, () => programs.detach(virtualIp));
      if (left.length === 0) this.#withdrawn.delete(vip);
      failures.push(...left);
    }
    try {
      await tables.apply(this.#guarded());
      await links.look();
    } catch (error) {
      failures.push({ code: "repair-failed", error: messageOf(error) });
    }
    return failures;
  }

  /** What has to be under our tables: what is served, and addresses that could not be removed. */
  #guarded(): readonly ServedVirtualIp[] {
    return [...this.#current.values(), ...this.#withdrawn.values()];
  }

  async #changeOrUndo(wanted: ServedMap, leaving: readonly ServedVirtualIp[]): Promise<void> {
    const { links, programs } = this.#resources;
    await this.#requireRemoved(wanted);
    const previous = this.#current;
    const next = new Map([...leaving.map((v) => [v.settings.address, v] as const), ...wanted]);
    await links.look();
    const withdrawn = [...this.#withdrawn.values()];
    const steps = changeSteps(previous, next, withdrawn, (v) => programs.judgesInPlace(v));
    await programs.hold([...leaving, ...changingInEngines(steps)]);
    const runner = new StepRunner(this.#resources, previous, next, withdrawn);
    await undoable(
      async (step) => {
        for (const { act, undo } of steps.map((named) => runner.carryOut(named))) await step(act, undo);
      },
      // The next repair tries again: what is served has not changed.
      (error) => this.#log.error({ error: messageOf(error) }, "a step could not be undone"),
    );
  }

  /** The change is in force: what fails now must not refuse it, and the next repair tries again. */
  async #settleIn(): Promise<void> {
    const { links, routes } = this.#resources;
    await routes
      .apply(this.#current)
      .catch((error: unknown) =>
        this.#log.warn({ error: messageOf(error) }, "the routes to the clients are not as they should be"),
      );
    await links
      .look()
      .catch((error: unknown) =>
        this.#log.warn({ error: messageOf(error) }, "the look after a change failed"),
      );
  }

  /** Whether clients reach what is served and get answers, as of now. */
  async lookAtReach(): Promise<void> {
    const { links, reach } = this.#resources;
    await reach.look([...this.#current.values()], links.known);
    this.#problems = this.#findProblems();
  }

  /** What comes back while something of it is still on its way out starts from nothing. */
  async #requireRemoved(next: ServedMap): Promise<void> {
    if (![...next.keys()].some((address) => this.#withdrawn.has(address))) return;
    await this.#removeWithdrawn();
    const stuck = [...next.keys()].find((address) => this.#withdrawn.has(address));
    if (stuck === undefined) return;
    throw new ClusterIpError(
      "CLUSTERIP_HOST",
      `${stuck} is still being removed: 'clusterip status' says why.`,
    );
  }

  /** Moves buckets only: no process is started, the engine alone changes. */
  async setBuckets(virtualIp: ServedVirtualIp, buckets: BucketSet): Promise<void> {
    await this.#resources.programs.setBuckets(virtualIp, buckets);
  }

  /**
   * Puts back our tables if somebody has changed them: the first thing after an nft event. One may be that an
   * interface has gone, and its chain with it.
   */
  async repairTables(): Promise<void> {
    await this.#resources.tables.repair(this.#guarded());
  }

  /** Brings the host to what is served, whatever has been done to it meanwhile; each part whatever comes of the others. */
  async repair(): Promise<void> {
    const { links, addresses, programs, routes, reach, repairs } = this.#resources;
    await links.look();
    const failures: Problem[] = [];
    // First: the tables for today's interfaces no longer guard one that was renamed away.
    failures.push(...this.#failed(await addresses.repairStale(this.#current, this.#guarded())));
    const tables = await this.#attempt({}, () => this.repairTables());
    failures.push(...tables);
    if (this.#current.size > 0) failures.push(...(await this.#attempt({}, () => links.repairDevice())));
    for (const binding of this.bindings) {
      failures.push(...(await this.#attempt({ nic: binding.nic }, () => programs.repair(binding))));
    }
    // An address without its tables would be answered for with the interface's own MAC.
    if (tables.length === 0) {
      this.#takeOverAdopted();
      failures.push(...this.#failed(await addresses.repair(this.#current, this.#guarded())));
    }
    failures.push(...(await this.#removeWithdrawn()));
    failures.push(...(await this.#attempt({}, () => routes.repair(this.#current))));
    const mended = await reach.repair(this.#current, links.known);
    if (mended.length > 0) {
      await links.look();
      repairs.count({ kind: "reach", mended });
    }
    this.#problems = [...this.#findProblems(), ...failures];
  }

  #failed(failures: readonly AddressFailure[]): readonly Problem[] {
    return failures.map(({ address: { vip }, message }) => this.#failure({ vip }, message));
  }

  async #attempt(concerns: Concerns, act: () => Promise<void>): Promise<readonly Problem[]> {
    try {
      await act();
      return [];
    } catch (error) {
      return [this.#failure(concerns, messageOf(error))];
    }
  }

  #failure(concerns: Concerns, error: string): FailedRepair {
    this.#log.error({ ...concerns, error }, "repair failed");
    return { code: "repair-failed", error, ...concerns };
  }

  /** An address that somebody else had set and has removed is needed all the same: from now on it is ours. */
  #takeOverAdopted(): void {
    for (const [address, virtualIp] of this.#current) {
      const { isAdopted, settings } = virtualIp;
      if (!isAdopted || isSetByOthers(address, settings.nic, this.#resources.links.known)) continue;
      const served = new Map(this.#current).set(address, { ...virtualIp, isAdopted: false });
      this.#ownership.set({ ...this.#ownership.now, served });
    }
  }

  #findProblems(): readonly Problem[] {
    const { links, reach, device } = this.#resources;
    const { reach: routes, unanswered } = reach;
    return findProblems(this.#current, { links: links.known, device, reach: routes, unanswered });
  }
}
