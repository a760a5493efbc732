import { describe, expect, it } from "vitest";
import { bucketOf } from "../../src/core/bucket.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { addressAt, countAddresses, formatRanges, parseClients } from "../../src/tools/clients.ts";
import { bucketsOf, ownershipAfter } from "../../src/tools/ownership.ts";
import { type SimulationRequest, simulate } from "../../src/tools/simulate.ts";

describe("parseClients", () => {
  const range = (first: string, last: string) => ({ first: parseIpv4(first), last: parseIpv4(last) });

  it("reads networks and addresses, and drops host bits", () => {
    expect(parseClients("10.0.0.77/24")).toEqual([range("10.0.0.0", "10.0.0.255")]);
    expect(parseClients("192.0.2.7")).toEqual([range("192.0.2.7", "192.0.2.7")]);
    expect(parseClients("0.0.0.0/0")).toEqual([range("0.0.0.0", "255.255.255.255")]);
  });

  it("counts an address once however often it is named", () => {
    const ranges = parseClients("10.0.1.0/24, 10.0.0.0/24,10.0.0.128/25,192.0.2.1,192.0.2.1");
    expect(ranges).toEqual([range("10.0.0.0", "10.0.1.255"), range("192.0.2.1", "192.0.2.1")]);
    expect(countAddresses(ranges)).toBe(513);
    expect(addressAt(ranges, 511)).toBe(parseIpv4("10.0.1.255"));
    expect(addressAt(ranges, 512)).toBe(parseIpv4("192.0.2.1"));
    expect(() => addressAt(ranges, 513)).toThrow(RangeError);
    expect(formatRanges(ranges)).toBe("10.0.0.0-10.0.1.255, 192.0.2.1");
    expect(formatRanges(parseClients("10.0.0.1,10.0.0.3,10.0.0.5,10.0.0.7"))).toContain("and 1 more");
  });

  for (const text of [
    "",
    "10.0.0",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.1,",
    "10.0.0.0/-1",
    "::1",
  ]) {
    it(`refuses '${text}'`, () => {
      expect(() => parseClients(text)).toThrow(expect.objectContaining({ code: "CLUSTERIP_BAD_ADDRESS" }));
    });
  }
});

describe("ownershipAfter", () => {
  const cases = [
    { bucketCount: 3, down: [], owners: [1, 2, 3] },
    { bucketCount: 3, down: [2], owners: [1, 1, 3] },
    { bucketCount: 4, down: [1, 2], owners: [3, 4, 3, 4] },
    { bucketCount: 4, down: [4, 2, 3, 3], owners: [1, 1, 1, 1] },
    { bucketCount: 5, down: [1, 3, 5], owners: [2, 2, 4, 4, 2] },
  ];
  for (const { bucketCount, down, owners } of cases) {
    it(`levels ${bucketCount} buckets with ${down.length === 0 ? "no node" : down} down`, () => {
      expect(ownershipAfter(bucketCount, down).ownerOf).toEqual(owners);
    });
  }

  it("names the buckets of a node", () => {
    expect(bucketsOf(ownershipAfter(3, [2]), 1)).toEqual([1, 2]);
    expect(bucketsOf(ownershipAfter(3, [2]), 2)).toEqual([]);
  });

  it("refuses what cannot be", () => {
    expect(() => ownershipAfter(0)).toThrow("expected 1 to 16");
    expect(() => ownershipAfter(17)).toThrow("expected 1 to 16");
    expect(() => ownershipAfter(2.5)).toThrow("expected 1 to 16");
    expect(() => ownershipAfter(3, [4])).toThrow("Node 4 cannot be down");
    expect(() => ownershipAfter(3, [0])).toThrow("Node 0 cannot be down");
    expect(() => ownershipAfter(2, [1, 2])).toThrow("nobody left");
  });
});

const run = (clients: string, request: Omit<SimulationRequest, "clients">) =>
  simulate({ clients: parseClients(clients), ...request });

