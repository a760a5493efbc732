/** The command line of the dataplane benchmark. */
import { parseArgs } from "node:util";

export const measureNames = [
  "foreign",
  "requests",
  "connections",
  "bulk",
  "latency",
  "moves",
  "daemon",
  "nodes",
  "vips",
] as const;
export type MeasureName = (typeof measureNames)[number];

/** How much of everything: a full run takes less than twenty minutes, a quick one shows that all works. */
export interface Extent {
  readonly rounds: number;
  /** rounds of the foreign-frame measurement, which are short and decide the most */
  readonly floodRounds: number;
  readonly floodFrames: number;
  readonly seconds: number;
  /** many: one connection's throughput differs more from run to run than between contenders */
  readonly bulkRounds: number;
  readonly latencyRounds: number;
  readonly connections: number;
  readonly pings: number;
  readonly moves: number;
  readonly moveRounds: number;
  readonly restSeconds: number;
  readonly nodeCounts: readonly number[];
  readonly vipCounts: readonly number[];
  readonly growthRounds: number;
  readonly growthSeconds: number;
}

const full: Extent = {
  rounds: 5,
  floodRounds: 11,
  floodFrames: 600_000,
  seconds: 2,
  bulkRounds: 11,
  latencyRounds: 3,
  connections: 32,
  pings: 500,
  moves: 400,
  moveRounds: 3,
  restSeconds: 5,
  nodeCounts: [1, 4, 16],
  vipCounts: [1, 10, 100],
  growthRounds: 3,
  growthSeconds: 1,
};

const quick: Extent = {
  rounds: 1,
  floodRounds: 3,
  floodFrames: 100_000,
  seconds: 1,
  bulkRounds: 1,
  latencyRounds: 1,
  connections: 32,
  pings: 100,
  moves: 40,
  moveRounds: 1,
  restSeconds: 2,
  nodeCounts: [1, 4],
  vipCounts: [1, 10],
  growthRounds: 1,
  growthSeconds: 1,
};

export interface Options {
  readonly json: string | undefined;
  readonly extent: Extent;
  readonly isQuick: boolean;
  readonly only: readonly MeasureName[];
}

export const usage = `usage: npm run bench:dataplane -- [--json FILE] [--quick] [--only NAME,...]

Measures clusteripd beside the alternatives, on real kernel stacks in network namespaces, and prints tables.

  --json FILE   writes machine, results and ratios to FILE
  --quick       a few short runs: shows that everything works, and no more
  --only NAMES  of ${measureNames.join(", ")}
  --help        this text

Needs root, and nothing else should run on the machine meanwhile.
`;

/** @throws Error with one sentence for a wrong command line; undefined for --help */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: "string" },
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  return {
    json: values.json,
    extent: values.quick ? quick : full,
    isQuick: values.quick,
    only: values.only === undefined ? measureNames : values.only.split(",").map(readMeasure),
  };
}

function readMeasure(text: string): MeasureName {
  const name = measureNames.find((known) => known === text);
  if (name === undefined) throw new Error(`--only knows ${measureNames.join(", ")}, not '${text}'.`);
  return name;
}
