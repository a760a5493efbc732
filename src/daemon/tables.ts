/** Our nft tables: which transaction is in force, and whether somebody has touched them since. */
import { applyTables, listTables } from "../host/nft.ts";

export class Tables {
  /** What nft printed right after `transaction`; undefined: it is not known what is in force. */
  #inForce: { readonly transaction: string; readonly listing: string | undefined } = {
    // Nothing yet: the first change replaces what a dead daemon may have left.
    transaction: "",
    listing: undefined,
  };

  get areKnown(): boolean {
    return this.#inForce.listing !== undefined;
  }

  /**
   * @param removesAll the transaction leaves no table
   * @param always also where they are in force already, as far as we know
   */
  async set(transaction: string, removesAll: boolean, always = false): Promise<void> {
    const { transaction: last, listing } = this.#inForce;
    if (!always && transaction === last && listing !== undefined) return;
    // Should this fail, it may have been after nft had done it: what is in force is not known.
    this.#inForce = { transaction: last, listing: undefined };
    await applyTables(transaction);
    this.#inForce = { transaction, listing: removesAll ? "" : await listTables() };
  }

  /** Puts them back where they are not as wanted; tells whether somebody else had touched them. */
  async repair(render: () => Promise<string>): Promise<boolean> {
    const [listing, transaction] = await Promise.all([listTables(), render()]);
    const isIntact = listing !== undefined && listing === this.#inForce.listing;
    const wasWanted = transaction === this.#inForce.transaction;
    if (isIntact && wasWanted) return false;
    await this.set(transaction, false, true);
    return wasWanted;
  }
}
