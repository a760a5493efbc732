/** The facts of src/core as the C of `native/generated`. */
import { hashModeNumbers } from "../../src/core/bucket.ts";
import { packetTypes } from "../../src/core/classify.ts";
import { MAP_LAYOUT, MAX_VIRTUAL_IPS_PER_NIC, MAX_WORKERS } from "../../src/core/facts.ts";
import {
  engineDropCatalogue,
  REASON_ROOM,
  reasonCatalogue,
  reasonOf,
  reasons,
  type Verdict,
  verdictNumbers,
  verdicts,
} from "../../src/core/verdict.ts";
import { MAX_BUCKETS } from "../../src/model/bucket-set.ts";

const WRITTEN = "// Written by scripts/generate from src/core: do not edit.";

type Numbers = readonly (readonly [name: string, number: number])[];

const maps = ["vip_table", "vip_counters", "nic_counters"] as const;

/** BPF_OBJ_NAME_LEN - 1 of linux/bpf.h: the kernel cuts what is longer, and a cut name is found by nobody. */
export const MAX_MAP_NAME = 15;

/** A map as it is called in the kernel. */
export function mapName(map: (typeof maps)[number]): string {
  const name = `${map}_${MAP_LAYOUT}`;
  if (name.length > MAX_MAP_NAME)
    throw new Error(`The name ${name} is longer than ${MAX_MAP_NAME} characters.`);
  return name;
}

/** `otherHost` and `other-host` are OTHER_HOST. */
const constant = (name: string): string =>
  name
    .replace(/[A-Z]/g, (letter) => `_${letter}`)
    .replaceAll("-", "_")
    .toUpperCase();

/** One above the highest number. */
const countOf = (numbers: Numbers): number => Math.max(...numbers.map(([, number]) => number)) + 1;

function enumeration(name: string, prefix: string, numbers: Numbers, last?: string): string {
  const lines = numbers.map(([key, number]) => `  ${prefix}${constant(key)} = ${number},`);
  if (last !== undefined) lines.push(`  ${last} = ${countOf(numbers)},  // one above the highest`);
  return [`enum ${name} {`, ...lines, "};"].join("\n");
}

const reasonNumbers: Numbers = reasons.map((reason) => [reason, reasonCatalogue[reason].number]);
const dropNumbers: Numbers = Object.entries(engineDropCatalogue).map(([drop, { number }]) => [drop, number]);

/** The labels of a verdict's reasons in a switch. */
const casesOf = (verdict: Verdict): string[] =>
  reasons
    .filter((reason) => reasonCatalogue[reason].verdict === verdict)
    .map((reason) => `    case REASON_${constant(reason)}:`);

/** Switches: for BPF a table of bits or of verdicts would be memory of its own, or slower. */
const verdictFunctions: readonly string[] = [
  "static inline bool clusterip_is_accepted(enum clusterip_reason reason) {",
  "  switch (reason) {",
  ...casesOf("accept"),
  "      return true;",
  "    default:",
  "      return false;",
  "  }",
  "}",
  "",
  "static inline enum clusterip_verdict clusterip_verdict_of(enum clusterip_reason reason) {",
  "  switch (reason) {",
  ...verdicts
    .slice(0, -1)
    .flatMap((verdict) => [...casesOf(verdict), `      return VERDICT_${constant(verdict)};`]),
  "    default:",
  `      return VERDICT_${constant(verdicts.at(-1) ?? "")};`,
  "  }",
  "}",
];

const hashModeWords = (mode: string): string =>
  mode.replace("sourceport", "source-port").replace("destport", "dest-port").replace("sourceip", "source-ip");

function facts(): string {
  return `${[
    WRITTEN,
    "#pragma once",
    "",
    "#include <stdbool.h>",
    "",
    "enum {",
    `  CLUSTERIP_MAX_BUCKETS = ${MAX_BUCKETS},`,
    '  // Of one interface, with engine "bpf".',
    `  CLUSTERIP_MAX_VIRTUAL_IPS = ${MAX_VIRTUAL_IPS_PER_NIC},`,
    '  // Of engine "userspace".',
    `  CLUSTERIP_MAX_WORKERS = ${MAX_WORKERS},`,
    "  // Above the number of any reason there will be.",
    `  CLUSTERIP_REASON_ROOM = ${REASON_ROOM},`,
    "};",
    "",
    '// The maps of engine "bpf" by their names in the kernel, which end with the number of their layout.',
    `#define CLUSTERIP_MAP_LAYOUT ${MAP_LAYOUT}`,
    ...maps.map((map) => `#define CLUSTERIP_${constant(map)} ${mapName(map)}`),
    ...maps.map((map) => `#define CLUSTERIP_${constant(map)}_NAME "${mapName(map)}"`),
    "",
    "// The number of port words that are hashed.",
    enumeration(
      "clusterip_hash_mode",
      "HASH_",
      Object.entries(hashModeNumbers).map(([mode, number]) => [hashModeWords(mode), number]),
    ),
    "",
    "// linux/if_packet.h",
    enumeration("clusterip_packet_type", "PACKET_TYPE_", Object.entries(packetTypes)),
    "",
    enumeration("clusterip_verdict", "VERDICT_", Object.entries(verdictNumbers)),
    "",
    enumeration("clusterip_reason", "REASON_", reasonNumbers, "REASON_COUNT"),
    "",
    ...verdictFunctions,
    "",
    "// What the userspace engine drops without a verdict.",
    enumeration("clusterip_drop", "DROP_", dropNumbers, "DROP_COUNT"),
  ].join("\n")}\n`;
}

function reasonNames(): string {
  const names = Array.from({ length: countOf(reasonNumbers) }, (_, number) => reasonOf(number));
  return `${[
    WRITTEN,
    "#pragma once",
    "",
    "#include <array>",
    "",
    '#include "generated/facts.h"',
    "",
    "namespace clusterip {",
    "",
    "// The names that src/core/verdict.ts uses, by number; nullptr for a number without a reason.",
    "inline constexpr std::array<const char*, REASON_COUNT> kReasonNames = {",
    ...names.map((name) => (name === undefined ? "    nullptr," : `    "${name}",`)),
    "};",
    "",
    "}  // namespace clusterip",
  ].join("\n")}\n`;
}

/** All files, by their paths in the package. */
export function nativeFacts(): ReadonlyMap<string, string> {
  return new Map([
    ["native/generated/facts.h", facts()],
    ["native/generated/reason_names.h", reasonNames()],
  ]);
}
