/**
 * The hash of `core/jhash.ts` in classic BPF. Rotations are two shifts; words that are known
 * when the program is made (a seed, a word that the mode does not hash) are folded into it.
 */
import type { Assembler } from "./assembler.ts";
import { opcodes } from "./instructions.ts";

/** JHASH_INITVAL of `include/linux/jhash.h`. */
const JHASH_INITVAL = 0xdeadbeef;

/** What is added to every word: the seed, the constant and the number of words. */
export function initialWord(hashInit: number, words: number): number {
  return (hashInit + JHASH_INITVAL + (words << 2)) >>> 0;
}

/** A word of the hash: known now, or in a cell of M. */
export type Word = { readonly known: number } | { readonly cell: number };

/** Cells of M that the code may use. */
export interface HashCells {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly shiftedLeft: number;
  readonly shiftedRight: number;
}

type Name = "a" | "b" | "c";

/** `__jhash_final` of lookup3: destination ^= source; destination -= rotl(source, bits). */
const STEPS: readonly (readonly [destination: Name, source: Name, bits: number])[] = [
  ["c", "b", 14],
  ["a", "c", 11],
  ["b", "a", 25],
  ["c", "b", 16],
  ["a", "c", 4],
  ["b", "a", 14],
  ["c", "b", 24],
];

/** Emits the final mix of the three words; the hash is in A behind it. */
export function emitHash(asm: Assembler, words: Readonly<Record<Name, Word>>, cells: HashCells): void {
  const current: Record<Name, Word> = { ...words };
  /** what a step has computed is the source of the next one, and still in A */
  let inA: Word | undefined;
  const load = (word: Word): void => {
    if (word !== inA) emitLoad(asm, word);
  };
  for (const [destination, source, bits] of STEPS) {
    const [from, to] = [current[source], current[destination]];
    if ("known" in from && "known" in to) {
      current[destination] = { known: ((to.known ^ from.known) - rotateLeft(from.known, bits)) >>> 0 };
      continue;
    }
    if ("known" in from) {
      load(to);
      asm.emit(opcodes.xorConstant, from.known);
      asm.emit(opcodes.subtractConstant, rotateLeft(from.known, bits));
    } else {
      load(from);
      asm.emit(opcodes.moveAToX);
      asm.emit(opcodes.shiftLeft, bits);
      asm.emit(opcodes.storeMemory, cells.shiftedLeft);
      asm.emit(opcodes.moveXToA);
      asm.emit(opcodes.shiftRight, 32 - bits);
      asm.emit(opcodes.storeMemory, cells.shiftedRight);
      emitLoad(asm, to);
      asm.emit(opcodes.xorX);
      // The two halves of a rotation have no bit in common: subtracting both subtracts it.
      asm.emit(opcodes.loadXMemory, cells.shiftedLeft);
      asm.emit(opcodes.subtractX);
      asm.emit(opcodes.loadXMemory, cells.shiftedRight);
      asm.emit(opcodes.subtractX);
    }
    asm.emit(opcodes.storeMemory, cells[destination]);
    inA = { cell: cells[destination] };
    current[destination] = inA;
  }
}

function emitLoad(asm: Assembler, word: Word): void {
  if ("known" in word) asm.emit(opcodes.loadConstant, word.known);
  else asm.emit(opcodes.loadMemory, word.cell);
}

function rotateLeft(word: number, bits: number): number {
  return ((word << bits) | (word >>> (32 - bits))) >>> 0;
}
