/** Reading the words of one layer, with errors that say what was expected. */
import { ClusterIpError } from "../core/errors.ts";
import { tryParseIpv4 } from "../core/ipv4.ts";

export class Words {
  readonly #words: readonly string[];
  readonly #vipHost: number;
  #at = 0;

  /** @param vipHost what the word `vip` stands for, host order */
  constructor(text: string, vipHost: number) {
    this.#words = text.trim().split(/\s+/);
    this.#vipHost = vipHost;
  }

  /** The next word; `undefined` at the end. */
  peek(): string | undefined {
    return this.#words[this.#at];
  }

  next(expected: string): string {
    const word = this.#words[this.#at];
    if (word === undefined || word === "") this.fail(expected);
    this.#at += 1;
    return word;
  }

  /** Takes the word if it is the next one. */
  takes(word: string): boolean {
    if (this.peek() !== word) return false;
    this.#at += 1;
    return true;
  }

  expect(word: string): void {
    if (!this.takes(word)) this.fail(`'${word}'`);
  }

  /** A decimal or 0x number of `min` to `max`. */
  number(what: string, min: number, max: number): number {
    const word = this.peek() ?? "";
    const value = /^(\d+|0x[0-9a-f]+)$/.test(word) ? Number(word) : Number.NaN;
    if (!(value >= min && value <= max)) this.fail(`${what}, a number of ${min} to ${max}`);
    this.#at += 1;
    return value;
  }

  /** An IPv4 address or `vip`, in host order. */
  address(what: string): number {
    const word = this.peek() ?? "";
    const address = word === "vip" ? this.#vipHost : tryParseIpv4(word);
    if (address === undefined) this.fail(`${what}, an IPv4 address or 'vip'`);
    this.#at += 1;
    return address;
  }

  /** Reads options in any order until the end: each word has a reader for what follows it. */
  options(readers: Readonly<Record<string, () => void>>): void {
    for (let word = this.peek(); word !== undefined; word = this.peek()) {
      const read = Object.hasOwn(readers, word) ? readers[word] : undefined;
      if (read === undefined) this.fail(`the end, or one of ${Object.keys(readers).join(", ")}`);
      this.#at += 1;
      read();
    }
  }

  fail(expected: string): never {
    const found = this.peek();
    throw new ClusterIpError(
      "CLUSTERIP_BAD_FLOW",
      `expected ${expected}, but ${found === undefined || found === "" ? "it ends" : `there is '${found}'`}`,
    );
  }
}
