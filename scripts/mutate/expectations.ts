/** What the checks of a mutation run have to find: vectors, verdict table and random frames. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import {
  type HashMode,
  hashModeNumbers,
  portWireLittleEndian,
  protocolNumbers,
} from "../../src/core/bucket.ts";
import { type ClassifyTarget, classify, packetTypes } from "../../src/core/classify.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { reasonCatalogue } from "../../src/core/verdict.ts";
import { bucketMask, MAX_BUCKETS } from "../../src/model/bucket-set.ts";
import { packageRoot } from "../../src/package.ts";
import { buildFrame } from "../../src/verdict-table/build-frame.ts";
import { verdictTable } from "../../src/verdict-table/rows.ts";
import {
  Random,
  randomFrames,
  randomTargets,
  type TestFrame,
} from "../../test/support/verdict/differential-frames.ts";

const INTERFACES = 400;
const FRAMES_PER_INTERFACE = 100;

/** The lines that both checks read; native-check.cc says their form. */
export function expectationLines(): string {
  return `${[`limit ${MAX_BUCKETS}`, ...vectorLines(), ...emptyLines(), ...tableLines(), ...kernelLines(), ...randomLines()].join("\n")}\n`;
}

function vectorLines(): string[] {
  const file = path.join(packageRoot(), "test/fixtures/vectors/clusterip-6.1.csv.gz");
  const rows = gunzipSync(readFileSync(file)).toString().trimEnd().split("\n").slice(1);
  return rows.map((row) => {
    const [mode = "", total, seed, proto = "", saddr = "", sport, dport, bucket] = row.split(",");
    const number = proto.startsWith("proto")
      ? Number(proto.slice(5))
      : protocolNumbers[proto as keyof typeof protocolNumbers];
    const ports = [sport, dport].map((port) => portWireLittleEndian(Number(port))).join(" ");
    const settings = `${hashModeNumbers[mode as HashMode]} ${total} ${seed}`;
    return `bucket ${settings} ${number} ${parseIpv4(saddr)} ${ports} ${bucket}`;
  });
}

/** An interface without a virtual IP, as it is before the first and after the last one. */
function emptyLines(): string[] {
  const outcome = `${reasonCatalogue["other-address"].number} 0`;
  const frames = verdictTable().filter(({ reason }) => reason === "local-bucket");
  return [
    "interface",
    ...frames.map(({ frame, target }) => frameLine(buildFrame(frame, target.address), outcome)),
  ];
}

function tableLines(): string[] {
  return verdictTable().flatMap(({ frame, target, reason, bucket }) => {
    const built = buildFrame(frame, target.address);
    const outcome = `${reasonCatalogue[reason].number} ${bucket ?? 0}`;
    return ["interface", vipLine(target), frameLine(built, outcome)];
  });
}

/** What only the kernel hands over, or what it does not look through: see native-check.cc. */
function kernelLines(): string[] {
  return verdictTable().flatMap(({ frame, target, reason, bucket }) => {
    const built = buildFrame(frame, target.address);
    const octets = Buffer.from(built.frame);
    if (reason !== "local-bucket" || word(octets, 12) !== 0x0800) return [];
    const outcome = `${reasonCatalogue[reason].number} ${bucket ?? 0}`;
    const lines = ["interface", vipLine(target)];
    const tag = Buffer.from("8100e000", "hex");
    for (let tags = 1; tags <= 6; tags += 1) {
      const inside = [octets.subarray(0, 12), ...Array<Buffer>(tags).fill(tag), octets.subarray(12)];
      lines.push(frameLine({ frame: Buffer.concat(inside), packetType: built.packetType }, outcome));
    }
    const merged = (whole: Buffer, expected: string): string =>
      `merged ${expected} ${whole.length} ${whole.toString("hex")}`;
    const withoutLength = Buffer.from(octets.subarray(0, 14 + word(octets, 16)));
    withoutLength.writeUInt16BE(0, 16);
    lines.push(merged(withoutLength, outcome));
    const withoutPorts = Buffer.from(octets);
    withoutPorts.writeUInt16BE(((octets[14] ?? 0) & 15) * 4, 16);
    const cut = [6, 17].includes(octets[23] ?? 0) && (word(octets, 20) & 0x1fff) === 0;
    if (cut) lines.push(merged(withoutPorts, `${reasonCatalogue["ports-truncated"].number} 0`));
    return lines;
  });
}

function randomLines(): string[] {
  const random = new Random(1);
  return Array.from({ length: INTERFACES }, () => {
    const targets = randomTargets(random);
    const lines = ["interface", ...targets.map(vipLine)];
    for (const testFrame of randomFrames(random, targets, FRAMES_PER_INTERFACE)) {
      const results = targets.map((target) => classify(testFrame.frame, target, testFrame));
      const result = results.find(({ reason }) => reason !== "other-address") ?? results[0];
      if (result === undefined) continue;
      lines.push(frameLine(testFrame, `${reasonCatalogue[result.reason].number} ${result.bucket ?? 0}`));
    }
    return lines;
  }).flat();
}

function vipLine({ address, hashMode, bucketCount, hashInit, localBuckets }: ClassifyTarget): string {
  return `vip ${address} ${hashModeNumbers[hashMode]} ${bucketCount} ${hashInit} ${bucketMask(localBuckets)}`;
}

function frameLine({ frame, packetType }: TestFrame, outcome: string): string {
  // Behind the tags; read only for frames that are accepted, so lengths have been checked.
  let offset = 14;
  while ([0x8100, 0x88a8].includes(word(frame, offset - 2))) offset += 4;
  const placed = `${isIcmpError(frame.subarray(offset)) ? 1 : 0} ${offset} ${word(frame, offset + 2)}`;
  const hex = Buffer.from(frame).toString("hex");
  return `frame ${packetTypes[packetType]} ${outcome} ${placed} ${frame.length} ${hex}`;
}

/** RFC 792; the check looks at it only when a bucket was found, so the lengths are right. */
function isIcmpError(packet: Uint8Array): boolean {
  const icmpType = packet[((packet[0] ?? 0) & 15) * 4] ?? 0;
  return packet[9] === protocolNumbers.icmp && [3, 4, 5, 11, 12].includes(icmpType);
}

function word(frame: Uint8Array, at: number): number {
  return ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
}
