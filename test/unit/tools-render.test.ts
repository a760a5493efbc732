import { describe, expect, it } from "vitest";
import { parseClients } from "../../src/tools/clients.ts";
import {
  countOf,
  formatBytes,
  formatCount,
  formatShare,
  listOf,
  shareDigits,
} from "../../src/tools/numbers.ts";
import { renderReplay } from "../../src/tools/render-replay.ts";
import { renderSimulation } from "../../src/tools/render-simulation.ts";
import { replayCapture } from "../../src/tools/replay.ts";
import { simulate } from "../../src/tools/simulate.ts";
import { renderSimulationSvg } from "../../src/tools/simulation-svg.ts";
import { bar, textTable, wrap } from "../../src/tools/text-table.ts";
import { fixture } from "../support/captures/pcap-streams.ts";

describe("numbers", () => {
  it("read the same everywhere", () => {
    expect([0, 999, 1000, 1_234_567].map(formatCount)).toEqual(["0", "999", "1,000", "1,234,567"]);
    expect([countOf(1, "flow"), countOf(2, "flow")]).toEqual(["1 flow", "2 flows"]);
    expect([0, 999, 1000, 999_949, 999_951, 1.5e13, 1e18].map(formatBytes)).toEqual([
      "0 B",
      "999 B",
      "1.0 kB",
      "999.9 kB",
      "1.0 MB",
      "15.0 TB",
      "1000000.0 TB",
    ]);
    expect([formatShare(1 / 3), formatShare(1 / 3, 2)]).toEqual(["33.3%", "33.33%"]);
    expect([[], [1], [1, 2], [1, 2, 3]].map(listOf)).toEqual(["", "1", "1 and 2", "1, 2 and 3"]);
  });

  it("get the digits that their spread needs", () => {
    expect([0.5, 0.01, 0.002, 0.0005, 0.0001, 1e-6, 0].map(shareDigits)).toEqual([1, 1, 1, 2, 3, 3, 3]);
  });
});

describe("textTable, bar and wrap", () => {
  it("align columns without blanks at the end", () => {
    const columns = [
      { title: "node", align: "right" },
      { title: "name", align: "left" },
    ] as const;
    expect(textTable(columns, [["1", "a"], ["12345"]])).toEqual([" node  name", "    1  a", "12345"]);
  });

  it("draw bars on a scale, with a mark where it was expected", () => {
    expect(bar(0.5, 1, 10)).toBe("#####");
    expect(bar(0.5, 1, 10, 0.5)).toBe("####|");
    expect(bar(0, 1, 10, 0.5)).toBe("    |");
    expect(bar(1, 1, 10, 0.01)).toBe("|#########");
    expect(bar(0, 0, 10)).toBe("");
  });

  it("break lines between words", () => {
    expect(wrap("one two three four", 9, "* ", "  ")).toEqual(["* one two", "  three", "  four"]);
    expect(wrap("incomprehensibilities", 5, "* ", "  ")).toEqual(["* incomprehensibilities"]);
  });
});

const simulation = simulate({ clients: parseClients("10.0.0.0/24"), bucketCount: 3, down: [2] });

describe("renderSimulation", () => {
  it("shows settings, buckets, expectation, nodes and advice", () => {
    expect(renderSimulation(simulation)).toMatchInlineSnapshot(`
      "clients   10.0.0.0-10.0.0.255
      flows     256 clients x 16 source ports to port 80 = 4,096 flows
      settings  sourceip-sourceport, 3 buckets, hash-init 0, node 2 down

      bucket  node  flows  share  | marks 33.3%
           1     1  1,347  32.9%  ######################################|
           2     1  1,349  32.9%  ######################################|
           3     3  1,400  34.2%  ######################################|#

      expected for 4,096 flows dealt to 3 buckets by a fair die:
        each bucket 33.3%, standard deviation 0.7 points
        largest 34.1% and smallest 32.6% on average

      node  buckets  flows  share
         1  1,2      2,696  65.8%  ########################################
         2  down
         3  3        1,400  34.2%  #####################

      * The buckets are as even as chance allows: 32.9% to 34.2%, where 32.6% to 34.1%
        is the average for 4,096 independent choices. Neither another hash mode nor
        another seed would do better.
      * With node 2 down, node 1 must take 66.7% of the buckets, where equal shares
        would be 50.0%. More buckets than nodes level better: with --total-nodes 6, 2
        buckets a node at first (Pacemaker: clone-max=6 clone-node-max=6), no survivor
        would have more than 50.0%.
      "
    `);
  });

  it("fits a terminal of 80 columns, whatever the settings", () => {
    for (const bucketCount of [1, 2, 16]) {
      for (const hashMode of ["sourceip", "sourceip-sourceport"] as const) {
        const clients = parseClients("10.0.0.0/16,10.2.0.0/30,192.168.100.0/24,203.0.113.7");
        const text = renderSimulation(
          simulate({ clients, bucketCount, hashMode, ports: 999, maxHashes: 10_000 }),
        );
        expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
        expect(text).toContain(bucketCount === 1 ? "one bucket only" : "sample ");
      }
    }
  });
});

