import { expect, test } from "vitest";
import { jhash1word, jhash2words, jhash3words } from "../../src/core/jhash.ts";

// 192.168.1.100:40000 to port 80, hash_init 0: computed by a Linux 6.1 kernel.
const SADDR = 0xc0a80164;
const SPORT_WORD = 0x409c;
const DPORT_WORD = 0x5000;

test("the three forms give what the kernel gives", () => {
  expect(jhash1word(SADDR, 0)).toBe(0x8219bf47);
  expect(jhash2words(SADDR, SPORT_WORD, 0)).toBe(0x59ebb66a);
  expect(jhash3words(SADDR, SPORT_WORD, DPORT_WORD, 0)).toBe(0xa2a301a7);
});

test("results are unsigned 32-bit numbers for every corner of the input", () => {
  for (const word of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
    for (const seed of [0, 1, 0x80000000, 0xffffffff]) {
      for (const hash of [
        jhash1word(word, seed),
        jhash2words(word, word, seed),
        jhash3words(word, word, word, seed),
      ]) {
        expect(Number.isInteger(hash) && hash >= 0 && hash <= 0xffffffff).toBe(true);
      }
    }
  }
});
