/**
 * Adds up the results of test runners.
 *
 *   sum-results.js FILE…                  prints "N passed, N failed, N skipped" over all of them
 *   sum-results.js --settle STATUS FILE   sets FILE right after its runner ended with STATUS; exits 1 if that failed
 *   sum-results.js --failures FILE…       prints what failed, and how
 *
 * FILE holds a `Results` as JSON, or before it is settled the report of vitest.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { relative } from "node:path";

interface Results {
  passed: number;
  failed: number;
  skipped: number;
  /** What failed, each with its messages. */
  failures?: string[];
}

/** The totals in the JSON reporter's format, which vitest shares with jest. */
interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: {
    name: string;
    message: string;
    assertionResults: { status: string; fullName: string; failureMessages: string[] | null }[];
  }[];
}

/** The messages without the runner's own stack frames. A file that did not load has a message of its own and no failed test. */
function failuresIn({ testResults }: VitestReport): string[] {
  return testResults.flatMap(({ name, message, assertionResults }) => {
    const where = relative(process.cwd(), name);
    const failed = assertionResults.filter(({ status }) => status === "failed");
    const tests = failed.map(({ fullName, failureMessages }) => [
      `${where}: ${fullName}`,
      ...(failureMessages ?? []),
    ]);
    return [...(message === "" ? [] : [[where, message]]), ...tests].map((lines) =>
      lines.join("\n").replaceAll(/\n +at .*node_modules.*/g, ""),
    );
  });
}

function readResults(file: string): Results {
  if (!existsSync(file)) return { passed: 0, failed: 0, skipped: 0 };
  const report = JSON.parse(readFileSync(file, "utf8")) as Results | VitestReport;
  if (!("numPassedTests" in report)) return report;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + report.numTodoTests,
    failures: failuresIn(report),
  };
}

/** A runner that failed without naming a failed test (it crashed, a file did not load) has failed once. */
function settle(status: number, file: string): boolean {
  const results = readResults(file);
  if (status !== 0 && results.failed === 0) results.failed = 1;
  writeFileSync(file, JSON.stringify(results));
  return status === 0 && results.failed === 0;
}

function sum(files: readonly string[]): string {
  const total: Results = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of files.map(readResults)) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  return `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--settle") process.exitCode = settle(Number(rest[0]), rest[1] ?? "") ? 0 : 1;
else if (first === "--failures") {
  for (const failure of rest.flatMap((file) => readResults(file).failures ?? [])) console.log(failure);
} else console.log(sum(first === undefined ? [] : [first, ...rest]));