describe("renderSimulationSvg", () => {
  const svg = renderSimulationSvg(simulation);

  it("is one well-formed element that needs nothing from elsewhere", () => {
    const open: string[] = [];
    for (const [, closing, name, selfClosing] of svg.matchAll(/<(\/?)([a-z]+)(?:\s[^<>]*?)?(\/?)>/g)) {
      if (closing === "/") expect(open.pop()).toBe(name);
      else if (selfClosing !== "/") open.push(name ?? "");
    }
    expect(open).toEqual([]);
    expect(svg.startsWith('<svg xmlns="http://www.w3.org/2000/svg"')).toBe(true);
    expect(svg.replace("http://www.w3.org/2000/svg", "")).not.toMatch(
      /https?:|<script|<image|href|NaN|undefined/,
    );
  });

  it("has a labelled bar for every bucket, the expected band and what was simulated", () => {
    for (const { bucket, node, flows } of simulation.buckets) {
      expect(svg).toMatch(
        new RegExp(`bucket ${bucket} at node ${node}[^:]*: ${formatCount(flows)} of 4,096 flows`),
      );
    }
    expect(svg).toContain("taken over from node 2");
    expect(svg).toContain("expected: 33.3% each, 95% of buckets within 1.5 points");
    expect(svg).toContain("256 clients x 16 source ports to port 80 = 4,096 flows");
  });

  it("draws the bars to scale", () => {
    const heights = [...svg.matchAll(/height="([\d.]+)" fill="#[0-9a-f]{6}" fill-opacity/g)].map(
      ([, height]) => height,
    );
    const [first = 0, second = 0, third = 0] = heights.map(Number);
    const [a, b, c] = simulation.buckets.map(({ share }) => share);
    expect(second / first).toBeCloseTo((b ?? 0) / (a ?? 1), 2);
    expect(third / first).toBeCloseTo((c ?? 0) / (a ?? 1), 2);
  });

  it("holds together at the extremes", () => {
    for (const [clients, bucketCount] of [
      ["203.0.113.7", 16],
      ["203.0.113.7", 1],
      ["10.0.0.0/8", 2],
    ] as const) {
      const extreme = simulate({
        clients: parseClients(clients),
        bucketCount,
        hashMode: "sourceip",
        maxHashes: 1000,
      });
      const drawn = renderSimulationSvg(extreme);
      expect(drawn).not.toMatch(/NaN|Infinity|="-/);
    }
  });
});

describe("renderReplay", () => {
  it("shows buckets, nodes and reasons of a capture", async () => {
    const text = renderReplay(
      await replayCapture({ source: fixture("ethernet.pcap"), bucketCount: 3, down: [3] }),
    );
    expect(text.replace(/in \d\.\d{3} s/, "in T s")).toMatchInlineSnapshot(`
      "capture   75 frames, 7.9 kB in T s
      settings  sourceip-sourceport, 3 buckets, hash-init 0, node 3 down

      virtual IP 10.77.9.100 (found: the one address sent to a multicast MAC)

      bucket  node  flows  frames   bytes  of frames
           1     1      8       8  1.9 kB      29.6%  ##############
           2     2     14      14   916 B      51.9%  ########################
           3     1      5       5   310 B      18.5%  #########

      node  buckets  flows  accepted   bytes  dropped as foreign   bytes
         1  1,3         13        15  4.9 kB                  14   916 B
         2  2           14        16  3.5 kB                  13  2.3 kB
         3  down

      2 frames (2.6 kB) without a bucket, accepted by every node
      26 frames (1.2 kB) sent by the virtual IP itself, not judged

      verdict   frames   bytes  reason
      accept        27  3.2 kB  local-bucket: The flow's bucket is one node's, which answers it.
      accept         2  2.6 kB  later-fragment: A fragment without ports goes to the stack of every node;
                                only the owner of the flow has the first fragment and completes the
                                datagram.
      not-ours      18   756 B  not-ipv4: The frame carries something other than IPv4.
      not-ours       2   196 B  other-address: The packet's destination is not a virtual IP of this
                                interface.
      "
    `);
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
  });

  it("shows warnings last", async () => {
    const text = renderReplay(await replayCapture({ source: fixture("snap36.pcap"), bucketCount: 3 }));
    expect(text).toMatch(/not judged: The snap length cut off.*\n\nwarning: 27 frames could not be judged/s);
  });
});
