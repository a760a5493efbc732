/** All figures of a run: what was measured, of whom, with the spread; and the ratios that are judged. */
import type { Report, Result } from "../lib/results.ts";
import { figures, type Sample } from "./rounds.ts";
import { median, pairedRatios, type Summary, summarise } from "./statistics.ts";

/** What a figure is in; the names are those of the samples. */
const units: Readonly<Record<string, string>> = {
  nsPerFrame: "ns",
  receiveNs: "ns",
  daemonNs: "ns",
  lostShare: "share of frames",
  requests: "requests",
  perSecond: "1/s",
  p50Us: "µs",
  p99Us: "µs",
  errors: "errors",
  daemonUsPerRequest: "µs",
  userUsPerRequest: "µs",
  systemUsPerRequest: "µs",
  softirqUsPerRequest: "µs",
  idleUsPerRequest: "µs",
  gbitPerSecond: "Gbit/s",
  daemonCpuShare: "CPUs",
  pingP50Us: "µs",
  pingP99Us: "µs",
  pingsLost: "packets",
  httpP50Us: "µs",
  httpP99Us: "µs",
  gainP50Ms: "ms",
  gainP99Ms: "ms",
  loseP50Ms: "ms",
  loseP99Ms: "ms",
  effectP50Ms: "ms",
  effectP99Ms: "ms",
  rssAtRestMb: "MB",
  rssAfterLoadMb: "MB",
  cpuAtRestShare: "CPUs",
  cpuUnderRequestsShare: "CPUs",
  cpuUnderForeignFloodShare: "CPUs",
  startSeconds: "s",
};

/** What was measured of whom. */
export interface Subject {
  readonly measure: string;
  readonly contender: string;
  readonly title: string;
  readonly parameters?: Readonly<Record<string, number>>;
}

type Skipped = Report["skipped"][number];

export class Book {
  readonly results: Result[] = [];
  readonly skipped: Skipped[] = [];
  readonly ratios: Record<string, number> = {};
  /** quartiles and range of the run-by-run ratios */
  readonly ratioSpreads: Record<string, Summary> = {};
  readonly #samples = new Map<string, readonly Sample[]>();

  add(subject: Subject, samples: readonly Sample[]): void {
    this.#samples.set(keyOf(subject), samples);
    for (const figure of Object.keys(samples[0] ?? {})) {
      const unit = units[figure];
      if (unit === undefined) throw new Error(`the figure ${figure} has no unit`);
      this.results.push({ ...subject, figure, unit, ...summarise(figures(samples, figure)) });
    }
  }

  skip(contender: string, reason: string): void {
    this.skipped.push({ contender, reason });
  }

  /** One figure of all runs of a subject; empty when it was not measured. */
  figures(subject: Omit<Subject, "title">, figure: string): number[] {
    return figures(this.#samples.get(keyOf(subject)), figure);
  }

  /** The median of the ratios of paired runs; nothing where one of the two was not measured. */
  addRatio(name: string, numerators: readonly number[], denominators: readonly number[]): void {
    this.addValue(name, pairedRatios(numerators, denominators));
  }

  addValue(name: string, values: readonly number[]): void {
    if (values.length === 0) return;
    this.ratios[name] = median(values);
    this.ratioSpreads[name] = summarise(values);
  }
}

function keyOf({ measure, contender, parameters = {} }: Omit<Subject, "title">): string {
  return JSON.stringify([measure, contender, parameters]);
}
