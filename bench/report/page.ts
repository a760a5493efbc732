/** The page `docs/benchmarks.md` and its drawings, out of the JSON files: no figure is typed by hand. */
import { type Goal, goals, isReached, type WhenMissed } from "../lib/goals.ts";
import type { Report, Result } from "../lib/results.ts";
import { kindOf } from "./kind.ts";
import { barChart, formatFigure, lineChart } from "./svg.ts";

export interface Page {
  readonly markdown: string;
  /** by file name, beside the page in `benchmarks/` */
  readonly drawings: ReadonlyMap<string, string>;
}

/** Where the drawings lie, seen from the page. */
const DRAWINGS = "benchmarks";

export function renderPage(reports: readonly Report[]): Page {
  const drawings = new Map<string, string>();
  const parts = reports.flatMap((report) => [
    ...renderHead(report),
    ...renderMeasures(report, drawings),
    ...renderSkipped(report),
  ]);
  const markdown = [
    "# Benchmarks",
    "",
    "<!-- Written by bench/report.ts from the JSON of the benchmarks: change those, not this page. -->",
    "",
    "Every figure is the median of several runs, with the middle half of them in brackets. They belong to the machine",
    "named beside them. Ratios are taken between runs next to each other, so that they say more than any figure alone.",
    "",
    "    npm run bench -- --json hash.json",
    "    sudo npm run bench:dataplane -- --json dataplane.json",
    "    npm run bench:report -- hash.json dataplane.json",
    "",
    ...renderGoals(reports),
    ...renderMissed(reports),
    ...parts,
  ].join("\n");
  return { markdown: `${markdown.trimEnd()}\n`, drawings };
}

function renderGoals(reports: readonly Report[]): string[] {
  const rows = goals.map((goal) => {
    const report = reports.find(({ ratios }) => ratios[goal.name] !== undefined);
    return goalRow(goal, report?.ratios[goal.name], report?.ratioSpreads[goal.name]?.range);
  });
  return [
    "## What was to be reached",
    "",
    ...table(["", "goal", "measured", "range of the runs", ""], rows),
    "",
  ];
}

/** For each goal that was missed, where the time goes. */
function renderMissed(reports: readonly Report[]): string[] {
  const missed = goals.flatMap((goal) => {
    const report = reports.find(({ ratios }) => ratios[goal.name] !== undefined);
    const value = report?.ratios[goal.name];
    const { whenMissed } = goal;
    if (report === undefined || value === undefined || whenMissed === undefined) return [];
    return isReached(goal, value)
      ? []
      : [
          `- \`${goal.name}\`: ${timeOf(report, whenMissed)} ${whenMissed.limit}${boundOf(report, whenMissed)}`,
        ];
  });
  return missed.length === 0 ? [] : ["### Where the time goes in those that were missed", "", ...missed, ""];
}

function medianOf(
  { results }: Report,
  measure: string,
  contender: string,
  figure: string,
): number | undefined {
  const found = results.find(
    (r) => r.measure === measure && r.contender === contender && r.figure === figure,
  );
  return found?.median;
}

/** The machine's time for a request, of both. */
function timeOf(report: Report, { measure, of, against }: WhenMissed): string {
  const micros = (contender: string, figure: string): string => {
    const median = medianOf(report, measure, contender, figure);
    return median === undefined ? "?" : formatFigure(median);
  };
  // Where no requests are counted, all that is known is the daemon's own part.
  const share = medianOf(report, measure, of, "daemonCpuShare");
  if (share !== undefined) return `the daemon's threads have ${formatFigure(share)} of a CPU.`;
  const kinds = ["user", "system", "softirq", "idle"] as const;
  const sides = (figure: string): string => `${micros(of, figure)} against ${micros(against, figure)}`;
  const parts = kinds.map((kind) => `${kind} ${sides(`${kind}UsPerRequest`)}`);
  const daemon = `the daemon's threads have ${micros(of, "daemonUsPerRequest")} of it`;
  return `microseconds of all CPUs for a request, ${of} against ${against}: ${parts.join(", ")}; ${daemon}.`;
}

function boundOf(report: Report, { measure, bound }: WhenMissed): string {
  if (bound === undefined) return "";
  const [ours, theirs] = [bound.of, bound.against].map((name) =>
    medianOf(report, measure, name, "perSecond"),
  );
  if (ours === undefined || theirs === undefined) return "";
  return ` ${bound.meaning}: ${formatFigure(ours / theirs)} of ${bound.against}.`;
}

