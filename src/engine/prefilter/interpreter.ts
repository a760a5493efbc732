/** Runs a classic-BPF program as the kernel would: for tests, and to see what a filter does. */
import { ancillary, type Instruction, type Opcode, opcodes } from "./instructions.ts";

/** A frame with what the kernel knows of it besides its octets. */
export interface FilterInput {
  readonly frame: Uint8Array;
  /** a value of `packetTypes` */
  readonly packetType: number;
  /** the tag that was taken off the frame (802.1Q TCI) */
  readonly vlanTci?: number;
  /** what SKF_AD_RANDOM reads: 32 bits */
  readonly random: number;
}

interface Machine {
  readonly input: FilterInput;
  readonly memory: Uint32Array;
  a: number;
  x: number;
  /** of the next instruction */
  at: number;
  /** set when the program has ended */
  result: number | undefined;
}

type Operation = (machine: Machine, instruction: Instruction) => void;

/** @returns how many octets of the frame the socket gets: 0 means dropped */
export function runFilter(program: readonly Instruction[], input: FilterInput): number {
  const machine: Machine = { input, memory: new Uint32Array(16), a: 0, x: 0, at: 0, result: undefined };
  while (machine.result === undefined) {
    const instruction = program[machine.at];
    if (instruction === undefined) throw new RangeError(`the program runs past its end at ${machine.at}`);
    const operation = operationsByCode[instruction.code];
    if (operation === undefined) {
      throw new RangeError(`opcode 0x${instruction.code.toString(16)} is not one that the prefilter uses`);
    }
    machine.at += 1;
    operation(machine, instruction);
  }
  return machine.result;
}

const operations: Readonly<Record<keyof typeof opcodes, Operation>> = {
  loadWord: (m, { k }) => {
    m.a = k >= ANCILLARY_FIRST ? readAncillary(k, m.input) : readPacket(m, k, 4);
  },
  loadHalf: (m, { k }) => {
    m.a = readPacket(m, k, 2);
  },
  loadByte: (m, { k }) => {
    m.a = readPacket(m, k, 1);
  },
  loadByteAtX: (m, { k }) => {
    m.a = readPacket(m, m.x + k, 1);
  },
  loadXHeaderLength: (m, { k }) => {
    m.x = (readPacket(m, k, 1) & 15) * 4;
  },
  loadLength: (m) => {
    m.a = m.input.frame.length;
  },
  loadConstant: (m, { k }) => {
    m.a = k;
  },
  loadMemory: (m, { k }) => {
    m.a = m.memory[k] ?? 0;
  },
  loadXMemory: (m, { k }) => {
    m.x = m.memory[k] ?? 0;
  },
  storeMemory: (m, { k }) => {
    m.memory[k] = m.a;
  },
  moveAToX: (m) => {
    m.x = m.a;
  },
  moveXToA: (m) => {
    m.a = m.x;
  },
  addConstant: (m, { k }) => {
    m.a = (m.a + k) >>> 0;
  },
  addX: (m) => {
    m.a = (m.a + m.x) >>> 0;
  },
  subtractConstant: (m, { k }) => {
    m.a = (m.a - k) >>> 0;
  },
  subtractX: (m) => {
    m.a = (m.a - m.x) >>> 0;
  },
  orX: (m) => {
    m.a = (m.a | m.x) >>> 0;
  },
  andConstant: (m, { k }) => {
    m.a = (m.a & k) >>> 0;
  },
  shiftLeft: (m, { k }) => {
    m.a = (m.a << k) >>> 0;
  },
  shiftRight: (m, { k }) => {
    m.a >>>= k;
  },
  xorConstant: (m, { k }) => {
    m.a = (m.a ^ k) >>> 0;
  },
  xorX: (m) => {
    m.a = (m.a ^ m.x) >>> 0;
  },
  jump: (m, { k }) => {
    m.at += k;
  },
  jumpIfEqual: (m, { k, jt, jf }) => {
    m.at += m.a === k ? jt : jf;
  },
  jumpIfAtLeast: (m, { k, jt, jf }) => {
    m.at += m.a >= k ? jt : jf;
  },
  jumpIfAtLeastX: (m, { jt, jf }) => {
    m.at += m.a >= m.x ? jt : jf;
  },
  jumpIfAnyBit: (m, { k, jt, jf }) => {
    m.at += (m.a & k) !== 0 ? jt : jf;
  },
  return: (m, { k }) => {
    m.result = k;
  },
};

const operationsByCode: (Operation | undefined)[] = [];
for (const [name, code] of Object.entries(opcodes) as [keyof typeof opcodes, Opcode][]) {
  operationsByCode[code] = operations[name];
}

/** SKF_AD_OFF: loads from here on read no octets of the packet. */
const ANCILLARY_FIRST = 0xfffff000;

/** In network byte order; outside the packet the program ends with 0. */
function readPacket(machine: Machine, at: number, octets: 1 | 2 | 4): number {
  const { frame } = machine.input;
  if (at + octets > frame.length) {
    machine.result = 0;
    return 0;
  }
  let value = 0;
  for (let i = 0; i < octets; i += 1) value = value * 256 + (frame[at + i] ?? 0);
  return value;
}

function readAncillary(k: number, { packetType, vlanTci, random }: FilterInput): number {
  switch (k) {
    case ancillary.packetType:
      return packetType;
    case ancillary.vlanTagPresent:
      return vlanTci === undefined ? 0 : 1;
    case ancillary.vlanTag:
      return vlanTci ?? 0;
    case ancillary.random:
      return random >>> 0;
    default:
      throw new RangeError(`0x${k.toString(16)} is not an ancillary value that the prefilter uses`);
  }
}
