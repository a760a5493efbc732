/**
 * Random virtual IPs and frames for the differential tests: well-formed, damaged, cut short and
 * plain noise, with a bias to what the verdict looks at. Everything follows from one seed.
 */
import { hashModes } from "../../../src/core/bucket.ts";
import { type ClassifyTarget, type PacketType, packetTypes } from "../../../src/core/classify.ts";
import { formatIpv4, parseIpv4 } from "../../../src/core/ipv4.ts";
import { bucketMask } from "../../../src/model/bucket-set.ts";
import type { NativeHashSettings } from "../../../src/native.ts";
import { buildFrame } from "../../../src/verdict-table/build-frame.ts";
import { TABLE_VIP } from "../../../src/verdict-table/rows.ts";

/** mulberry32: fast, and good enough to choose test data. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** 0 to 2^32 - 1 */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return Math.floor((this.word() / 0x1_0000_0000) * limit);
  }

  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)] ?? items[0];
  }

  /** A port or other small number, often one at an edge. */
  number(max: number): number {
    return this.chance(20) ? this.pick([0, 1, max - 1, max]) : this.below(max + 1);
  }
}

export type Targets = readonly [ClassifyTarget, ...ClassifyTarget[]];

export interface TestFrame {
  readonly frame: Uint8Array;
  readonly packetType: PacketType;
}

/** A virtual IP as the addons take it. */
export function nativeSettings(target: ClassifyTarget): NativeHashSettings {
  const { address, hashMode, bucketCount, hashInit, localBuckets } = target;
  return {
    addressHost: address,
    hashMode: hashModes.indexOf(hashMode),
    bucketCount,
    hashInit,
    localMask: bucketMask(localBuckets),
  };
}

const types = Object.keys(packetTypes) as [PacketType, ...PacketType[]];

/** One to six virtual IPs with different addresses; neighbours and far away. */
export function randomTargets(random: Random): Targets {
  const target = (address: number): ClassifyTarget => {
    const bucketCount = random.between(1, 16);
    const all = Array.from({ length: bucketCount }, (_, index) => index + 1);
    return {
      address,
      hashMode: random.pick(hashModes),
      bucketCount,
      hashInit: random.chance(30) ? random.pick([0, 1, 0xffffffff, 0x80000000]) : random.word(),
      localBuckets: all.filter(() => random.chance(50)),
    };
  };
  const first = parseIpv4(TABLE_VIP);
  const others = new Set<number>();
  for (let count = random.below(6); count > 0; count -= 1) {
    others.add(random.chance(50) ? first + random.between(1, 5) : random.word());
  }
  others.delete(first);
  return [target(first), ...Array.from(others, target)];
}

/** The next frame; about one in ten is built anew, the others are what can happen to it. */
export function* randomFrames(random: Random, targets: Targets, count: number): Generator<TestFrame> {
  let base = randomValid(random, targets);
  for (let index = 0; index < count; index += 1) {
    if (index % 8 === 0) base = randomValid(random, targets);
    yield randomVariant(random, base, targets);
  }
}

function randomVariant(random: Random, base: TestFrame, targets: Targets): TestFrame {
  const kind = random.below(16);
  if (kind < 2) return base;
  const packetType = random.chance(10) ? random.pick(types) : base.packetType;
  if (kind < 4) return { frame: randomCut(random, base.frame), packetType };
  if (kind < 6) return { frame: randomNoise(random, targets), packetType };
  const frame = kind < 8 ? randomCut(random, base.frame) : base.frame.slice();
  for (let changes = random.between(1, 4); changes > 0; changes -= 1) damage(random, frame);
  return { frame, packetType };
}

function randomCut(random: Random, frame: Uint8Array): Uint8Array {
  if (random.chance(75)) return frame.slice(0, random.below(frame.length + 1));
  const longer = new Uint8Array(frame.length + random.between(1, 60));
  longer.set(frame);
  return longer;
}

/** Where the verdict reads: behind one Ethernet header, with one tag, and inside an ICMP error. */
const headerStarts = [0, 14, 18, 34, 38, 42, 62] as const;

