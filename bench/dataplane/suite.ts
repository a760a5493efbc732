/** What every part of the benchmark has at hand. */
import type { Book } from "./book.ts";
import type { Contender } from "./contender.ts";
import type { Programs } from "./flood-tool.ts";
import type { Extent } from "./options.ts";
import type { Runner } from "./rounds.ts";
import { alternate } from "./rounds.ts";
import type { Site } from "./site.ts";

export interface Suite {
  readonly book: Book;
  readonly extent: Extent;
  readonly programs: Programs;
  /** those that can be measured here */
  readonly contenders: readonly Contender[];
}

/** The named ones of those that can be measured, in this order. */
export function pick(suite: Suite, names: readonly string[]): Contender[] {
  return names.flatMap((name) => suite.contenders.find((contender) => contender.name === name) ?? []);
}

export interface SiteRunner {
  readonly site: Site;
  readonly runner: Runner;
  /** default: the contender's own */
  readonly title?: string;
}

/** Runs all in turn and enters the samples in the book. */
export async function compare(
  { book }: Suite,
  measure: string,
  runners: readonly SiteRunner[],
  rounds: number,
  parameters?: Readonly<Record<string, number>>,
): Promise<void> {
  const outcomes = await alternate(
    runners.map(({ runner }) => runner),
    rounds,
  );
  for (const { runner, site, title = site.contender.title } of runners) {
    const subject = { measure, contender: runner.name, title };
    const { samples = [], failure } = outcomes.get(runner.name) ?? {};
    if (failure !== undefined) book.skip(runner.name, `${measure}: ${failure}`);
    book.add(parameters === undefined ? subject : { ...subject, parameters }, samples);
  }
}
