/** The facts that TypeScript and C share: written once, with numbers that keep their meaning. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, test } from "vitest";
import { MAX_MAP_NAME, mapName, nativeFacts } from "../../scripts/generate/native-facts.ts";
import { hashModeNumbers } from "../../src/core/bucket.ts";
import {
  engineDropCatalogue,
  REASON_ROOM,
  reasonCatalogue,
  reasonOf,
  reasons,
  verdictNumbers,
} from "../../src/core/verdict.ts";
import { projectRoot } from "../support/lab/paths.ts";

it.each([...nativeFacts()])(
  "%s is up to date (node dist/scripts/generate/write-native-facts.js writes it)",
  (name, content) => {
    expect(readFileSync(path.join(projectRoot, name), "utf8")).toBe(content);
  },
);

/** Every number that ever had a meaning. A line is never changed and never removed; new ones come at the end. */
const reasonsOfAllTimes: Readonly<Record<number, string>> = {
  0: "local-bucket",
  1: "later-fragment",
  2: "icmp-inner-spi",
  3: "foreign-bucket",
  4: "not-ipv4",
  5: "vlan-tagged",
  6: "other-host",
  7: "other-address",
  8: "ethernet-truncated",
  9: "ipv4-truncated",
  10: "ipv4-version",
  11: "ipv4-header-length",
  12: "ipv4-total-length",
  13: "ports-truncated",
  14: "icmp-truncated",
  15: "icmp-inner-truncated",
  16: "icmp-inner-malformed",
  17: "icmp-inner-fragment",
  18: "icmp-other-flow",
  19: "icmp-unsolicited",
};

describe("numbers never change their meaning", () => {
  test("of reasons", () => {
    const numbers = reasons.map((reason) => reasonCatalogue[reason].number);
    expect(new Set(numbers).size).toBe(reasons.length);
    for (const reason of reasons) {
      const { number } = reasonCatalogue[reason];
      expect(reasonsOfAllTimes[number]).toBe(reason);
      expect(reasonOf(number)).toBe(reason);
      expect(number).toBeLessThan(REASON_ROOM);
    }
    expect(reasonOf(REASON_ROOM)).toBeUndefined();
  });

  test("of verdicts, hash modes and drops", () => {
    expect(verdictNumbers).toEqual({ accept: 0, foreign: 1, "not-ours": 2, malformed: 3, drop: 4 });
    expect(Object.entries(hashModeNumbers)).toEqual([
      ["sourceip", 0],
      ["sourceip-sourceport", 1],
      ["sourceip-sourceport-destport", 2],
    ]);
    const drops = Object.entries(engineDropCatalogue).map(([drop, { number }]) => [drop, number]);
    expect(drops).toEqual([
      ["capture-truncated", 0],
      ["delivery-failed", 1],
    ]);
  });
});

test("the names of the maps end with their layout and fit into the kernel", () => {
  for (const map of ["vip_table", "vip_counters", "nic_counters"] as const) {
    expect(mapName(map)).toMatch(new RegExp(`^${map}_\\d+$`));
    expect(mapName(map).length).toBeLessThanOrEqual(MAX_MAP_NAME);
  }
});
