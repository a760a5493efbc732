/**
 * Drawings of figures: each file stands alone, without script, font or picture from elsewhere. Who is shown is told by
 * colour and, for those who see or print none, by pattern, marker or dash.
 */
import { countUp, pageOf, text, WIDTH, widthOf, wrap } from "./svg-text.ts";

/** What a contender is to the reader: this project's, somebody else's, or what no contender can beat. */
export type Kind = "ours" | "peer" | "limit";

const kinds: readonly Kind[] = ["ours", "peer", "limit"];
const meaning: Readonly<Record<Kind, string>> = {
  ours: "this project",
  peer: "alternatives",
  limit: "limits: no balancing, or no work at all",
};
const lineMeaning: Readonly<Record<Kind, string>> = {
  ours: "this project",
  peer: "alternative",
  limit: "limit",
};
/** Told apart also with any one of the usual defects of colour vision (Okabe and Ito). */
const colourOf: Readonly<Record<Kind, string>> = { ours: "#0072b2", peer: "#e69f00", limit: "#767676" };
/** Of the lines of one kind, one after the other. */
const shades: Readonly<Record<Kind, readonly string[]>> = {
  ours: ["#0072b2", "#56b4e9", "#004a75", "#3d6fd1"],
  peer: ["#e69f00", "#b35900", "#a8870b", "#d55e00"],
  limit: ["#767676", "#404040", "#a0a0a0", "#5a5a5a"],
};
const DASHES = ["", "8 4", "2 4", "10 4 2 4"] as const;

const INK = "#1c1c1c";
const MARGIN = 12;
const GAP = 8;
const LINE = 17;
const MAX_LABEL = 330;
const TOP = 68;
const BAR_HEIGHT = 18;

export interface Bar {
  readonly label: string;
  readonly kind: Kind;
  readonly value: number;
  /** the middle half of the runs */
  readonly spread: readonly [number, number];
}

/** One bar a row, with a whisker over the middle half of its runs. */
export function barChart(title: string, unit: string, bars: readonly Bar[]): string {
  const labels = bars.map(({ label }) => wrap(label, MAX_LABEL));
  const values = bars.map(({ value }) => `${formatFigure(value)} ${unit}`);
  const left = MARGIN + Math.max(...labels.flat().map(widthOf)) + GAP;
  const right = WIDTH - MARGIN - Math.max(...values.map(widthOf)) - GAP;
  const top = Math.max(...bars.map(({ value, spread }) => Math.max(value, spread[1])), Number.MIN_VALUE);
  const xOf = (value: number): number => round(left + (Math.max(value, 0) / top) * (right - left));
  const heights = labels.map((lines) => Math.max(BAR_HEIGHT, lines.length * LINE) + GAP);
  const tops = countUp(TOP, heights);
  const rows = bars.flatMap(({ kind, value, spread }, index) => {
    const lines = labels[index] ?? [];
    const middle = round((tops[index] ?? TOP) + ((heights[index] ?? 0) - GAP) / 2);
    const first = middle + 5 - ((lines.length - 1) * LINE) / 2;
    return [
      ...lines.map((line, at) => text(left - GAP, round(first + at * LINE), line, 'text-anchor="end"')),
      `<rect x="${left}" y="${middle - BAR_HEIGHT / 2}" width="${round(xOf(value) - left)}" height="${BAR_HEIGHT}" ${fillOf(kind)}/>`,
      `<path d="M${xOf(spread[0])} ${middle - 5}V${middle + 5}M${xOf(spread[0])} ${middle}H${xOf(spread[1])}M${xOf(spread[1])} ${middle - 5}V${middle + 5}" stroke="${INK}" stroke-width="1.5"/>`,
      text(Math.max(xOf(value), xOf(spread[1])) + GAP, middle + 5, values[index] ?? ""),
    ];
  });
  const present = kinds.filter((kind) => bars.some((bar) => bar.kind === kind));
  const bottom = TOP + heights.reduce((sum, height) => sum + height, 0);
  return pageOf(title, bottom + MARGIN, [patterns(), ...legend(present), ...rows]);
}

function fillOf(kind: Kind): string {
  return `fill="url(#${kind})" stroke="${colourOf[kind]}"`;
}

/** Full for ours, stripes for others, dots for limits. */
function patterns(): string {
  const pattern = (kind: Kind, inside: string): string =>
    `<pattern id="${kind}" width="8" height="8" patternUnits="userSpaceOnUse">${inside}</pattern>`;
  const area = (colour: string): string => `<rect width="8" height="8" fill="${colour}"/>`;
  return [
    "<defs>",
    pattern("ours", area(colourOf.ours)),
    pattern(
      "peer",
      `${area("#fdf0d0")}<path d="M-2 2L2 -2M0 8L8 0M6 10L10 6" stroke="${colourOf.peer}" stroke-width="3"/>`,
    ),
    pattern("limit", `${area("#ffffff")}<circle cx="4" cy="4" r="2" fill="${colourOf.limit}"/>`),
    "</defs>",
  ].join("");
}

