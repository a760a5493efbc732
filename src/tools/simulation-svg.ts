/**
 * A simulation as a drawing: one bar a bucket, coloured by the node that has it, over the band
 * that chance alone explains. The file stands alone: no script, no font or picture from elsewhere.
 */
import { countOf, formatCount, formatShare } from "./numbers.ts";
import { describeSettings, describeSimulation } from "./render-simulation.ts";
import type { BucketShare, Simulation } from "./simulation.ts";
import { wrap } from "./text-table.ts";

const WIDTH = 860;
const PLOT = { left: 84, right: 24, top: 108, height: 300 };
const PLOT_WIDTH = WIDTH - PLOT.left - PLOT.right;
const BASE_LINE = PLOT.top + PLOT.height;
const LINE_HEIGHT = 20;
/** Characters of 14 px text that fit the width of the plot. */
const ADVICE_COLUMNS = 98;
/** Of a normal spread 95% lies within this many standard deviations. */
const BAND_DEVIATIONS = 2;

/** Sixteen colours of about equal lightness that differ in hue and chroma; black text reads on all. */
const NODE_COLOURS = [
  "#7aa6d8", "#f0a868", "#86c28b", "#e08a8a", "#b49ad6", "#c9a78c", "#eaa3cf", "#a9a9a9",
  "#cfcf6a", "#72cbd2", "#9db4f0", "#f5c36c", "#a8d86f", "#f29b7d", "#cfa7f0", "#8fd3b6",
] as const; // biome-ignore format: a palette reads best in rows

