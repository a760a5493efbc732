import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { bucketOf, classify, parseIpv4 } from "../../src/index.ts";
import { inKernelWords, inOurWords, toSettings } from "../../src/model/kernel-words.ts";
import { packageRoot } from "../../src/package.ts";
import { parseVirtualIp } from "../../src/settings/virtual-ip.ts";

test("JSON has the kernel's words in the order of ours, and back", () => {
  const ours = { vip: "192.0.2.10", bucketCount: 3, localBuckets: [1, 3], buckets: [{ bucket: 1 }] };
  const kernel = inKernelWords(ours);
  expect(JSON.stringify(kernel)).toBe(
    '{"vip":"192.0.2.10","totalNodes":3,"localNodes":[1,3],"buckets":[{"bucket":1}]}',
  );
  expect(inOurWords(kernel)).toEqual(ours);
  expect(inKernelWords({ ownBucket: 2, ownBuckets: [2] })).toEqual({ node: 2, nodes: [2] });
});

test("fields that every object has by birth are nobody's words", () => {
  expect(inOurWords({ constructor: 1, toString: 2 })).toEqual({ constructor: 1, toString: 2 });
});

test("settings in our words are what a file or a request says", () => {
  const vip = { address: "192.0.2.10", nic: "eth0", bucketCount: 3, localBuckets: [1], hashMode: undefined };
  const named = { vip: "192.0.2.10", nic: "eth0", "total-nodes": 3, "local-node": [1] };
  expect(toSettings(vip)).toEqual(named);
  expect(parseVirtualIp(toSettings(vip))).toEqual(parseVirtualIp(named));
});

test("the library keeps the words that its users know", () => {
  const settings = { hashMode: "sourceip", totalNodes: 1, hashInit: 0 } as const;
  const flow = { protocol: 6, saddrHost: 1, sourcePort: 2, destinationPort: 3 };
  expect(bucketOf(flow, settings)).toBe(1);
  const address = parseIpv4("192.0.2.10");
  const packet = Uint8Array.of(
    0x45,
    0,
    0,
    24,
    0,
    0,
    0,
    0,
    64,
    6,
    0,
    0,
    1,
    2,
    3,
    4,
    192,
    0,
    2,
    10,
    0,
    1,
    0,
    2,
  );
  const verdictWith = (localNodes: number[]): string =>
    classify(packet, { address, ...settings, localNodes }, { layer: "ipv4" }).reason;
  expect([verdictWith([1]), verdictWith([])]).toEqual(["local-bucket", "foreign-bucket"]);
});

/** Where a user's format or the addon's is written down as such. */
const formats: Readonly<Record<string, readonly string[]>> = {
  totalNodes: [],
  localNodes: ["reference/index.ts"],
  '"total-nodes"': ["settings/iptables-rule.ts", "settings/options.ts"],
  '"local-node"': ["settings/iptables-rule.ts", "settings/options.ts"],
};

test.each(Object.entries(formats))("%s is translated in one place", (word, known) => {
  const source = join(packageRoot(), "src");
  const files = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const found = files.filter((name) => {
    // Of documents in comments this says nothing.
    const code = readFileSync(join(source, name), "utf8").replace(/^\s*(\/\*\*|\*|\/\/).*$/gm, "");
    return code.includes(word);
  });
  expect(found.filter((name) => name !== "model/kernel-words.ts" && !known.includes(name))).toEqual([]);
});