function damage(random: Random, frame: Uint8Array): void {
  const at = random.chance(80)
    ? random.pick(headerStarts) + random.below(24)
    : random.below(Math.max(frame.length, 1));
  if (at >= frame.length) return;
  frame[at] = random.chance(50)
    ? (frame[at] ?? 0) ^ (1 << random.below(8))
    : random.pick([0, 1, 4, 0x45, 0x46, 0x4f, 0x60, 0x81, 0xff, random.below(256)]);
}

/** Octets without sense; half of them look like IPv4 to a virtual IP, so that they get further. */
function randomNoise(random: Random, targets: Targets): Uint8Array {
  const frame = Uint8Array.from({ length: random.below(120) }, () => random.word());
  if (frame.length < 34 || random.chance(50)) return frame;
  frame.set([0x08, 0x00, 0x40 | random.between(4, 15)], 12);
  if (random.chance(70)) frame.set([0, random.below(frame.length - 13)], 16);
  if (random.chance(70)) frame.set([0, 0], 20);
  if (random.chance(70)) frame[23] = random.pick([1, 6, 17, 50, 51]);
  const { address } = random.pick(targets);
  frame.set([address >>> 24, address >>> 16, address >>> 8, address], 30);
  return frame;
}

function randomValid(random: Random, targets: Targets): TestFrame {
  return buildFrame(randomDescription(random), random.pick(targets).address);
}

/** A line of the frame language. */
export function randomDescription(random: Random): string {
  const layers = [`eth to ${random.pick(["cluster", "cluster", "nic", "broadcast", "other"])}`];
  while (random.chance(15)) {
    const id = random.chance(70) ? 0 : random.number(4095);
    layers.push(`${random.pick(["vlan", "qinq"])} ${id} priority ${random.below(8)}`);
  }
  if (random.chance(2)) layers.push(random.pick(["ipv6", "arp who-has vip from 192.0.2.7"]));
  else layers.push(...randomPacket(random, random.chance(90) ? "vip" : address(random), false));
  if (random.chance(30)) layers.push(`pad to ${random.below(120)}`);
  return layers.join(" / ");
}

/** IPv4 and what it holds. `isQuoted`: inside an ICMP error, where it came from the virtual IP. */
function randomPacket(random: Random, vip: string, isQuoted: boolean): string[] {
  const words = [isQuoted ? `ipv4 ${vip} > ${address(random)}` : `ipv4 ${address(random)} > ${vip}`];
  if (random.chance(25)) words.push(`options ${random.between(1, 10) * 4}`);
  if (random.chance(20)) {
    const offset = random.chance(50) ? 0 : random.number(8191) * 8;
    words.push(`fragment ${offset}${random.chance(60) ? " more" : ""}`);
  }
  if (random.chance(10)) words.push("dont-fragment");
  if (random.chance(10)) return [`${words.join(" ")} proto ${random.number(255)}`, randomData(random)];
  return [words.join(" "), ...randomPayload(random, isQuoted)];
}

function randomPayload(random: Random, isQuoted: boolean): string[] {
  const choice = random.below(10);
  if (choice < 5) {
    const name = random.pick(["tcp", "udp", "udplite", "dccp", "sctp"]);
    const ports = `${random.number(65_535)} > ${random.number(65_535)}`;
    return [`${name} ${ports} no-checksum`, randomData(random)];
  }
  if (choice === 5) return [`${random.pick(["esp", "ah"])} ${random.number(0xffffffff)}`, randomData(random)];
  if (choice === 6) return [`icmp type ${random.number(20)}`, randomData(random)];
  if (isQuoted) return ["icmp echo-reply", randomData(random)];
  const quoted = randomPacket(random, random.chance(90) ? "vip" : address(random), true);
  const kept = random.chance(50) ? ` quoting ${random.between(16, 90)}` : "";
  return [`icmp type ${random.pick([3, 4, 5, 11, 12])} code ${random.below(16)}${kept}`, ...quoted];
}

function randomData(random: Random): string {
  return `data ${random.chance(70) ? random.below(8) : random.below(200)}`;
}

function address(random: Random): string {
  return random.chance(10)
    ? random.pick(["0.0.0.0", "255.255.255.255", "128.0.0.0"])
    : formatIpv4(random.word());
}