function goalRow(
  goal: Goal,
  value: number | undefined,
  range: readonly [number, number] | undefined,
): string[] {
  const name = `\`${goal.name}\`: ${goal.meaning}`;
  const wanted = `${goal.should} ${goal.goal}`;
  if (value === undefined) return [name, wanted, "not measured", "", ""];
  const spread = range === undefined ? "" : `${formatFigure(range[0])} to ${formatFigure(range[1])}`;
  return [name, wanted, formatFigure(value), spread, isReached(goal, value) ? "reached" : "**missed**"];
}

function renderHead({ benchmark, isQuick, machine }: Report): string[] {
  const versions = Object.entries(machine.versions).map(([name, version]) => `${name} ${version}`);
  return [
    `## Benchmark "${benchmark}"`,
    "",
    ...(isQuick ? ["**A short run: these figures are not to be quoted.**", ""] : []),
    `${machine.cpu}, ${machine.cpus} CPUs, ${formatFigure(machine.memoryMb)} MB, Linux ${machine.kernel}; ${versions.join(", ")}.`,
    "",
  ];
}

function renderMeasures(report: Report, drawings: Map<string, string>): string[] {
  const measures = [...new Set(report.results.map(({ measure }) => measure))];
  return measures.flatMap((measure) => {
    const results = report.results.filter((result) => result.measure === measure);
    const name = `${report.benchmark}-${measure}.svg`;
    const drawing = draw(measure, results);
    drawings.set(name, drawing);
    return [
      `### ${measure}`,
      "",
      ...(report.methods[measure] === undefined ? [] : [report.methods[measure], ""]),
      ...resultTable(results),
      "",
      `![${measure}](${DRAWINGS}/${name})`,
      "",
    ];
  });
}

/** A row for everybody and each set of parameters, a column for each figure. */
function resultTable(results: readonly Result[]): string[] {
  const figures = new Map(results.map(({ figure, unit }) => [figure, unit]));
  const rows = new Map<string, string[]>();
  for (const result of results) {
    const label = labelOf(result);
    const row = rows.get(label) ?? [label, ...Array.from(figures, () => "")];
    row[1 + [...figures.keys()].indexOf(result.figure)] = cell(result);
    rows.set(label, row);
  }
  return table(["", ...Array.from(figures, ([figure, unit]) => `${figure}, ${unit}`)], [...rows.values()]);
}

function cell({ median, quartiles, runs }: Result): string {
  if (runs === 1) return formatFigure(median);
  return `${formatFigure(median)} (${formatFigure(quartiles[0])} to ${formatFigure(quartiles[1])})`;
}

function labelOf({ title, parameters = {} }: Result): string {
  const values = Object.entries(parameters).map(([name, value]) =>
    typeof value === "number" ? `${name} ${value}` : value,
  );
  return [title, ...values].join(", ");
}

/** The first figure of a measure: as lines where a number was varied, else as bars. */
function draw(measure: string, results: readonly Result[]): string {
  const first = results[0];
  const drawn = results.filter(({ figure }) => figure === first?.figure);
  const title = `${measure}: ${first?.figure ?? ""}`;
  const unit = first?.unit ?? "";
  const varied = variedParameter(drawn);
  if (varied === undefined) {
    const bars = drawn.map((result) => ({
      label: labelOf(result),
      kind: kindOf(result.title),
      value: result.median,
      spread: result.quartiles,
    }));
    return barChart(title, unit, bars);
  }
  const titles = [...new Set(drawn.map((result) => result.title))];
  const lines = titles.map((label) => ({
    label,
    kind: kindOf(label),
    points: drawn
      .filter((result) => result.title === label)
      .map((result) => ({ x: Number(result.parameters?.[varied]), y: result.median }))
      .sort((a, b) => a.x - b.x),
  }));
  return lineChart(title, varied, unit, lines);
}

/** The one number that differs between the results, when it is the only parameter and takes three values or more. */
function variedParameter(results: readonly Result[]): string | undefined {
  const names = [...new Set(results.flatMap(({ parameters = {} }) => Object.keys(parameters)))];
  const [name] = names;
  if (name === undefined || names.length > 1) return undefined;
  const values = new Set(results.map(({ parameters }) => parameters?.[name]));
  return values.size >= 3 && [...values].every((value) => typeof value === "number") ? name : undefined;
}

function renderSkipped({ skipped }: Report): string[] {
  if (skipped.length === 0) return [];
  return ["Not measured:", "", ...skipped.map(({ contender, reason }) => `- ${contender}: ${reason}`), ""];
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(titles),
    `|${titles.map((_, index) => (index === 0 ? "---|" : "---:|")).join("")}`,
    ...rows.map(line),
  ];
}
