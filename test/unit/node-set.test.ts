import { expect, test } from "vitest";
import { changeNodes, formatNodes, nodeMask, parseNodeChange, toNodeSet } from "../../src/core/node-set.ts";

test("prints as the /proc file did", () => {
  expect(formatNodes(toNodeSet([3, 1, 3]))).toBe("1,3");
  expect(formatNodes([])).toBe("");
});

test("the mask has bit N-1 for bucket N", () => {
  expect(nodeMask([1, 3, 16])).toBe(0x8005);
});

test("adds and removes one bucket", () => {
  expect(changeNodes([1], parseNodeChange("+3"), 4)).toEqual([1, 3]);
  expect(changeNodes([1, 3], parseNodeChange("-1"), 4)).toEqual([3]);
  expect(changeNodes([], parseNodeChange("+16"), 16)).toEqual([16]);
  expect(parseNodeChange("+03")).toEqual({ action: "add", node: 3 });
  // With its newline the longest that the kernel took.
  expect(parseNodeChange("+00000003")).toEqual({ action: "add", node: 3 });
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
  expect(() => parseNodeChange(text)).toThrow(expect.objectContaining({ code }));
});

test.each([
  ["+1", "CLUSTERIP_NODE_ALREADY_LOCAL"],
  ["+0", "CLUSTERIP_NODE_OUT_OF_RANGE"],
  ["+4", "CLUSTERIP_NODE_OUT_OF_RANGE"],
  ["-2", "CLUSTERIP_NODE_NOT_LOCAL"],
  ["-0", "CLUSTERIP_NODE_OUT_OF_RANGE"],
  ["-4", "CLUSTERIP_NODE_OUT_OF_RANGE"],
])("refuses %s of 3 nodes where bucket 1 is local", (text, code) => {
  expect(() => changeNodes([1], parseNodeChange(text), 3)).toThrow(expect.objectContaining({ code }));
});

test("says that there is none when nothing is local", () => {
  expect(() => changeNodes([], parseNodeChange("-1"), 3)).toThrow(
    "Bucket 1 is not this node's: it has none.",
  );
});
