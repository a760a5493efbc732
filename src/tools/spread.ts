/**
 * How evenly chance spreads: a good hash is a fair die with one side a bucket, and the counts of
 * `draws` throws are multinomial. Everything here follows from that model alone.
 */

export interface ExpectedSpread {
  /** Independent choices of a bucket: what the hash takes apart (clients, or flows). */
  readonly draws: number;
  readonly buckets: number;
  /** 1 / buckets */
  readonly meanShare: number;
  /** Standard deviation of one bucket's share: sqrt(p (1 - p) / draws). */
  readonly standardDeviation: number;
  /** Mean share of whichever bucket has most, and of whichever has least. */
  readonly maxShare: number;
  readonly minShare: number;
}

/**
 * Up to here the means of the largest and smallest count are exact (a dynamic programme over the
 * multinomial distribution); above, the counts are near enough to normal.
 */
const EXACT_DRAWS = 512;

/**
 * Mean of the largest of k independent standard normal numbers, k = 1 … 16 (Harter, "Expected
 * values of normal order statistics", Biometrika 48, 1961, table 1).
 */
const EXPECTED_NORMAL_MAXIMUM = [
  0, 0.5642, 0.8463, 1.0294, 1.163, 1.2672, 1.3522, 1.4236, 1.485, 1.5388, 1.5864, 1.6292, 1.668, 1.7034,
  1.7359, 1.766,
] as const;

/** The spread to expect of `draws` throws over 1 to 16 buckets. */
export function expectedSpread(draws: number, buckets: number): ExpectedSpread {
  const meanShare = 1 / buckets;
  const standardDeviation = Math.sqrt((meanShare * (1 - meanShare)) / draws);
  const extremes =
    draws <= EXACT_DRAWS ? exactExtremes(draws, buckets) : normalExtremes(draws, buckets, meanShare);
  return { draws, buckets, meanShare, standardDeviation, ...extremes };
}

type Extremes = Pick<ExpectedSpread, "maxShare" | "minShare">;

/**
 * Multinomial counts are like independent normal ones from which their mean has been taken, so
 * the largest lies E[max] of *independent* ones above the mean: with sqrt(p / n), not sqrt(p (1 - p) / n).
 */
function normalExtremes(draws: number, buckets: number, meanShare: number): Extremes {
  const distance = Math.sqrt(meanShare / draws) * (EXPECTED_NORMAL_MAXIMUM[buckets - 1] ?? 1.766);
  return { maxShare: meanShare + distance, minShare: Math.max(0, meanShare - distance) };
}

/** E[X] = sum over m >= 1 of P(X >= m), for the largest and for the smallest count. */
function exactExtremes(draws: number, buckets: number): Extremes {
  const weights = poissonWeights(draws, draws / buckets);
  const probabilityOfTotal = poissonWeights(draws, draws)[draws] ?? 1;
  const allWithin = (low: number, high: number): number =>
    weightOfAllWithin(draws, buckets, low, high, weights) / probabilityOfTotal;

  let expectedMaximum = Math.ceil(draws / buckets);
  for (let m = expectedMaximum + 1; m <= draws; m++) {
    const atLeast = 1 - allWithin(0, m - 1);
    if (atLeast < NEGLIGIBLE) break;
    expectedMaximum += atLeast;
  }
  let expectedMinimum = 0;
  for (let m = 1; m * buckets <= draws; m++) {
    const atLeast = allWithin(m, draws);
    if (atLeast < NEGLIGIBLE) break;
    expectedMinimum += atLeast;
  }
  return { maxShare: expectedMaximum / draws, minShare: expectedMinimum / draws };
}

const NEGLIGIBLE = 1e-9;

/**
 * P(every count lies in low … high) = draws! / buckets^draws * [x^draws] (sum of x^j / j!)^buckets,
 * built up bucket by bucket. The weights are Poisson probabilities of mean draws / buckets, which
 * keeps every number in range; the caller divides by P(total = draws), conditioning on it.
 */
function weightOfAllWithin(
  draws: number,
  buckets: number,
  low: number,
  high: number,
  weights: Float64Array,
): number {
  let sums = Float64Array.of(1);
  for (let bucket = 1; bucket <= buckets; bucket++) {
    const next = new Float64Array(Math.min(draws, bucket * high) + 1);
    for (let total = 0; total < sums.length; total++) {
      const probability = sums[total] ?? 0;
      if (probability === 0) continue;
      const most = Math.min(high, next.length - 1 - total);
      for (let count = low; count <= most; count++) {
        next[total + count] = (next[total + count] ?? 0) + probability * (weights[count] ?? 0);
      }
    }
    sums = next;
  }
  return sums[draws] ?? 0;
}

/** Poisson probabilities of 0 … `highest` with the given mean, by logarithms: e^-512 alone would underflow. */
function poissonWeights(highest: number, mean: number): Float64Array {
  let logFactorial = 0;
  return Float64Array.from({ length: highest + 1 }, (_, count) => {
    if (count > 0) logFactorial += Math.log(count);
    return Math.exp(count * Math.log(mean) - mean - logFactorial);
  });
}

/**
 * Probability that chance alone spreads at least as unevenly: Pearson's chi-squared test against
 * equal shares, with Wilson and Hilferty's normal approximation (PNAS 17, 1931), good to about
 * two digits where it matters here.
 *
 * @param counts draws in each bucket
 */
export function chanceOfSpread(counts: readonly number[]): number {
  const freedom = counts.length - 1;
  const draws = counts.reduce((sum, count) => sum + count, 0);
  if (freedom === 0 || draws === 0) return 1;
  const expected = draws / counts.length;
  const chiSquared = counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  const third = 2 / (9 * freedom);
  return normalTail((Math.cbrt(chiSquared / freedom) - (1 - third)) / Math.sqrt(third));
}

/** P(Z > z) of the standard normal distribution (Abramowitz and Stegun 26.2.17, error below 1e-7). */
function normalTail(z: number): number {
  if (z < 0) return 1 - normalTail(-z);
  const t = 1 / (1 + 0.2316419 * z);
  const polynomial =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * polynomial;
}
