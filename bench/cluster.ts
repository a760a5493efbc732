/**
 * The benchmark of a whole cluster: `npm run bench:cluster`. Three nodes with corosync and Pacemaker go through all events
 * of `test/support/pacemaker/events.ts`, and 40 clients tell for how long nobody answered. All of it shares the CPUs of one
 * machine, so that what a start of a program costs meanwhile is told beside it; TREE=DIR measures the clusteripd of another
 * checkout, for a comparison.
 */
import { messageOf } from "../src/core/errors.ts";
import { textTable } from "../src/tools/text-table.ts";
import { missingForNet } from "../test/support/lab/capabilities.ts";
import { runEvents } from "../test/support/pacemaker/course.ts";
import { type Cost, costOf, type Judged } from "./cluster/judge.ts";
import { Yardstick } from "./cluster/yardstick.ts";

const columns = [
  { title: "event", align: "left" },
  { title: "buckets", align: "right" },
  { title: "requests", align: "right" },
  { title: "lost", align: "right" },
  { title: "twice", align: "right" },
  { title: "all answered after", align: "right" },
  { title: "longest gap", align: "right" },
  { title: "a start", align: "right" },
] as const;

function report(costs: readonly Cost[], yardstick: Yardstick): void {
  const cells = costs.map(({ outcome, inAll, longestGap }) => [
    outcome.event.name,
    String(outcome.event.total),
    String(outcome.requests),
    String(outcome.lost),
    String(outcome.doubled),
    inWords(inAll),
    inWords(longestGap),
    `${yardstick.startMs(outcome.fromMs, outcome.answeredMs).toFixed(1)} ms`,
  ]);
  process.stdout.write(`${textTable(columns, cells).join("\n")}\n\n`);
  process.stdout.write("* more than the goal, which follows it\n");
}

const inWords = ({ seconds, goal }: Judged): string =>
  `${seconds.toFixed(2)} s${seconds > goal ? `* (${goal.toFixed(1)} s)` : ""}`;

async function main(): Promise<void> {
  const missing = missingForNet(["corosync", "pacemakerd", "crm", "ping", "curl"]);
  if (missing !== undefined) throw new Error(`this benchmark ${missing}`);
  const yardstick = new Yardstick();
  try {
    report((await runEvents()).map(costOf), yardstick);
  } finally {
    yardstick.stop();
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench:cluster: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