describe("simulate", () => {
  for (const hashMode of ["sourceip", "sourceip-sourceport", "sourceip-sourceport-destport"] as const) {
    it(`counts every flow in the bucket that the hash gives: ${hashMode}`, () => {
      const bucketCount = 5;
      const hashInit = 77;
      const result = run("10.1.2.0/28,192.0.2.9", {
        bucketCount,
        hashMode,
        hashInit,
        ports: 20,
        destinationPort: 443,
      });
      const expected = new Array<number>(bucketCount).fill(0);
      const addresses = Array.from({ length: 16 }, (_, index) => parseIpv4("10.1.2.0") + index);
      for (const saddrHost of [...addresses, parseIpv4("192.0.2.9")]) {
        for (let sourcePort = 32_768; sourcePort < 32_788; sourcePort++) {
          const flow = { protocol: 6, saddrHost, sourcePort, destinationPort: 443 };
          const bucket = bucketOf(flow, { hashMode, bucketCount, hashInit });
          expected[bucket - 1] = (expected[bucket - 1] ?? 0) + 1;
        }
      }
      expect(result.buckets.map((bucket) => bucket.flows)).toEqual(expected);
      expect(result).toMatchObject({ clients: 17, flows: 340, countedFlows: 340, isSample: false });
      expect(result.expected.draws).toBe(hashMode === "sourceip" ? 17 : 340);
    });
  }

  it("adds up buckets to nodes, and those of a node that is down to the survivors", () => {
    const { buckets, nodes } = run("10.0.0.0/24", { bucketCount: 3, down: [2] });
    const flows = buckets.map((bucket) => bucket.flows);
    expect(nodes.map((node) => node.flows)).toEqual([(flows[0] ?? 0) + (flows[1] ?? 0), 0, flows[2]]);
    expect(nodes.map((node) => node.isDown)).toEqual([false, true, false]);
    expect(nodes.reduce((sum, node) => sum + node.share, 0)).toBeCloseTo(1);
    expect(buckets.map((bucket) => bucket.node)).toEqual([1, 1, 3]);
  });

  it("goes on at port 1024 after 65535, and no port comes twice", () => {
    const all = run("192.0.2.1", { bucketCount: 2, ports: 64_512, hashMode: "sourceip-sourceport" });
    const expected = [0, 0];
    for (let sourcePort = 1024; sourcePort <= 65_535; sourcePort++) {
      const flow = { protocol: 6, saddrHost: parseIpv4("192.0.2.1"), sourcePort, destinationPort: 80 };
      const index = bucketOf(flow, { hashMode: "sourceip-sourceport", bucketCount: 2, hashInit: 0 }) - 1;
      expected[index] = (expected[index] ?? 0) + 1;
    }
    expect(all.buckets.map((bucket) => bucket.flows)).toEqual(expected);
  });

  it("samples what is too much, the same on every run, and evenly", () => {
    const request = { bucketCount: 4, ports: 64, maxHashes: 50_000 };
    const result = run("10.0.0.0/8", request);
    expect(result).toMatchObject({ isSample: true, countedFlows: 50_000, flows: 2 ** 24 * 64 });
    expect(run("10.0.0.0/8", request).buckets).toEqual(result.buckets);
    expect(result.chance).toBeGreaterThan(0.001);
    for (const { share } of result.buckets) expect(share).toBeCloseTo(0.25, 2);
  });

  it("counts all flows of a sampled client with sourceip", () => {
    const result = run("10.0.0.0/16", { bucketCount: 4, hashMode: "sourceip", ports: 10, maxHashes: 1000 });
    expect(result).toMatchObject({ isSample: true, countedFlows: 10_000, flows: 655_360 });
  });

  it("is quick enough for the whole Internet", () => {
    const result = run("0.0.0.0/0", { bucketCount: 16, ports: 64_512, maxHashes: 2 ** 20 });
    expect(result.flows).toBe(2 ** 32 * 64_512);
    expect(result.countedFlows).toBe(2 ** 20);
  });

  it("refuses ports and clients that cannot be", () => {
    expect(() => run("10.0.0.1", { bucketCount: 2, ports: 0 })).toThrow(
      "--ports is 0: expected a number from 1 to 64512",
    );
    expect(() => run("10.0.0.1", { bucketCount: 2, ports: 64_513 })).toThrow("--ports");
    expect(() => run("10.0.0.1", { bucketCount: 2, destinationPort: 65_536 })).toThrow("destination port");
    expect(() => simulate({ clients: [], bucketCount: 2 })).toThrow("no clients");
  });
});

