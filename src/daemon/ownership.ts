/**
 * Who asked for what, and what of it is in force: one value, which the state file has before it is in force. A change
 * that cannot be saved is refused, and one that fails leaves the saved state as it was.
 *
 * Readers take the value that was in force when no change was under way: it never shows a change half.
 */
import { messageOf } from "../core/errors.ts";
import type { Address } from "../model/address.ts";
import {
  type Asked,
  allAsked,
  findAsked,
  isWaiting,
  nothingAsked,
  requireAsked,
  type ServedMap,
  type ServedVirtualIp,
  type WaitingMap,
  type WaitingVirtualIp,
} from "./asked.ts";
import type { Log } from "./log.ts";
import type { BridgesBefore, BridgesMemory } from "./resources/reach.ts";
import type { SavedVirtualIp, StateFile } from "./state-file.ts";

export class Ownership implements BridgesMemory {
  readonly #state: StateFile;
  readonly #log: Log;
  #now: Asked = nothingAsked;
  #told: Asked = nothingAsked;
  #isUntold = false;
  /** what is in the state file; undefined: not known */
  #saved: { readonly served: ServedMap; readonly bridges: BridgesBefore } | undefined;
  bridges: BridgesBefore = new Map();

  constructor(state: StateFile, log: Log) {
    this.#state = state;
    this.#log = log;
  }

  get now(): Asked {
    return this.#now;
  }

  /** For readers: as {@link now}, or while a change is under way as it was before. */
  get told(): Asked {
    return this.#told;
  }

  get served(): ServedMap {
    return this.#now.served;
  }

  get waiting(): WaitingMap {
    return this.#now.waiting;
  }

  /** Served and waiting ones together. */
  get all(): readonly (ServedVirtualIp | WaitingVirtualIp)[] {
    return allAsked(this.#now);
  }

  find(address: Address): ServedVirtualIp | WaitingVirtualIp | undefined {
    return findAsked(this.#now, address);
  }

  /** Served or waiting; @throws CLUSTERIP_NOT_FOUND */
  require(address: Address): ServedVirtualIp | WaitingVirtualIp {
    return requireAsked(this.#now, address);
  }

  /** @throws CLUSTERIP_NOT_FOUND; for one that waits its own code */
  requireServed(address: Address): ServedVirtualIp {
    const asked = this.require(address);
    if (isWaiting(asked)) throw asked.why;
    return asked;
  }

  /** From now on this is in force. */
  set(now: Asked): void {
    this.#now = now;
    if (!this.#isUntold) this.#told = now;
  }

  /**
   * Readers see what a change makes of it when the change is over, whatever comes of it.
   *
   * @param whenTold in the same moment
   */
  async untold(change: () => Promise<void>, whenTold: () => void): Promise<void> {
    this.#isUntold = true;
    try {
      await change();
    } finally {
      this.#isUntold = false;
      this.#told = this.#now;
      whenTold();
    }
  }

  /** What the last daemon of this boot had in force; what it has changed on bridges is known from now on. */
  readSaved(): readonly SavedVirtualIp[] {
    this.bridges = new Map([...this.bridges, ...this.#state.readBridges()]);
    return this.#state.read();
  }

  /**
   * For the next start, before it is in force.
   *
   * @throws CLUSTERIP_STATE
   */
  save({ served, waiting }: Asked): void {
    this.#saved = undefined;
    const { bridges } = this;
    this.#state.save([...served.values()], [...waiting.values()], bridges);
    this.#saved = { served, bridges };
  }

  /** What is in force, where a change did not come to be; what is served goes on where it cannot be written. */
  saveAgain(): void {
    this.#orTell("the saved state is not what is served", () => this.save(this.#now));
  }

  /** A repair may have changed whose an address is, and what a bridge had before. */
  saveIfChanged(): void {
    if (this.#saved?.served !== this.served || this.#saved.bridges !== this.bridges) this.saveAgain();
  }

  /** What is served is right; a state that cannot be written must not keep it from being served. */
  saveAtStart(): void {
    this.#orTell("the state is not saved", () => {
      this.save(this.#now);
      this.#state.forgetReleases();
    });
  }

  #orTell(whatIsWrong: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, whatIsWrong);
    }
  }
}
