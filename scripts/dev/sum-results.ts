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

/** What is used here of the JSON reporter's format, which vitest shares with jest. */
interface VitestReport {
  testResults: TestFile[];
}

interface TestFile {
  name: string;
  status: string;
  /** Why it did not load, or empty. */
  message: string;
  assertionResults: { status: string; fullName: string; failureMessages: string[] | null }[];
}

function readResults(file: string): Results {
  if (!existsSync(file)) return { passed: 0, failed: 0, skipped: 0 };
  const report = JSON.parse(readFileSync(file, "utf8")) as Results | VitestReport;
  if (!("testResults" in report)) return report;
  const statuses = report.testResults.flatMap((of) => of.assertionResults.map(({ status }) => status));
  const passed = statuses.filter((status) => status === "passed").length;
  const skipped = statuses.filter((status) => status !== "passed" && status !== "failed").length;
  const failures = report.testResults.flatMap(failuresIn);
  return { passed, failed: failures.length, skipped, failures };
}

/** The messages, without the runner's own stack frames. A file can fail with no test of it: in a hook, or when loaded. */
function failuresIn({ name, status, message, assertionResults }: TestFile): string[] {
  const where = relative(process.cwd(), name);
  const failed = assertionResults.filter(({ status }) => status === "failed");
  const tests = failed.map(({ fullName, failureMessages }) => [
    `${where}: ${fullName}`,
    ...(failureMessages ?? []),
  ]);
  if (status === "failed" && failed.length === 0) tests.push([where, message || "A hook failed; see above."]);
  return tests.map((lines) => lines.join("\n").replaceAll(/\n +at .*(node_modules|new Promise).*/g, ""));
}

/** A runner that failed without naming a failed test (it crashed, a file did not load) has failed once. */
function settle(status: number, file: string): boolean {
  const results = readResults(file);
  if (status !== 0 && results.failed === 0) results.failed = 1;
  writeFileSync(file, JSON.stringify(results));
  return status === 0 && results.failed === 0;
}

function sum(files: readonly string[]): string {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const { passed, failed, skipped } of files.map(readResults)) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  return `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
}

const [option = "", ...rest] = process.argv.slice(2);
if (option === "--settle") {
  const [status = "", file = ""] = rest;
  process.exitCode = settle(Number(status), file) ? 0 : 1;
} else if (option === "--failures") {
  for (const failure of rest.flatMap((file) => readResults(file).failures ?? [])) console.log(failure);
} else {
  console.log(sum(process.argv.slice(2)));
}
