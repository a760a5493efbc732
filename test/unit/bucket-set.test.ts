import { expect, test } from "vitest";
import {
  bucketMask,
  changeBuckets,
  formatBuckets,
  parseBucketChange,
  releaseBucket,
  takeBucket,
  toBucketSet,
} from "../../src/model/bucket-set.ts";

test("prints as the /proc file did", () => {
  expect(formatBuckets(toBucketSet([3, 1, 3]))).toBe("1,3");
  expect(formatBuckets([])).toBe("");
});

test("the mask has bit N-1 for bucket N", () => {
  expect(bucketMask([1, 3, 16])).toBe(0x8005);
});

test("a set has buckets from 1 to 256; the word that the engines read has 16", () => {
  expect(toBucketSet([256, 1])).toEqual([1, 256]);
  for (const bucket of [0, 257, -1, 1.5, Number.NaN]) {
    expect(() => toBucketSet([1, bucket])).toThrow(`${bucket} is no bucket: expected 1 to 256`);
  }
  expect(() => bucketMask([1, 17])).toThrow("bucket 17 has no bit in a word of 16");
});

test("a bucket is taken or released whatever was before", () => {
  expect(takeBucket([1, 3], 2)).toEqual([1, 2, 3]);
  expect(takeBucket([1, 3], 3)).toEqual([1, 3]);
  expect(releaseBucket([1, 3], 3)).toEqual([1]);
  expect(releaseBucket([1, 3], 2)).toEqual([1, 3]);
});

test("adds and removes one bucket", () => {
  expect(changeBuckets([1], parseBucketChange("+3"), 4)).toEqual([1, 3]);
  expect(changeBuckets([1, 3], parseBucketChange("-1"), 4)).toEqual([3]);
  expect(changeBuckets([], parseBucketChange("+16"), 16)).toEqual([16]);
  expect(parseBucketChange("+03")).toEqual({ action: "take", bucket: 3 });
  // With its newline the longest that the kernel took.
  expect(parseBucketChange("+00000003")).toEqual({ action: "take", bucket: 3 });
});

test.each([
  ["+", "CLUSTERIP_BAD_NODE_CHANGE"],
  ["+0x3", "CLUSTERIP_BAD_NODE_CHANGE"],
  ["+3,4", "CLUSTERIP_BAD_NODE_CHANGE"],
  ["+ 3", "CLUSTERIP_BAD_NODE_CHANGE"],
  ["3", "CLUSTERIP_BAD_NODE_CHANGE"],
  ["", "CLUSTERIP_BAD_NODE_CHANGE"],
  ["+3\n", "CLUSTERIP_BAD_NODE_CHANGE"],
  ["+000000003", "CLUSTERIP_BAD_NODE_CHANGE"], // longer than the 10 bytes that the kernel took
])("refuses %j", (text, code) => {
  expect(() => parseBucketChange(text)).toThrow(expect.objectContaining({ code }));
});

test.each([
  ["+1", "CLUSTERIP_NODE_ALREADY_LOCAL"],
  ["+0", "CLUSTERIP_NODE_OUT_OF_RANGE"],
  ["+4", "CLUSTERIP_NODE_OUT_OF_RANGE"],
  ["-2", "CLUSTERIP_NODE_NOT_LOCAL"],
  ["-0", "CLUSTERIP_NODE_OUT_OF_RANGE"],
  ["-4", "CLUSTERIP_NODE_OUT_OF_RANGE"],
])("refuses %s of 3 nodes where bucket 1 is local", (text, code) => {
  expect(() => changeBuckets([1], parseBucketChange(text), 3)).toThrow(expect.objectContaining({ code }));
});

test("says that there is none when nothing is local", () => {
  expect(() => changeBuckets([], parseBucketChange("-1"), 3)).toThrow(
    "Bucket 1 is not this node's: it has none.",
  );
});
