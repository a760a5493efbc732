/** The parts of the dataplane benchmark that turn packets and reports into figures. */
import { describe, expect, it } from "vitest";
import { nftBucketOf } from "../../bench/dataplane/contenders/netfilter.ts";
import { floodFrames, nobodysFrames } from "../../bench/dataplane/flows.ts";
import { parseWrk } from "../../bench/dataplane/measure/requests.ts";
import { readOptions } from "../../bench/dataplane/options.ts";
import { pairedRatios, percentile, summarise } from "../../bench/dataplane/statistics.ts";
import { classify } from "../../src/core/classify.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";

const target = {
  vip: "10.80.0.100",
  clusterMac: "69:27:c4:64:68:ab",
  sourceMac: "02:77:00:00:02:01",
  bucketCount: 4,
};

describe("flows of a flood", () => {
  const virtualIp = {
    address: parseIpv4(target.vip),
    hashMode: "sourceip-sourceport",
    bucketCount: target.bucketCount,
    hashInit: 0,
    localBuckets: [1],
  } as const;

  /** The frame as flood.bpf.c makes it. */
  const frameOf = (template: Buffer, flow: Buffer): Buffer => {
    const frame = Buffer.from(template);
    flow.copy(frame, 26, 0, 4);
    flow.copy(frame, 34, 4, 6);
    flow.copy(frame, 24, 6, 8);
    flow.copy(frame, 50, 8, 10);
    return frame;
  };

  it.each([
    { ownership: "foreign", reason: "foreign-bucket", isOwn: false },
    { ownership: "own", reason: "local-bucket", isOwn: true },
  ] as const)("are $ownership for clusteripd and for nft", ({ ownership, reason, isOwn }) => {
    const { template, flows } = floodFrames(target, ownership);
    for (let at = 0; at < flows.length; at += 12 * 64) {
      const frame = frameOf(template, flows.subarray(at, at + 12));
      expect(classify(frame, virtualIp).reason).toBe(reason);
      expect(nftBucketOf(frame.readUInt32BE(26), target.bucketCount) === 1).toBe(isOwn);
      expect(onesComplementSum(frame.subarray(14, 34))).toBe(0xffff);
      const pseudoHeader = Buffer.from([...frame.subarray(26, 34), 0, 6, 0, 20]);
      expect(onesComplementSum(Buffer.concat([pseudoHeader, frame.subarray(34, 54)]))).toBe(0xffff);
    }
  });

  it("can be frames that no protocol takes", () => {
    expect(nobodysFrames(floodFrames(target, "foreign")).template.readUInt16BE(12)).toBe(0x88b5);
  });
});

/** RFC 1071: all ones over data with its checksum. */
function onesComplementSum(octets: Buffer): number {
  let sum = 0;
  for (let at = 0; at < octets.length; at += 2) sum += octets.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

describe("wrk's report", () => {
  const report = [
    "Running 2s test @ http://10.80.0.100:80/",
    "  Latency Distribution",
    "     50%  459.00us",
    "     99%   16.68ms",
    "  61798 requests in 2.00s, 5.07MB read",
    "  Socket errors: connect 1, read 2, write 0, timeout 3",
    "  Non-2xx or 3xx responses: 4",
    "Requests/sec:  30899.01",
  ];

  it("is read", () => {
    expect(parseWrk(report.join("\n"))).toEqual({
      requests: 61_798,
      perSecond: 30_899.01,
      p50Us: 459,
      p99Us: 16_680,
      errors: 10,
    });
  });

  it("is refused when nothing was answered", () => {
    expect(() => parseWrk("  0 requests in 2.00s\nRequests/sec:  0.00")).toThrow("no requests");
  });
});

it("summarises runs by median, quartiles and range", () => {
  expect(summarise([4, 1, 3, 2, 5])).toEqual({ runs: 5, median: 3, quartiles: [2, 4], range: [1, 5] });
  expect(percentile([1, 2], 0.5)).toBe(1.5);
  expect(pairedRatios([2, 9], [1, 3, 5])).toEqual([2, 3]);
});

it("knows the measurements by name", () => {
  expect(readOptions(["--only", "foreign,moves"])?.only).toEqual(["foreign", "moves"]);
  expect(() => readOptions(["--only", "everything"])).toThrow("--only knows");
  expect(readOptions(["--help"])).toBeUndefined();
});
