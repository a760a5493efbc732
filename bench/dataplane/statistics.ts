/** The few statistics that the figures are given with. */

export interface Summary {
  readonly runs: number;
  readonly median: number;
  /** the middle half of the runs lies between these two */
  readonly quartiles: readonly [number, number];
  readonly range: readonly [number, number];
}

/** The value below which `share` of the values lie, interpolated between neighbours; NaN without values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? below;
  return below + (above - below) * (position - Math.floor(position));
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function summarise(values: readonly number[]): Summary {
  return {
    runs: values.length,
    median: median(values),
    quartiles: [percentile(values, 0.25), percentile(values, 0.75)],
    range: [percentile(values, 0), percentile(values, 1)],
  };
}

/** Run by run: what slows the machine down for a while slows both of a pair. */
export function pairedRatios(numerators: readonly number[], denominators: readonly number[]): number[] {
  return numerators.flatMap((numerator, index) => {
    const denominator = denominators[index];
    return denominator === undefined || denominator === 0 ? [] : [numerator / denominator];
  });
}
