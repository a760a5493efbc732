/**
 * Puts a program together whose jumps go to labels. A conditional jump reaches 255 instructions
 * only; one that has to go further gets an unconditional jump, which reaches any distance.
 */
import { type Instruction, type Opcode, opcodes } from "./instructions.ts";

/** A place in the program; it means something to the assembler that made it only. */
export interface Label {
  readonly id: number;
}

/** Where a conditional jump goes: to a label, or on with the next instruction. */
export type Target = Label | "next";

type Condition =
  | typeof opcodes.jumpIfEqual
  | typeof opcodes.jumpIfAtLeast
  | typeof opcodes.jumpIfAtLeastX
  | typeof opcodes.jumpIfAnyBit;

type Item =
  | { readonly kind: "operation"; readonly code: Opcode; readonly k: number }
  | { readonly kind: "goto"; readonly to: Label }
  | {
      readonly kind: "branch";
      readonly code: Condition;
      readonly k: number;
      readonly yes: Target;
      readonly no: Target;
      isFar: boolean;
    };

const REACH = 255;

export class Assembler {
  readonly #items: Item[] = [];
  /** by label id: the index of the item behind it */
  readonly #places: (number | undefined)[] = [];

  label(): Label {
    return { id: this.#places.push(undefined) - 1 };
  }

  /** The label stands for the next instruction. */
  bind(label: Label): void {
    this.#places[label.id] = this.#items.length;
  }

  emit(code: Opcode, k = 0): void {
    this.#items.push({ kind: "operation", code, k: k >>> 0 });
  }

  goto(to: Label): void {
    this.#items.push({ kind: "goto", to });
  }

  branch(code: Condition, k: number, yes: Target, no: Target): void {
    this.#items.push({ kind: "branch", code, k: k >>> 0, yes, no, isFar: false });
  }

  assemble(): Instruction[] {
    // A jump that is made far moves others further apart: until all reach.
    for (;;) {
      const starts = this.#layOut();
      const tooShort = this.#items.filter(
        (item, index) =>
          item.kind === "branch" &&
          !item.isFar &&
          [item.yes, item.no].some((target) => this.#distance(starts, index, target) > REACH),
      );
      if (tooShort.length === 0)
        return this.#items.flatMap((item, index) => this.#encode(item, index, starts));
      for (const item of tooShort) if (item.kind === "branch") item.isFar = true;
    }
  }

  /** By item: the index of its first instruction; one more for the end. */
  #layOut(): number[] {
    const starts = [0];
    let at = 0;
    for (const item of this.#items) {
      at += sizeOf(item);
      starts.push(at);
    }
    return starts;
  }

  /** Instructions between the one behind the item's first and the target. */
  #distance(starts: readonly number[], index: number, target: Target): number {
    const from = (starts[index] ?? 0) + 1;
    if (target === "next") return 0;
    const place = this.#places[target.id];
    if (place === undefined || place <= index)
      throw new RangeError("a jump has to go forward to a bound label");
    return (starts[place] ?? 0) - from;
  }

  #encode(item: Item, index: number, starts: readonly number[]): Instruction[] {
    const distance = (target: Target): number => this.#distance(starts, index, target);
    switch (item.kind) {
      case "operation":
        return [plain(item.code, item.k)];
      case "goto":
        return [plain(opcodes.jump, distance(item.to))];
      case "branch": {
        const { code, k, yes, no, isFar } = item;
        if (!isFar) return [{ code, k, jt: distance(yes), jf: distance(no) }];
        const far = [yes, no].filter((target) => target !== "next");
        const hops = far.map((target, hop) => plain(opcodes.jump, distance(target) - hop - 1));
        // Either answer goes to its own hop, or over all of them.
        return [
          { code, k, jt: yes === "next" ? far.length : 0, jf: no === "next" ? far.length : far.length - 1 },
          ...hops,
        ];
      }
    }
  }
}

function plain(code: number, k: number): Instruction {
  return { code, jt: 0, jf: 0, k };
}

function sizeOf(item: Item): number {
  if (item.kind !== "branch" || !item.isFar) return 1;
  return 1 + [item.yes, item.no].filter((target) => target !== "next").length;
}
