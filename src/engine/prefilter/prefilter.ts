/**
 * The prefilter: a classic-BPF program for the capture socket of one interface that drops, in
 * the kernel and before anything is copied, the frames that the engine would drop anyway.
 *
 *   link layer ── a VLAN's, another protocol, to another host ─────────────┐
 *      │                                                                   ├─► not ours: drop
 *   destination address ── no virtual IP ──────────────────────────────────┘
 *      │ found: its profile
 *   IPv4 header, protocol, ports ── malformed, later fragment, ICMP that is no request ─► pass
 *      │
 *   hash of the mode ── local range ─► pass
 *      └── foreign range ─► drop
 *
 * It drops what the verdict calls "foreign-bucket" or "not-ours" and nothing else, except that it
 * passes tags inside a frame and ICMP errors, whose verdict needs the packet inside. Of what it
 * drops, one frame in `sampling` passes nevertheless, at random, and is counted for all of them.
 */
import { type Address, ipv4Host } from "../../model/address.ts";
import type { EngineVirtualIp } from "../../model/virtual-ip.ts";
import { Assembler, type Label } from "./assembler.ts";
import { emitHash, type Word } from "./hash-code.ts";
import { ancillary, type Instruction, MAX_INSTRUCTIONS, opcodes } from "./instructions.ts";
import { emitFlow, emitLinkAndAddress, emitSourceAddress } from "./packet-code.ts";
import { boundariesKey, distinctProfiles, type Profile, profileKey, profileOf, runsOf } from "./profiles.ts";

export interface Prefilter {
  /** undefined: no filter */
  readonly program: readonly Instruction[] | undefined;
  /** how many frames one stands for that passed although the filter drops its like */
  readonly weight: number;
  /** virtual IPs of which every frame passes: the program had no room */
  readonly passedUp: readonly Address[];
}

export const noPrefilter: Prefilter = { program: undefined, weight: 1, passedUp: [] };

/**
 * @param virtualIps all of one interface
 * @param sampling one dropped frame in so many passes; with 1 there is nothing to filter
 */
export function buildPrefilter(virtualIps: readonly EngineVirtualIp[], sampling: number): Prefilter {
  if (virtualIps.length === 0 || sampling === 1) return noPrefilter;
  const byAddress = virtualIps
    .map((virtualIp) => ({ virtualIp, addressHost: ipv4Host(virtualIp.address) }))
    .sort((a, b) => a.addressHost - b.addressHost);
  // Where not all of them fit, as many as do are filtered; frames to the others are passed up.
  for (let filtered = byAddress.length; ; filtered = Math.floor(filtered * 0.9)) {
    const targets = byAddress.map(({ virtualIp, addressHost }, index) => ({
      addressHost,
      profile: index < filtered ? profileOf(virtualIp) : undefined,
    }));
    const program = generate(targets, sampling);
    if (program.length <= MAX_INSTRUCTIONS) {
      const passedUp = byAddress.slice(filtered).map(({ virtualIp }) => virtualIp.address);
      return { program, weight: sampling, passedUp };
    }
    if (filtered === 0) return noPrefilter; // not even their addresses fit
  }
}

interface Target {
  readonly addressHost: number;
  /** undefined: all of its frames pass */
  readonly profile: Profile | undefined;
}

/** Cells of M: 16 words. */
const cells = {
  profile: 0,
  initial: 1,
  payloadLength: 2,
  scratch: 3,
  sourcePort: 4,
  destinationPort: 5,
  a: 6,
  b: 7,
  c: 8,
  shiftedLeft: 9,
  shiftedRight: 10,
  hash: 11,
} as const;

const RANDOMS = 0x1_0000_0000;

