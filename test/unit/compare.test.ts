import { expect, test } from "vitest";
import { parseIpv4Address } from "../../src/model/address.ts";
import { agree, agreeBut, compare, type Field, meaningOfBuckets, setUp } from "../../src/model/compare.ts";
import { toClusterMac } from "../../src/model/mac.ts";
import type { VirtualIp } from "../../src/model/virtual-ip.ts";
import { parseVirtualIp } from "../../src/settings/virtual-ip.ts";

const virtualIp = parseVirtualIp({
  ...{ vip: "192.0.2.10", nic: "eth0", "total-nodes": 4, "local-node": [1, 3] },
  clustermac: "01:00:5e:00:00:10",
});
const { hash } = virtualIp;

/** One change of every field. */
const changes: Record<Exclude<Field, "hashFamily">, Partial<VirtualIp>> = {
  address: { address: parseIpv4Address("192.0.2.11") },
  nic: { nic: "eth1" },
  bucketCount: { bucketCount: 5 },
  hashMode: { hash: { ...hash, words: "sourceip" } },
  hashInit: { hash: { ...hash, seed: 7 } },
  clusterMac: { clusterMac: toClusterMac("01:00:5e:00:00:11") },
  prefixLength: { prefixLength: 24 },
  engine: { engine: "bpf" },
  localBuckets: { localBuckets: [1] },
};

test.each(Object.entries(changes))("another %s is the one difference", (field, change) => {
  const other = { ...virtualIp, ...change };
  expect([...compare(virtualIp, other).keys()]).toEqual([field]);
  expect([...compare(other, virtualIp).keys()]).toEqual([field]);
});

test("a field that is added to the model is compared, too", () => {
  const known = new Set(Object.values(changes).flatMap((change) => Object.keys(change)));
  expect([...known].sort()).toEqual(Object.keys(virtualIp).sort());
});

test("equal sets of buckets are no difference, whichever list they are", () => {
  expect(compare(virtualIp, { ...virtualIp, localBuckets: [1, 3] }).size).toBe(0);
  for (const localBuckets of [[], [1], [3], [1, 2], [1, 3, 4], [13]]) {
    expect([...compare(virtualIp, { ...virtualIp, localBuckets }).keys()]).toEqual(["localBuckets"]);
  }
});

test("says what is on either side, in the order in which messages name it", () => {
  const other = { ...virtualIp, ...changes.hashInit, ...changes.nic, ...changes.engine };
  expect([...compare(virtualIp, other)]).toEqual([
    ["nic", { left: "eth0", right: "eth1" }],
    ["hashInit", { left: 0, right: 7 }],
    ["engine", { left: "auto", right: "bpf" }],
  ]);
});

test("which fields matter is said by who asks", () => {
  const moved = compare(virtualIp, { ...virtualIp, localBuckets: [], prefixLength: 24 });
  expect(agree(moved, ...setUp)).toBe(true);
  expect(agree(moved, ...meaningOfBuckets)).toBe(true);
  expect(agreeBut(moved, "localBuckets")).toBe(false);
  expect(agreeBut(moved, "localBuckets", "prefixLength")).toBe(true);
  for (const field of ["bucketCount", "hashMode", "hashInit"] as const) {
    const differences = compare(virtualIp, { ...virtualIp, ...changes[field] });
    expect(agree(differences, ...meaningOfBuckets)).toBe(false);
    expect(agree(differences, ...setUp)).toBe(false);
  }
  for (const field of ["address", "nic", "clusterMac", "engine"] as const) {
    const differences = compare(virtualIp, { ...virtualIp, ...changes[field] });
    expect(agree(differences, ...meaningOfBuckets)).toBe(true);
    expect(agree(differences, ...setUp)).toBe(false);
  }
});
