/**
 * The three forms of Jenkins' lookup3 that CLUSTERIP uses: `jhash_1word`, `jhash_2words`
 * and `jhash_3words` of the kernel's `include/linux/jhash.h` (kernels since 2.6.37).
 *
 * All words and results are unsigned 32-bit numbers.
 */

/** JHASH_INITVAL of `include/linux/jhash.h`. */
const JHASH_INITVAL = 0xdeadbeef;

/**
 * The shared body: `__jhash_nwords` adds `initval` to all three words and then runs
 * `__jhash_final`. Every intermediate stays an int32; only the result is made unsigned.
 */
function jhashNwords(wordA: number, wordB: number, wordC: number, initval: number): number {
  let a = (wordA + initval) | 0;
  let b = (wordB + initval) | 0;
  let c = (wordC + initval) | 0;
  c ^= b;
  c = (c - ((b << 14) | (b >>> 18))) | 0;
  a ^= c;
  a = (a - ((c << 11) | (c >>> 21))) | 0;
  b ^= a;
  b = (b - ((a << 25) | (a >>> 7))) | 0;
  c ^= b;
  c = (c - ((b << 16) | (b >>> 16))) | 0;
  a ^= c;
  a = (a - ((c << 4) | (c >>> 28))) | 0;
  b ^= a;
  b = (b - ((a << 14) | (a >>> 18))) | 0;
  c ^= b;
  c = (c - ((b << 24) | (b >>> 8))) | 0;
  return c >>> 0;
}

/** `jhash_1word(a, initval)`. */
export function jhash1word(a: number, initval: number): number {
  return jhashNwords(a, 0, 0, (initval + JHASH_INITVAL + (1 << 2)) | 0);
}

/** `jhash_2words(a, b, initval)`. */
export function jhash2words(a: number, b: number, initval: number): number {
  return jhashNwords(a, b, 0, (initval + JHASH_INITVAL + (2 << 2)) | 0);
}

/** `jhash_3words(a, b, c, initval)`. */
export function jhash3words(a: number, b: number, c: number, initval: number): number {
  return jhashNwords(a, b, c, (initval + JHASH_INITVAL + (3 << 2)) | 0);
}