/** @param targets sorted by address */
function generate(targets: readonly Target[], sampling: number): Instruction[] {
  const asm = new Assembler();
  const [pass, drop, flow] = [asm.label(), asm.label(), asm.label()];
  const profiles = distinctProfiles(targets.flatMap(({ profile }) => profile ?? []));
  const modes = runsOf(profiles, ({ ports }) => String(ports));

  emitLinkAndAddress(asm, pass, drop);
  emitAddressSearch(targets, profiles);
  if (profiles.length > 0) {
    asm.bind(flow);
    const done = asm.label();
    const portsWanted = Math.max(0, ...profiles.map(({ ports }) => ports ?? 0));
    emitFlow(asm, cells, portsWanted, pass, done);
    asm.bind(done);
    const modeEntries = modes.map(({ first }) => ({ first, label: asm.label() }));
    emitDispatch(modeEntries);
    for (const [index, mode] of modes.entries()) {
      const entry = modeEntries[index];
      if (entry !== undefined) asm.bind(entry.label);
      emitMode(mode.first, mode.profiles);
    }
  }
  const forGood = asm.label();
  asm.bind(drop);
  asm.emit(opcodes.loadWord, ancillary.random);
  asm.branch(opcodes.jumpIfAtLeast, Math.floor(RANDOMS / sampling), forGood, pass);
  asm.bind(forGood);
  asm.emit(opcodes.return, 0);
  asm.bind(pass);
  asm.emit(opcodes.return, 0xffffffff);
  return asm.assemble();

  /** A holds the destination address: a binary search, then what belongs to the one found. */
  function emitAddressSearch(all: readonly Target[], known: readonly Profile[]): void {
    const keys = known.map(profileKey);
    const entries = known.map(() => asm.label());
    const entryOf = ({ profile }: Target): Label =>
      profile === undefined ? pass : (entries[keys.indexOf(profileKey(profile))] ?? pass);
    emitSearch(all);
    for (const [index, profile] of known.entries()) {
      const entry = entries[index];
      if (entry !== undefined) asm.bind(entry);
      if (known.length > 1) {
        asm.emit(opcodes.loadConstant, index);
        asm.emit(opcodes.storeMemory, cells.profile);
        asm.emit(opcodes.loadConstant, profile.initial);
        asm.emit(opcodes.storeMemory, cells.initial);
      }
      if (index < known.length - 1) asm.goto(flow);
    }

    function emitSearch(part: readonly Target[]): void {
      const middle = part[part.length >> 1];
      if (middle === undefined) return;
      if (part.length === 1) {
        asm.branch(opcodes.jumpIfEqual, middle.addressHost, entryOf(middle), drop);
        return;
      }
      const upper = asm.label();
      asm.branch(opcodes.jumpIfAtLeast, middle.addressHost, upper, "next");
      emitSearch(part.slice(0, part.length >> 1));
      asm.bind(upper);
      emitSearch(part.slice(part.length >> 1));
    }
  }

  /** Goes to the entry whose range of profiles holds the one found. */
  function emitDispatch(entries: readonly { readonly first: number; readonly label: Label }[]): void {
    if (entries.length === 1) return; // it comes next
    asm.emit(opcodes.loadMemory, cells.profile);
    emitPart(entries);

    function emitPart(part: typeof entries): void {
      const middle = part[part.length >> 1];
      if (middle === undefined) return;
      if (part.length === 1) {
        asm.goto(middle.label);
        return;
      }
      const upper = asm.label();
      asm.branch(opcodes.jumpIfAtLeast, middle.first, upper, "next");
      emitPart(part.slice(0, part.length >> 1));
      asm.bind(upper);
      emitPart(part.slice(part.length >> 1));
    }
  }

  function emitMode(first: number, ofMode: readonly Profile[]): void {
    const ports = ofMode[0]?.ports;
    const isHashed = ports !== undefined;
    if (isHashed) emitModeHash(ports, new Set(ofMode.map(({ initial }) => initial)));
    const sets = runsOf(ofMode, boundariesKey);
    const entries = sets.map((run) => ({ first: first + run.first, label: asm.label() }));
    if (isHashed && sets.length > 1) asm.emit(opcodes.storeMemory, cells.hash);
    emitDispatch(entries);
    for (const [index, { profiles: sharing }] of sets.entries()) {
      const [entry, profile] = [entries[index], sharing[0]];
      if (entry === undefined || profile === undefined) continue;
      asm.bind(entry.label);
      if (isHashed && sets.length > 1) asm.emit(opcodes.loadMemory, cells.hash);
      emitVerdict(profile.boundaries);
    }
  }

  /** The hash is in A: whether it lies in a local range. */
  function emitVerdict(boundaries: readonly number[]): void {
    for (const [index, boundary] of [...boundaries.entries()].reverse()) {
      const side = index % 2 === 0 ? pass : drop;
      if (boundary === 0) {
        asm.goto(side);
        return;
      }
      asm.branch(opcodes.jumpIfAtLeast, boundary, side, "next");
    }
    asm.goto(drop);
  }

  function emitModeHash(ports: number, initials: ReadonlySet<number>): void {
    const [first] = initials;
    const initial: Word =
      initials.size === 1 && first !== undefined ? { known: first } : { cell: cells.initial };
    emitSourceAddress(asm);
    emitAddInitial(cells.a);
    const words: { a: Word; b: Word; c: Word } = { a: { cell: cells.a }, b: initial, c: initial };
    if (ports >= 1) {
      asm.emit(opcodes.loadMemory, cells.sourcePort);
      emitAddInitial(cells.b);
      words.b = { cell: cells.b };
    }
    if (ports >= 2) {
      asm.emit(opcodes.loadMemory, cells.destinationPort);
      emitAddInitial(cells.c);
      words.c = { cell: cells.c };
    }
    emitHash(asm, words, cells);

    function emitAddInitial(into: number): void {
      if ("known" in initial) {
        asm.emit(opcodes.addConstant, initial.known);
      } else {
        asm.emit(opcodes.loadXMemory, initial.cell);
        asm.emit(opcodes.addX);
      }
      asm.emit(opcodes.storeMemory, into);
    }
  }
}
