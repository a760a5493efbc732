/**
 * The benchmark of the hash and the verdict: `npm run bench [-- --json FILE] [--quick]`.
 * It needs no privilege. How each figure is taken is said in `methods`, below.
 */
import { parseArgs } from "node:util";
import { hashModes } from "../src/core/bucket.ts";
import { messageOf } from "../src/core/errors.ts";
import { textTable } from "../src/tools/text-table.ts";
import { loadTrial } from "../test/support/verdict/native-trial.ts";
import { describeMachine } from "./dataplane/machine.ts";
import { type Contender, type HashJob, hashContenders } from "./hash/contenders.ts";
import { randomFlows } from "./hash/flows.ts";
import { type Extent, measureRounds, type Rounds, ratioOf, summaryOf } from "./hash/measure.ts";
import { verdictContenders, verdictFrames } from "./hash/verdicts.ts";
import { goals, isReached } from "./lib/goals.ts";
import { type Report, type Result, writeReport } from "./lib/results.ts";

const FLOWS = 4096;
const FRAMES = 1024;
const BATCH_SIZES = [1, 4, 16, 64, 256, 1024, 4096, 65_536];
const JUDGED_MODE = "sourceip-sourceport";
const full: Extent = { rounds: 15, timeMs: 80 };
const quick: Extent = { rounds: 3, timeMs: 20 };

const methods = {
  hash:
    `The buckets of ${FLOWS} random flows, from arrays of addresses and ports into an array of buckets; nanoseconds ` +
    "for one of them. The scalar C loop is in the addon, compiled with -O2 and kept from being vectorised (GCC: " +
    "function attribute optimize(no-tree-vectorize, no-tree-slp-vectorize); clang: loop pragma). It and the batches " +
    "are called through N-API, once for all flows; the paths of the batch are functions compiled for the named " +
    "instruction set, of which the first call chooses one that the CPU has. Each round runs everybody in turns with " +
    "tinybench and takes the median latency; ratios are taken within a round, and their median is judged.",
  "batch-size": `The native batch as it chooses, mode ${JUDGED_MODE}, for batches of different sizes.`,
  verdict:
    `The whole verdict on ${FRAMES} frames of 74 to 266 octets, half TCP, a quarter UDP, the rest ping and TCP behind ` +
    "IP options, one bucket of four local; nanoseconds for a frame.",
};

const report: Report = {
  benchmark: "hash",
  isQuick: false,
  machine: describeMachine(),
  methods,
  results: [],
  ratios: {},
  ratioSpreads: {},
  skipped: [],
};
const native = loadTrial();

async function run(json: string | undefined, isQuick: boolean): Promise<void> {
  const extent = isQuick ? quick : full;
  report.isQuick = isQuick;
  for (const mode of hashModes) {
    const job = hashJob(FLOWS, mode);
    const contenders = hashContenders(native, job);
    requireEqual(contenders, () => job.buckets.slice());
    const rounds = await measureRounds(contenders, FLOWS, extent);
    record("hash", contenders, rounds, { mode });
    if (mode !== JUDGED_MODE) continue;
    addRatio("hash.batch_vs_scalar_c", rounds, "native-batch");
    for (const path of ["avx2", "avx512"]) {
      if (native.batchPaths().includes(path)) addRatio(`hash.${path}_vs_scalar_c`, rounds, `batch-${path}`);
    }
    addRatio("hash.js_vs_scalar_c", rounds, "typescript");
  }
  for (const [index, name] of native.batchPaths().entries()) {
    if (name === undefined)
      report.skipped.push({ contender: `batch path ${index}`, reason: "this CPU cannot run it" });
  }
  for (const flows of BATCH_SIZES) {
    const contenders = hashContenders(native, hashJob(flows, JUDGED_MODE)).filter(
      ({ name }) => name === "native-batch",
    );
    record("batch-size", contenders, await measureRounds(contenders, flows, extent), { flows });
  }
  const frames = verdictFrames(FRAMES);
  const results = new Uint32Array(FRAMES);
  const judges = verdictContenders(native, frames, results);
  requireEqual(judges, () => results.slice());
  record("verdict", judges, await measureRounds(judges, FRAMES, extent), {});
  process.stdout.write(renderReport());
  if (json !== undefined) writeReport(json, report);
}

function hashJob(flows: number, mode: HashJob["mode"]): HashJob {
  return { mode, bucketCount: 4, hashInit: 0, flows: randomFlows(flows), buckets: new Uint8Array(flows) };
}

/** Nobody is faster by computing something else. */
function requireEqual(contenders: readonly Contender[], outcome: () => ArrayLike<number>): void {
  let expected: string | undefined;
  for (const { name, run: act } of contenders) {
    act();
    const got = Array.from(outcome()).join();
    expected ??= got;
    if (got !== expected) throw new Error(`${name} does not compute what the others do`);
  }
}

function record(
  measure: string,
  contenders: readonly Contender[],
  rounds: Rounds,
  parameters: Record<string, string | number>,
): void {
  for (const { name, title } of contenders) {
    const summary = summaryOf(rounds, name);
    const result: Result = {
      measure,
      contender: name,
      title,
      parameters,
      figure: "nsEach",
      unit: "ns",
      ...summary,
    };
    report.results.push(result);
  }
}

function addRatio(name: string, rounds: Rounds, contender: string): void {
  const { value, spread } = ratioOf(rounds, contender, "scalar-c");
  report.ratios[name] = value;
  report.ratioSpreads[name] = spread;
}

function renderReport(): string {
  const rows = report.results.map(({ measure, title, parameters = {}, median, quartiles }) => [
    measure,
    Object.values(parameters).join(" "),
    title,
    median.toFixed(2),
    `${quartiles[0].toFixed(2)} to ${quartiles[1].toFixed(2)}`,
    (1000 / median).toFixed(1),
  ]);
  const columns = ["measure", "with", "who", "ns each", "middle half", "million/s"].map((title, index) => ({
    title,
    align: index < 3 ? ("left" as const) : ("right" as const),
  }));
  const ratios = goals.flatMap((goal) => {
    const value = report.ratios[goal.name];
    const range = report.ratioSpreads[goal.name]?.range;
    if (value === undefined || range === undefined) return [];
    const verdict = isReached(goal, value) ? "reached" : "missed";
    const spread = `${range[0].toFixed(3)} to ${range[1].toFixed(3)}`;
    return [`${goal.name} ${value.toFixed(3)} (${spread}), goal ${goal.should} ${goal.goal}: ${verdict}`];
  });
  return `${[...textTable(columns, rows), "", ...ratios].join("\n")}\n`;
}

const usage = "usage: npm run bench -- [--json FILE] [--quick]\n";

try {
  const { values } = parseArgs({
    options: {
      json: { type: "string" },
      quick: { type: "boolean", default: false },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) process.stdout.write(usage);
  else await run(values.json, values.quick);
} catch (error) {
  process.stderr.write(`bench: ${messageOf(error)}\n${usage}`);
  process.exitCode = 1;
}