describe("the advice", () => {
  const kinds = (clients: string, request: Omit<SimulationRequest, "clients">) =>
    run(clients, request).advice.map(({ kind }) => kind);
  const text = (clients: string, request: Omit<SimulationRequest, "clients">) =>
    run(clients, request)
      .advice.map((advice) => advice.text)
      .join("\n");

  it("knows that one node answers everything behind one NAT address, and what helps", () => {
    const request = { bucketCount: 3, hashMode: "sourceip", ports: 1000 } as const;
    expect(kinds("203.0.113.7", request)).toEqual(["one-client"]);
    const { buckets } = run("203.0.113.7", request);
    const owner = buckets.find(({ share }) => share === 1)?.bucket;
    expect(text("203.0.113.7", request)).toMatch(
      `One node gets everything: bucket ${owner} at node ${owner}.`,
    );
    expect(text("203.0.113.7", request)).toMatch(
      /Use --hashmode sourceip-sourceport.* shared 3\d\.\d% to 3\d\.\d%/,
    );
  });

  it("promises nothing of ports when every client has one connection", () => {
    expect(text("203.0.113.7", { bucketCount: 3, hashMode: "sourceip", ports: 1 })).not.toContain(
      "would then",
    );
  });

  it("knows too few clients for sourceip, and names the buckets that get nothing", () => {
    const request = { bucketCount: 16, hashMode: "sourceip" } as const;
    expect(kinds("10.0.0.0/29", request)).toEqual(["few-clients"]);
    expect(text("10.0.0.0/29", request)).toMatch(
      /8 clients are few for 16 buckets.*buckets .* and \d+ here get nothing/,
    );
  });

  it("says of few flows that no setting helps", () => {
    expect(kinds("10.0.0.0/29", { bucketCount: 4, ports: 1 })).toEqual(["few-flows"]);
  });

  it("says when the spread is as even as chance allows", () => {
    expect(kinds("10.0.0.0/24", { bucketCount: 3 })).toEqual(["as-expected"]);
    expect(text("10.0.0.0/24", { bucketCount: 3 })).toContain("as even as chance allows");
  });

  it("warns of NAT where sourceip looks even", () => {
    expect(kinds("10.0.0.0/16", { bucketCount: 4, hashMode: "sourceip" })).toEqual(["as-expected", "nat"]);
  });

  it("recommends more buckets where survivors cannot be level", () => {
    expect(kinds("10.0.0.0/24", { bucketCount: 3, down: [2] })).toEqual(["as-expected", "more-buckets"]);
    expect(text("10.0.0.0/24", { bucketCount: 3, down: [2] })).toContain("--total-nodes 6, 2 buckets a node");
    // Two of four: the survivors have two buckets each.
    expect(kinds("10.0.0.0/24", { bucketCount: 4, down: [2, 3] })).toEqual(["as-expected"]);
    // Of 16 buckets there are no more to be had.
    expect(kinds("10.0.0.0/20", { bucketCount: 16, down: [2] })).toEqual(["as-expected", "bucket-limit"]);
    expect(text("10.0.0.0/24", { bucketCount: 5, down: [1] })).toContain("--total-nodes 15");
  });

  it("has nothing to say of a single node", () => {
    expect(kinds("10.0.0.0/24", { bucketCount: 1 })).toEqual(["single-node"]);
  });

  it("never calls jhash uneven over ordinary networks", () => {
    for (let bucketCount = 2; bucketCount <= 16; bucketCount++) {
      expect(kinds("10.0.0.0/20", { bucketCount })).toEqual(["as-expected"]);
    }
  });
});
