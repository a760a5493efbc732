import { expect, test } from "vitest";
import { ClusterIpError, isClusterIpError, messageOf } from "../../src/core/errors.ts";

test("an error keeps its code, sentence and cause", () => {
  const cause = new Error("inner");
  const error = new ClusterIpError("CLUSTERIP_HOST", "A sentence.", { cause });
  expect(error).toMatchObject({
    name: "ClusterIpError",
    code: "CLUSTERIP_HOST",
    message: "A sentence.",
    cause,
  });
  expect(isClusterIpError(error)).toBe(true);
  expect(isClusterIpError(error, "CLUSTERIP_HOST")).toBe(true);
  expect(isClusterIpError(error, "CLUSTERIP_ENGINE")).toBe(false);
  expect(isClusterIpError(cause)).toBe(false);
});

test("anything that was thrown has a message", () => {
  expect(messageOf(new Error("why"))).toBe("why");
  expect(messageOf("a text")).toBe("a text");
  expect(messageOf(undefined)).toBe("undefined");
});
