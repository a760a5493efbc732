/** How each step of a change is carried out, and undone. */
import type { PlacedAddress } from "../host/ip.ts";
import type { ServedMap, ServedVirtualIp } from "./asked.ts";
import type { Step } from "./change-steps.ts";
import { includesAddress } from "./resources/each-address.ts";
import type { Resources } from "./resources/resources.ts";
import type { Undo } from "./undoable.ts";

/** A step that can be taken back, also where it was begun only. */
export interface UndoableStep {
  readonly act: () => Promise<void>;
  readonly undo: Undo;
}

export class StepRunner {
  readonly #resources: Resources;
  /** in force before, with what is withdrawn */
  readonly #guardedBefore: readonly ServedVirtualIp[];
  readonly #previous: ServedMap;
  readonly #gone: readonly PlacedAddress[];
  readonly #added: readonly PlacedAddress[];
  readonly #links: Resources["links"]["known"];

  /** The places of addresses are by the links as of now. */
  constructor(
    resources: Resources,
    previous: ServedMap,
    next: ServedMap,
    withdrawn: readonly ServedVirtualIp[],
  ) {
    this.#resources = resources;
    this.#previous = previous;
    this.#guardedBefore = [...previous.values(), ...withdrawn];
    this.#links = resources.links.known;
    const before = resources.addresses.wanted(previous.values());
    const after = resources.addresses.wanted(next.values());
    this.#gone = before.filter((a) => !includesAddress(after, a));
    this.#added = after.filter((a) => !includesAddress(before, a));
  }

  carryOut(step: Step): UndoableStep {
    const { addresses, programs, tables } = this.#resources;
    switch (step.does) {
      case "attach": {
        const { virtualIp, replaces } = step;
        return {
          act: () => programs.attach(virtualIp),
          undo: () => (replaces === undefined ? programs.detach(virtualIp) : programs.attach(replaces)),
        };
      }
      case "detach":
        return {
          act: () => programs.detach(step.virtualIp),
          undo: () => programs.attach(step.virtualIp),
        };
      case "remove-stale-virtual-ips":
        return { act: () => programs.removeStaleVirtualIps(), undo: () => {} };
      case "set-tables": {
        const { virtualIps, before } = step;
        return {
          act: () => tables.apply(virtualIps),
          undo: () => (before === undefined ? this.#restoreTables() : tables.apply(before, true)),
        };
      }
      case "add-addresses":
        return {
          act: () => addresses.add(this.#added, this.#links),
          undo: () => addresses.remove(this.#added),
        };
      case "remove-addresses":
        return { act: () => addresses.remove(this.#gone), undo: () => this.#restoreAddresses() };
      case "set-buckets": {
        const { virtualIp, from } = step;
        return {
          act: () => programs.setBuckets(virtualIp, virtualIp.localBuckets),
          undo: () => programs.setBuckets(virtualIp, from),
        };
      }
    }
  }

  /** An address must not stay without its tables: one whose removal has failed, and when a start fails those of the dead daemon. */
  async #restoreTables(): Promise<void> {
    const { addresses, links, tables } = this.#resources;
    await addresses.removeStale(this.#previous.values(), await links.look());
    await tables.apply(this.#guardedBefore, true);
  }

  async #restoreAddresses(): Promise<void> {
    const { addresses, links, tables } = this.#resources;
    // The next repair tries both again.
    if (!tables.areKnown) throw new Error("without its nft tables no address is put back");
    await addresses.add(this.#gone, await links.look());
  }
}