export function renderSimulationSvg(simulation: Simulation): string {
  const { buckets, expected } = simulation;
  const bandTop = expected.meanShare + BAND_DEVIATIONS * expected.standardDeviation;
  const top = axisTop(
    Math.max(...buckets.map(({ share }) => share), Math.min(1, bandTop), expected.maxShare),
  );
  const yOf = (share: number): number => BASE_LINE - (Math.max(0, Math.min(share, top)) / top) * PLOT.height;

  const advice = simulation.advice.flatMap(({ text: advised }) => wrap(advised, ADVICE_COLUMNS, "", ""));
  const legendLines = simulation.ownership.down.length === 0 ? 2 : 3;
  const adviceTop = BASE_LINE + 76 + legendLines * LINE_HEIGHT;
  const height = adviceTop + advice.length * LINE_HEIGHT + 12;
  const title = "Share of every CLUSTERIP bucket";
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" ` +
      'role="img" font-family="system-ui, sans-serif" font-size="14" fill="#1c1c1c">',
    `<title>${title}</title>`,
    `<desc>${escapeXml(spokenSummary(simulation))}</desc>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(PLOT.left, 34, title, 'font-size="20" font-weight="600"'),
    text(PLOT.left, 58, describeSimulation(simulation)),
    text(PLOT.left, 78, describeSettings(simulation), 'fill="#555555"'),
    ...axis(top, yOf),
    ...band(simulation, yOf),
    ...buckets.flatMap((bucket) => bucketBar(simulation, bucket, yOf)),
    line(PLOT.left, BASE_LINE, WIDTH - PLOT.right, BASE_LINE, 'stroke="#1c1c1c"'),
    ...legend(simulation),
    ...advice.map((adviceLine, index) => text(PLOT.left, adviceTop + index * LINE_HEIGHT, adviceLine)),
    "</svg>",
    "",
  ].join("\n");
}

/** The next round number above the largest share. */
function axisTop(largest: number): number {
  const steps = [0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.8, 1];
  return steps.find((step) => step >= largest * 1.08) ?? 1;
}

function axis(top: number, yOf: (share: number) => number): readonly string[] {
  const ticks = Array.from({ length: 6 }, (_, index) => (top * index) / 5);
  return [
    ...ticks.flatMap((share) => [
      line(PLOT.left, yOf(share), WIDTH - PLOT.right, yOf(share), 'stroke="#e4e4e4"'),
      text(PLOT.left - 8, yOf(share) + 5, formatShare(share), 'text-anchor="end" fill="#555555"'),
    ]),
    text(
      0,
      0,
      "share of flows",
      `text-anchor="middle" fill="#555555" transform="translate(16 ${number(yOf(top / 2))}) rotate(-90)"`,
    ),
  ];
}

/** The expected share and two standard deviations to either side. */
function band({ expected }: Simulation, yOf: (share: number) => number): readonly string[] {
  const upper = yOf(expected.meanShare + BAND_DEVIATIONS * expected.standardDeviation);
  const lower = yOf(expected.meanShare - BAND_DEVIATIONS * expected.standardDeviation);
  const mean = yOf(expected.meanShare);
  return [
    rectangle(PLOT.left, upper, PLOT_WIDTH, Math.max(1, lower - upper), 'fill="#ffe9a8"'),
    line(PLOT.left, mean, WIDTH - PLOT.right, mean, 'stroke="#9a6b00" stroke-dasharray="6 4"'),
  ];
}

function bucketBar(
  { buckets, countedFlows, ownership }: Simulation,
  { bucket, node, flows, share }: BucketShare,
  yOf: (share: number) => number,
): readonly string[] {
  const slot = PLOT_WIDTH / buckets.length;
  const barWidth = Math.min(84, slot * 0.72);
  const centre = PLOT.left + slot * (bucket - 0.5);
  const y = yOf(share);
  const moved = node === bucket ? "" : `, taken over from node ${bucket}`;
  const label = `bucket ${bucket} at node ${node}${moved}: ${formatCount(flows)} of ${countOf(countedFlows, "flow")}`;
  const fontSize = buckets.length > 8 ? 11 : 14;
  const isTakenOver = ownership.down.includes(bucket);
  return [
    `<g><title>${label}</title>`,
    // Translucent, so that the band stays visible behind the bar.
    rectangle(
      centre - barWidth / 2,
      y,
      barWidth,
      BASE_LINE - y,
      `fill="${colourOf(node)}" fill-opacity="0.85" stroke="#1c1c1c"${isTakenOver ? ' stroke-dasharray="4 3"' : ""}`,
    ),
    text(
      centre,
      y - 6,
      formatShare(share),
      // The halo keeps the number readable where the dashed line runs behind it.
      `text-anchor="middle" font-size="${fontSize}" font-weight="600" ` +
        'stroke="#ffffff" stroke-width="3" paint-order="stroke"',
    ),
    text(centre, BASE_LINE + 18, String(bucket), 'text-anchor="middle"'),
    text(centre, BASE_LINE + 36, String(node), 'text-anchor="middle" fill="#555555"'),
    "</g>",
  ];
}

function legend(simulation: Simulation): readonly string[] {
  const { expected, ownership } = simulation;
  const y = BASE_LINE + 64;
  const deviation = (BAND_DEVIATIONS * expected.standardDeviation * 100).toPrecision(2);
  return [
    text(PLOT.left - 8, BASE_LINE + 18, "bucket", 'text-anchor="end"'),
    text(PLOT.left - 8, BASE_LINE + 36, "at node", 'text-anchor="end" fill="#555555"'),
    rectangle(PLOT.left, y - 12, 28, 14, 'fill="#ffe9a8"'),
    line(PLOT.left, y - 5, PLOT.left + 28, y - 5, 'stroke="#9a6b00" stroke-dasharray="6 4"'),
    text(
      PLOT.left + 38,
      y,
      `expected: ${formatShare(expected.meanShare)} each, 95% of buckets within ${deviation} points`,
      'fill="#555555"',
    ),
    text(
      PLOT.left + 38,
      y + LINE_HEIGHT,
      `on average the largest bucket has ${formatShare(expected.maxShare)}, the smallest ${formatShare(expected.minShare)}`,
      'fill="#555555"',
    ),
    ...(ownership.down.length === 0 ? [] : takenOverKey(y + 2 * LINE_HEIGHT)),
  ];
}

function takenOverKey(y: number): readonly string[] {
  return [
    rectangle(PLOT.left, y - 12, 28, 14, 'fill="none" stroke="#1c1c1c" stroke-dasharray="4 3"'),
    text(PLOT.left + 38, y, "taken over from a node that is down", 'fill="#555555"'),
  ];
}

function spokenSummary(simulation: Simulation): string {
  const shares = simulation.buckets.map(({ bucket, share }) => `bucket ${bucket} ${formatShare(share)}`);
  return `${describeSimulation(simulation)}; ${describeSettings(simulation)}. ${shares.join(", ")}.`;
}

function colourOf(node: number): string {
  return NODE_COLOURS[(node - 1) % NODE_COLOURS.length] ?? "#a9a9a9";
}

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${number(x)}" y="${number(y)}"${spaced(attributes)}>${escapeXml(content)}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, attributes: string): string {
  return `<line x1="${number(x1)}" y1="${number(y1)}" x2="${number(x2)}" y2="${number(y2)}"${spaced(attributes)}/>`;
}

function rectangle(x: number, y: number, width: number, height: number, attributes: string): string {
  return (
    `<rect x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}"` +
    `${spaced(attributes)}/>`
  );
}

function spaced(attributes: string): string {
  return attributes === "" ? "" : ` ${attributes}`;
}

/** A tenth of a pixel is enough, and keeps the file the same on every machine. */
function number(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escapeXml(content: string): string {
  return content.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
