/** Every row of the verdict table through both verdicts, and what the table promises of itself. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { hashModes, protocolNumbers } from "../../src/core/bucket.ts";
import { type ClassifyTarget, classify, packetTypes } from "../../src/core/classify.ts";
import { reasonOf, reasons, verdicts } from "../../src/core/verdict.ts";
import { bucketMask } from "../../src/model/bucket-set.ts";
import type { NativeHashSettings } from "../../src/native.ts";
import { buildFrame } from "../../src/verdict-table/build-frame.ts";
import {
  formatRow,
  formatSettings,
  parseTable,
  type VerdictRow,
  verdictTable,
} from "../../src/verdict-table/rows.ts";
import { loadTrial } from "../support/verdict/native-trial.ts";

const table = verdictTable();
const named = table.map((row): [string, VerdictRow] => [`${row.sentence} (${row.settings})`, row]);

function nativeSettings(target: ClassifyTarget): NativeHashSettings {
  return {
    addressHost: target.address,
    hashMode: hashModes.indexOf(target.hashMode),
    bucketCount: target.bucketCount,
    hashInit: target.hashInit,
    localMask: bucketMask(target.localBuckets),
  };
}

describe("rows", () => {
  test.each(named)("TypeScript: %s", (_, { frame, target, verdict, reason, bucket }) => {
    const built = buildFrame(frame, target.address);
    expect(classify(built.frame, target, built)).toEqual({
      verdict,
      reason,
      ...(bucket === undefined ? {} : { bucket }),
    });
  });

  test.each(named)("native: %s", (_, { frame, target, reason, bucket }) => {
    const { Judge, reasonNames } = loadTrial();
    const built = buildFrame(frame, target.address);
    const judged = new Judge([nativeSettings(target)]).judge(built.frame, packetTypes[built.packetType]);
    expect({ reason: reasonNames()[judged & 0xff], bucket: judged >>> 8 }).toEqual({
      reason,
      bucket: bucket ?? 0,
    });
  });

  const onEthernet = named.filter(([, { frame, reason }]) => {
    const isPlain = !/\/ (vlan|qinq) |^eth to other/.test(frame);
    return isPlain && reason !== "ethernet-truncated" && reason !== "not-ipv4";
  });
  test.each(onEthernet)("without its Ethernet header: %s", (_, { frame, target, reason, bucket }) => {
    const built = buildFrame(frame, target.address);
    expect(classify(built.frame.subarray(14), target, { layer: "ipv4" })).toMatchObject({
      reason,
      ...(bucket === undefined ? {} : { bucket }),
    });
  });
});

describe("the table is whole", () => {
  test("it has about a hundred rows, each said once", () => {
    expect(table.length).toBeGreaterThanOrEqual(100);
    const doubles = (texts: readonly string[]) => texts.filter((text, at) => texts.indexOf(text) !== at);
    expect(doubles(table.map(({ sentence }) => sentence))).toEqual([]);
    expect(doubles(table.map(({ settings, frame }) => `${settings}: ${frame}`))).toEqual([]);
  });

  test("every verdict and every reason has a row", () => {
    expect(verdicts.filter((verdict) => !table.some((row) => row.verdict === verdict))).toEqual([]);
    expect(reasons.filter((reason) => !table.some((row) => row.reason === reason))).toEqual([]);
  });

  test("every hash mode and every protocol of the port table has a row", () => {
    const modes = new Set(table.map(({ target }) => target.hashMode));
    expect(hashModes.filter((mode) => !modes.has(mode))).toEqual([]);
    const isThere = (name: string) => table.some(({ frame }) => frame.includes(`vip / ${name} `));
    const { gre, ...others } = protocolNumbers;
    expect(Object.keys(others).filter((name) => !isThere(name))).toEqual([]);
    expect(table.some(({ frame }) => frame.includes("proto gre"))).toBe(gre === 47);
  });

  test("every packet type that Linux has for received frames has a row", () => {
    const types = new Set(table.map(({ frame, target }) => buildFrame(frame, target.address).packetType));
    expect(Object.keys(packetTypes).filter((type) => !types.has(type as keyof typeof packetTypes))).toEqual(
      [],
    );
  });

  test("packet types have the numbers of linux/if_packet.h", () => {
    expect(packetTypes).toEqual({ host: 0, broadcast: 1, multicast: 2, otherHost: 3 });
  });

  test("every sentence is one", () => {
    expect(table.filter(({ sentence }) => !/^("?[A-Z]|\.\.\. ).*\.$/.test(sentence))).toEqual([]);
  });

  test("native and TypeScript name the same reasons by the same numbers", () => {
    const names = loadTrial().reasonNames();
    expect(names.map((_, number) => reasonOf(number))).toEqual(names);
    expect(names.filter((name) => name !== undefined).sort()).toEqual([...reasons].sort());
  });
});

test("every bucket is one that a kernel with ipt_CLUSTERIP computed", () => {
  const file = new URL("../fixtures/vectors/clusterip-6.1.csv.gz", import.meta.url);
  const vectors = new Set(gunzipSync(readFileSync(file)).toString().split("\n"));
  const unknown = table.filter(({ bucket, kernelFlow, target }) => {
    if (bucket === undefined) return kernelFlow !== undefined;
    const { hashMode, bucketCount, hashInit } = target;
    return !vectors.has(`${hashMode},${bucketCount},${hashInit},${kernelFlow},${bucket}`);
  });
  expect(unknown).toEqual([]);
});

describe("the text of the table", () => {
  test("rows are written as they are read", () => {
    const text = table.map((row) => `${formatSettings(row.target)}\n\n${formatRow(row)}\n`).join("");
    expect(parseTable(text).map((row) => ({ ...row, section: "" }))).toEqual(
      table.map((row) => ({ ...row, section: "" })),
    );
    const [row] = parseTable(
      "with sourceip, 2 nodes, seed 7, local none, address 198.51.100.1\neth to nic / arp who-has vip from vip\n= not-ours not-ipv4\nX.",
    );
    expect(row && formatSettings(row.target)).toBe(
      "with sourceip, 2 nodes, seed 7, local none, address 198.51.100.1",
    );
  });

  const settings = "with sourceip, 2 nodes, seed 0, local 1\n";
  test.each([
    ["eth to nic / ipv6\n= not-ours not-ipv4\nX.", "line 1: a row needs a 'with' line before it"],
    [
      "with sourceip\n",
      "line 1: expected 'with MODE, N nodes, seed N, local N,N' instead of 'with sourceip'",
    ],
    ["with modulo, 2 nodes, seed 0, local 1", "expected 'with MODE"],
    [`${settings}eth to nic / ipv6\nnot-ours\nX.`, "line 3: expected '= VERDICT REASON"],
    [`${settings}eth to nic / ipv6\n= accept because\nX.`, "line 3: expected '= VERDICT REASON"],
    [`${settings}eth to nic / ipv6\n= accept not-ipv4\nX.`, "line 3: the verdict of not-ipv4 is not-ours"],
    [`${settings}eth to nic / ipv6\n= not-ours not-ipv4\n`, "line 4: expected a sentence"],
  ])("refuses %j", (text, why) => {
    expect(() => parseTable(text)).toThrow(why);
  });
});
