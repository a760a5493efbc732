/**
 * Adds up the results of test runners.
 *
 *   sum-results.js FILE…                  prints "N passed, N failed, N skipped" over all of them
 *   sum-results.js --settle STATUS FILE   sets FILE right after its runner ended with STATUS; exits 1 if that failed
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The totals in the JSON reporter's format, which vitest shares with jest. */
interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
}

function readCounts(file: string): Counts {
  if (!existsSync(file)) return { passed: 0, failed: 0, skipped: 0 };
  const report = JSON.parse(readFileSync(file, "utf8")) as Counts | VitestReport;
  if (!("numPassedTests" in report)) return report;
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** A runner that failed without naming a failed test (it crashed, a file did not load) has failed once. */
function settle(status: number, file: string): boolean {
  const counts = readCounts(file);
  if (status !== 0 && counts.failed === 0) counts.failed = 1;
  writeFileSync(file, JSON.stringify(counts));
  return status === 0 && counts.failed === 0;
}

function sum(files: readonly string[]): string {
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const counts of files.map(readCounts)) {
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skipped += counts.skipped;
  }
  return `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
}

const [first, ...rest] = process.argv.slice(2);
if (first === "--settle") process.exitCode = settle(Number(rest[0]), rest[1] ?? "") ? 0 : 1;
else console.log(sum(first === undefined ? [] : [first, ...rest]));