function legend(present: readonly Kind[]): string[] {
  const starts = countUp(
    MARGIN,
    present.map((kind) => 28 + widthOf(meaning[kind]) + 24),
  );
  return present.flatMap((kind, index) => [
    `<rect x="${starts[index]}" y="38" width="22" height="14" ${fillOf(kind)}/>`,
    text((starts[index] ?? 0) + 28, 50, meaning[kind]),
  ]);
}

export interface Line {
  readonly label: string;
  readonly kind: Kind;
  /** in order of x */
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const PLOT = { top: 56, height: 280 };

/** How a figure grows: both axes are logarithmic where the values span more than a factor of 20. */
export function lineChart(title: string, xTitle: string, unit: string, lines: readonly Line[]): string {
  const points = lines.flatMap((line) => line.points);
  const ys = points.map((p) => p.y);
  const marked = [...new Set([Math.max(...ys), Math.min(...ys)])];
  const left = MARGIN + Math.max(...marked.map((value) => widthOf(formatFigure(value)))) + GAP;
  const right = WIDTH - 36;
  const bottom = PLOT.top + PLOT.height;
  const x = scaleOf(
    points.map((p) => p.x),
    left,
    right,
  );
  const y = scaleOf([...ys, ...(spansFar(ys) ? [] : [0])], bottom, PLOT.top);
  const xs = [...new Set(points.map((p) => p.x))].sort((a, b) => a - b);
  const body = [
    `<path d="M${left} ${PLOT.top}V${bottom}H${right}" fill="none" stroke="${INK}"/>`,
    ...xs.map((value) => text(x(value), bottom + 20, formatFigure(value), 'text-anchor="middle"')),
    text(right, bottom + 40, xTitle, 'text-anchor="end"'),
    ...marked.map((value) => text(left - GAP, y(value) + 5, formatFigure(value), 'text-anchor="end"')),
    text(left, PLOT.top - 12, unit),
    ...lines.flatMap((line, index) => {
      const nth = lines.slice(0, index).filter(({ kind }) => kind === line.kind).length;
      const colour = shades[line.kind][nth % DASHES.length] ?? INK;
      const dash = DASHES[nth % DASHES.length] ?? "";
      const stroke = `fill="none" stroke="${colour}" stroke-width="2"${dash === "" ? "" : ` stroke-dasharray="${dash}"`}`;
      const path = line.points.map((p, at) => `${at === 0 ? "M" : "L"}${x(p.x)} ${y(p.y)}`).join("");
      const row = bottom + 54 + index * 20;
      return [
        `<path d="${path}" ${stroke}/>`,
        ...line.points.map((p) => marker(line.kind, x(p.x), y(p.y), colour)),
        `<path d="M${MARGIN} ${row}h40" ${stroke}/>`,
        marker(line.kind, MARGIN + 20, row, colour),
        text(MARGIN + 50, row + 5, `${line.label} (${lineMeaning[line.kind]})`),
      ];
    }),
  ];
  return pageOf(title, bottom + 62 + lines.length * 20, body);
}

/** A full disc for ours, an empty square for others, an empty triangle for limits. */
function marker(kind: Kind, x: number, y: number, colour: string): string {
  const empty = `fill="#ffffff" stroke="${colour}" stroke-width="2"`;
  switch (kind) {
    case "ours":
      return `<circle cx="${x}" cy="${y}" r="4.5" fill="${colour}"/>`;
    case "peer":
      return `<rect x="${round(x - 4)}" y="${round(y - 4)}" width="8" height="8" ${empty}/>`;
    case "limit":
      return `<path d="M${x} ${round(y - 5)}l5 9h-10z" ${empty}/>`;
  }
}

/** Three significant digits, thousands with commas. */
export function formatFigure(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: Math.abs(value) >= 1000 ? 4 : 3 });
}

function spansFar(values: readonly number[]): boolean {
  return Math.min(...values) > 0 && Math.max(...values) / Math.min(...values) > 20;
}

function scaleOf(values: readonly number[], from: number, to: number): (value: number) => number {
  const isLog = spansFar(values);
  const place = isLog ? Math.log : (value: number): number => value;
  const low = place(Math.min(...values));
  const range = place(Math.max(...values)) - low || 1;
  return (value) => round(from + ((place(value) - low) / range) * (to - from));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
