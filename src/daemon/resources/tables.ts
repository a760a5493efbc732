/**
 * Our nft tables. Wanted: one transaction that guards each virtual IP. Had: which transaction is in force, and whether
 * somebody has touched the tables since. All of them are replaced at once.
 */
import { applyTables, listTables, renderTables } from "../../host/nft.ts";
import { toAnnounced } from "../../model/virtual-ip.ts";
import { inForce, type ServedVirtualIp } from "../asked.ts";
import type { Repairs } from "../repairs.ts";
import type { Links } from "./links.ts";
import { presentNics } from "./present-nics.ts";
import type { Programs } from "./programs.ts";

export class Tables {
  readonly #links: Links;
  readonly #programs: Programs;
  readonly #repairs: Repairs;
  /** What nft printed right after `transaction`; undefined: it is not known what is in force. */
  #inForce: { readonly transaction: string; readonly listing: string | undefined } = {
    // Nothing yet: the first change replaces what a dead daemon may have left.
    transaction: "",
    listing: undefined,
  };

  constructor(links: Links, programs: Programs, repairs: Repairs) {
    this.#links = links;
    this.#programs = programs;
    this.#repairs = repairs;
  }

  get areKnown(): boolean {
    return this.#inForce.listing !== undefined;
  }

  /** By the links as of the last look. */
  wanted(virtualIps: readonly ServedVirtualIp[]): string {
    const guarded = virtualIps.map((virtualIp) => ({
      ...toAnnounced(inForce(virtualIp)),
      isJudgedInPlace: this.#programs.judgesInPlace(virtualIp),
    }));
    return renderTables(
      guarded,
      presentNics(this.#links.known, new Set(guarded.map(({ address }) => address))),
    );
  }

  /** @param always also where they are in force already, as far as we know */
  async apply(virtualIps: readonly ServedVirtualIp[], always = false): Promise<void> {
    await this.#set(this.wanted(virtualIps), virtualIps.length === 0, always);
  }

  async #set(transaction: string, removesAll: boolean, always: boolean): Promise<void> {
    const { transaction: last, listing } = this.#inForce;
    if (!always && transaction === last && listing !== undefined) return;
    // Should this fail, it may have been after nft had done it: what is in force is not known.
    this.#inForce = { transaction: last, listing: undefined };
    await applyTables(transaction);
    this.#inForce = { transaction, listing: removesAll ? "" : await listTables() };
  }

  /**
   * Puts them back where somebody has changed them. Somebody may have taken an interface away, and its chain with it:
   * then others are wanted, and that is no repair.
   */
  async repair(virtualIps: readonly ServedVirtualIp[]): Promise<void> {
    if (virtualIps.length === 0) return;
    const render = async (): Promise<string> => {
      await this.#links.lookOrKnown();
      return this.wanted(virtualIps);
    };
    const [listing, transaction] = await Promise.all([listTables(), render()]);
    const isIntact = listing !== undefined && listing === this.#inForce.listing;
    const wasWanted = transaction === this.#inForce.transaction;
    if (isIntact && wasWanted) return;
    await this.#set(transaction, false, true);
    if (wasWanted) this.#repairs.count({ kind: "nft" });
  }
}
