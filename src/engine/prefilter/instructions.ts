/**
 * Classic BPF as `linux/filter.h` and `linux/bpf_common.h` define it: the machine has an
 * accumulator A, an index register X and 16 words of memory M; all arithmetic is unsigned and
 * 32 bits wide, all jumps go forward, and a load outside the packet ends the program with 0.
 */

/** `struct sock_filter`. */
export interface Instruction {
  readonly code: number;
  /** instructions to skip when the condition holds, and when it does not */
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** The opcodes that the prefilter uses. A name ends in what the operand is: a constant or X. */
export const opcodes = {
  loadWord: 0x20, // BPF_LD | BPF_W | BPF_ABS
  loadHalf: 0x28, // BPF_LD | BPF_H | BPF_ABS
  loadByte: 0x30, // BPF_LD | BPF_B | BPF_ABS
  loadByteAtX: 0x50, // BPF_LD | BPF_B | BPF_IND
  loadLength: 0x80, // BPF_LD | BPF_W | BPF_LEN
  loadConstant: 0x00, // BPF_LD | BPF_IMM
  loadMemory: 0x60, // BPF_LD | BPF_MEM
  loadXMemory: 0x61, // BPF_LDX | BPF_MEM
  loadXHeaderLength: 0xb1, // BPF_LDX | BPF_B | BPF_MSH: 4 * (octet & 15)
  storeMemory: 0x02, // BPF_ST
  moveAToX: 0x07, // BPF_MISC | BPF_TAX
  moveXToA: 0x87, // BPF_MISC | BPF_TXA
  addConstant: 0x04,
  addX: 0x0c,
  subtractConstant: 0x14,
  subtractX: 0x1c,
  orX: 0x4c,
  andConstant: 0x54,
  shiftLeft: 0x64,
  shiftRight: 0x74,
  xorConstant: 0xa4,
  xorX: 0xac,
  jump: 0x05, // BPF_JMP | BPF_JA, the only one with a 32-bit offset
  jumpIfEqual: 0x15,
  jumpIfAtLeast: 0x35,
  jumpIfAtLeastX: 0x3d,
  jumpIfAnyBit: 0x45,
  return: 0x06,
} as const;
export type Opcode = (typeof opcodes)[keyof typeof opcodes];

/** Loads from these addresses read what the kernel knows of the frame (SKF_AD_*). */
const SKF_AD_OFF = 0xfffff000;
export const ancillary = {
  packetType: SKF_AD_OFF + 4,
  vlanTag: SKF_AD_OFF + 44,
  vlanTagPresent: SKF_AD_OFF + 48,
  random: SKF_AD_OFF + 56,
} as const;

/** BPF_MAXINSNS of `linux/bpf_common.h`. */
export const MAX_INSTRUCTIONS = 4096;

/** Octets of a `struct sock_filter`. */
const INSTRUCTION_OCTETS = 8;

/** The program as setsockopt(SO_ATTACH_FILTER) takes it: in the machine's own byte order. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array {
  const words = new Uint16Array((program.length * INSTRUCTION_OCTETS) / Uint16Array.BYTES_PER_ELEMENT);
  const octets = new Uint8Array(words.buffer);
  const constants = new Uint32Array(words.buffer);
  for (const [index, { code, jt, jf, k }] of program.entries()) {
    words[index * 4] = code;
    octets[index * 8 + 2] = jt;
    octets[index * 8 + 3] = jf;
    constants[index * 2 + 1] = k;
  }
  return octets;
}
