/** The figures of a run as text: a table for each measurement, and the judged ratios. */
import { textTable } from "../../src/tools/text-table.ts";
import { goals, isReached } from "../lib/goals.ts";
import type { Result } from "../lib/results.ts";
import type { Book } from "./book.ts";

/** Figures that are for the JSON file: they would make the tables too wide to read. */
const hidden = new Set(["requests", "userUsPerRequest", "systemUsPerRequest", "idleUsPerRequest"]);

export function renderBook(book: Book): string {
  const measures = [...new Set(book.results.map(({ measure }) => measure))];
  const tables = measures.map((measure) => {
    const results = book.results.filter((result) => result.measure === measure);
    return `\n${measure}\n${tableOf(results)}`;
  });
  return `${tables.join("")}${renderRatios(book)}${renderSkipped(book)}`;
}

/** A row for each contender and set of parameters, a column for each figure: "median (lower to upper quartile)". */
function tableOf(results: readonly Result[]): string {
  const shown = results.filter(({ figure }) => !hidden.has(figure));
  const columns = [...new Set(shown.map(({ figure }) => figure))];
  const rows = new Map<string, Map<string, Result>>();
  for (const result of shown) {
    const key = [result.contender, ...parametersOf(result)].join(" ");
    rows.set(key, (rows.get(key) ?? new Map<string, Result>()).set(result.figure, result));
  }
  const body = [...rows].map(([name, row]) => [name, ...columns.map((column) => cellOf(row.get(column)))]);
  return renderTable(["", ...columns], body);
}

function parametersOf({ parameters = {} }: Result): string[] {
  return Object.entries(parameters).map(([name, value]) => `${name}=${value}`);
}

function cellOf(result: Result | undefined): string {
  if (result === undefined) return "";
  const [lower, upper] = result.quartiles;
  if (result.runs === 1) return short(result.median);
  return `${short(result.median)} (${short(lower)}-${short(upper)})`;
}

function short(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: value >= 1000 ? 5 : 3 });
}

function renderRatios({ ratios, ratioSpreads }: Book): string {
  const rows = Object.entries(ratios).map(([name, value]) => {
    const { range, runs } = ratioSpreads[name] ?? { range: [value, value], runs: 1 };
    const spread = `${range[0].toFixed(3)} to ${range[1].toFixed(3)} in ${runs}`;
    return [name, value.toFixed(3), spread, verdictOn(name, value)];
  });
  const titles = ["ratio of paired runs", "median", "range", "goal"];
  return rows.length === 0 ? "" : `\n${renderTable(titles, rows)}`;
}

function verdictOn(name: string, value: number): string {
  const goal = goals.find((known) => known.name === name);
  if (goal === undefined) return "";
  return `${goal.should} ${goal.goal}: ${isReached(goal, value) ? "reached" : "missed"}`;
}

function renderSkipped({ skipped }: Book): string {
  return skipped.map(({ contender, reason }) => `\nskipped: ${contender}: ${reason}\n`).join("");
}

function renderTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = titles.map((title, index) => ({ title, align: index === 0 ? "left" : "right" }) as const);
  return textTable(columns, rows)
    .map((line) => `  ${line}\n`)
    .join("");
}
