/**
 * The dataplane benchmark: `npm run bench:dataplane`. What a foreign frame, an accepted one and a moved bucket cost,
 * with clusteripd and with what is used in its place, each as its users set it up, in one run on one machine.
 *
 * Every contender has a LAN of its own in network namespaces, all are up at once, and runs alternate between them.
 */
import { messageOf } from "../src/core/errors.ts";
import { Book } from "./dataplane/book.ts";
import { Programs } from "./dataplane/flood-tool.ts";
import { judge } from "./dataplane/judged.ts";
import { describeMachine } from "./dataplane/machine.ts";
import { methodsOf } from "./dataplane/methods.ts";
import { type MeasureName, type Options, readOptions, usage } from "./dataplane/options.ts";
import { availableContenders } from "./dataplane/probe.ts";
import { heading, note } from "./dataplane/progress.ts";
import { missingForBench } from "./dataplane/requirements.ts";
import type { Suite } from "./dataplane/suite.ts";
import {
  measureBucketMoves,
  measureDaemon,
  measureNodeGrowth,
  measureVipGrowth,
} from "./dataplane/suite-growth.ts";
import {
  measureBulk,
  measureForeign,
  measureKeptRequests,
  measureLatency,
  measureNewConnections,
} from "./dataplane/suite-traffic.ts";
import { renderBook } from "./dataplane/tables.ts";
import { writeReport } from "./lib/results.ts";

const measures: Readonly<Record<MeasureName, { title: string; run: (suite: Suite) => Promise<void> }>> = {
  foreign: { title: "the cost of a foreign frame", run: measureForeign },
  requests: { title: "requests over kept connections", run: measureKeptRequests },
  connections: { title: "requests over new connections", run: measureNewConnections },
  bulk: { title: "bulk throughput", run: measureBulk },
  latency: { title: "latency", run: measureLatency },
  moves: { title: "from the request to move a bucket to its effect", run: measureBucketMoves },
  daemon: { title: "memory and CPU of the daemon", run: measureDaemon },
  nodes: { title: "growth with nodes", run: measureNodeGrowth },
  vips: { title: "growth with virtual IPs", run: measureVipGrowth },
};

async function run(options: Options): Promise<void> {
  const book = new Book();
  const programs = new Programs();
  try {
    await programs.build();
    heading("who can be measured here");
    const contenders = await availableContenders(book);
    const suite: Suite = { book, programs, contenders, extent: options.extent };
    for (const name of options.only) {
      heading(measures[name].title);
      try {
        await measures[name].run(suite);
      } catch (error) {
        // The other figures are worth having all the same.
        const reason = messageOf(error);
        note(`failed: ${reason}`);
        book.skip(name, reason);
        process.exitCode = 1;
      }
    }
  } finally {
    programs.remove();
  }
  judge(book);
  process.stdout.write(renderBook(book));
  if (options.json !== undefined) writeJson(options.json, book, options);
}

function writeJson(
  file: string,
  { results, ratios, ratioSpreads, skipped }: Book,
  { isQuick, extent }: Options,
): void {
  const machine = describeMachine();
  const figures = { results, ratios, ratioSpreads, skipped };
  writeReport(file, { benchmark: "dataplane", isQuick, machine, methods: methodsOf(extent), ...figures });
}

async function main(args: readonly string[]): Promise<number> {
  let options: Options | undefined;
  try {
    options = readOptions(args);
  } catch (error) {
    process.stderr.write(`bench:dataplane: ${messageOf(error)}\n${usage}`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const missing = missingForBench();
  if (missing !== undefined) {
    process.stderr.write(`bench:dataplane: ${missing}\n`);
    return 1;
  }
  try {
    await run(options);
    return 0;
  } catch (error) {
    process.stderr.write(`bench:dataplane: ${messageOf(error)}\n`);
    return 1;
  }
}

const status = await main(process.argv.slice(2));
if (status !== 0) process.exitCode = status;
