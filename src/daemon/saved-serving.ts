/**
 * Changes of what is served, saved for the next start before they are in force: a change that
 * cannot be saved is refused, and one that fails leaves the saved state as it was.
 */
import { messageOf } from "../core/errors.ts";
import type { NodeSet } from "../core/node-set.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import type { ServedMap } from "./change-plan.ts";
import type { Log } from "./log.ts";
import { resolveVirtualIp, type ServedVirtualIp } from "./resolve.ts";
import { restore } from "./restore.ts";
import type { Serving } from "./serving.ts";
import type { StateFile } from "./state-file.ts";

export class SavedServing {
  readonly #serving: Serving;
  readonly #state: StateFile;
  readonly #log: Log;

  constructor(serving: Serving, state: StateFile, log: Log) {
    this.#serving = serving;
    this.#state = state;
    this.#log = log;
  }

  async change(next: ServedMap): Promise<void> {
    const previous = this.#serving.current;
    this.#state.save(next.values());
    try {
      await this.#serving.change(next);
    } catch (error) {
      this.#saveAgain(previous);
      throw error;
    }
  }

  /** The same for a move of buckets, which starts no process. */
  setLocal(virtualIp: ServedVirtualIp, localNodes: NodeSet): void {
    const previous = this.#serving.current;
    const { addressHost } = virtualIp.settings;
    this.#state.save(new Map(previous).set(addressHost, { ...virtualIp, localNodes }).values());
    try {
      this.#serving.setLocal(addressHost, localNodes);
    } catch (error) {
      this.#saveAgain(previous);
      throw error;
    }
  }

  /** What a starting daemon serves: its configuration, and what was saved. */
  async restore(configured: ReadonlyMap<number, ServedVirtualIp>, engines: EngineSet): Promise<ServedMap> {
    const saved = this.#state.read();
    if (saved.length === 0) return configured;
    const links = await this.#serving.lookAtLinks();
    return restore(
      configured,
      saved,
      ({ settings, origin, asked }) => ({
        ...resolveVirtualIp({ ...settings, localNodes: asked }, origin, links, engines),
        localNodes: settings.localNodes,
      }),
      this.#log,
    );
  }

  /** What is served is right; a state that cannot be written must not keep it from being served. */
  saveAtStart(): void {
    try {
      this.#state.save(this.#serving.current.values());
      this.#state.forgetReleases();
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "the state is not saved");
    }
  }

  #saveAgain(previous: ServedMap): void {
    try {
      this.#state.save(previous.values());
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "the saved state is not what is served");
    }
  }
}
