/** What the tools print with --json: JSON, under the names that users know. */
import { execFileSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../src/package.ts";

const root = packageRoot();

function json(...args: readonly string[]): unknown {
  const program = path.join(root, "bin", "clusterip");
  return JSON.parse(execFileSync(program, [...args, "--json"], { encoding: "utf8", cwd: root }));
}

test("explain", () => {
  expect(json("explain", "198.51.100.7:40000", "192.0.2.10:80", "--total-nodes", "3")).toMatchObject({
    ...{ from: "198.51.100.7:40000", to: "192.0.2.10:80", protocol: "tcp" },
    ...{ hashMode: "sourceip-sourceport", totalNodes: 3, hashInit: 0 },
  });
});

test("simulate", () => {
  const hash = ["--total-nodes", "3", "--down", "2", "--hash-init", "7"];
  expect(json("simulate", "--clients", "198.51.100.0/24", ...hash)).toMatchObject({
    settings: { hashMode: "sourceip-sourceport", totalNodes: 3, hashInit: 7 },
    ownership: { totalNodes: 3, down: [2], ownerOf: [1, 1, 3] },
  });
});

test("replay, whose times are more than a number of JSON can say", () => {
  const capture = "test/fixtures/captures/ethernet.pcap";
  const replay = json("replay", capture, "--total-nodes", "3");
  expect(replay).toMatchObject({
    settings: { totalNodes: 3 },
    ownership: { totalNodes: 3 },
    firstNs: expect.stringMatching(/^\d{19}$/),
    lastNs: expect.stringMatching(/^\d{19}$/),
  });
});
