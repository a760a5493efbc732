/**
 * The JSON that a benchmark writes with --json, and that `report.ts` reads: the machine, every
 * figure with its spread, and the ratios that the project is judged by.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";

const spread = z.tuple([z.number(), z.number()]).readonly();

const summarySchema = z.object({
  runs: z.number(),
  median: z.number(),
  /** the middle half of the runs lies between these two */
  quartiles: spread,
  range: spread,
});

const resultSchema = summarySchema.extend({
  /** what was done, such as `hash` or `foreign-frame`; a key of `methods` */
  measure: z.string(),
  /** short name of who did it, such as `native-batch` */
  contender: z.string(),
  /** the same for readers */
  title: z.string(),
  parameters: z.record(z.string(), z.union([z.number(), z.string()])).optional(),
  figure: z.string(),
  unit: z.string(),
});

const machineSchema = z.object({
  cpu: z.string(),
  cpus: z.number(),
  memoryMb: z.number(),
  kernel: z.string(),
  versions: z.record(z.string(), z.string()),
});

const reportSchema = z.object({
  benchmark: z.string(),
  /** a short run, whose figures are for nobody to quote */
  isQuick: z.boolean().default(false),
  machine: machineSchema,
  /** how each measure is taken, in words */
  methods: z.record(z.string(), z.string()),
  results: z.array(resultSchema),
  ratios: z.record(z.string(), z.number()),
  /** of the ratios, run by run */
  ratioSpreads: z.record(z.string(), summarySchema).default({}),
  skipped: z.array(z.object({ contender: z.string(), reason: z.string() })).default([]),
});

export type Result = z.output<typeof resultSchema>;
export type Report = z.output<typeof reportSchema>;

export function readReport(file: string): Report {
  return reportSchema.parse(JSON.parse(readFileSync(file, "utf8")));
}

export function writeReport(file: string, report: Report): void {
  writeFileSync(file, `${JSON.stringify(report, undefined, 2)}\n`);
}
