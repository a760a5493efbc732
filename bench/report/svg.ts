/** Drawings of figures: each file stands alone, without script, font or picture from elsewhere. */

const WIDTH = 860;
const FONT = 'font-family="system-ui, sans-serif" font-size="14" fill="#1c1c1c"';
const LABELS = 330;
const VALUES = 110;
const BAR = { height: 18, step: 26 };
const COLOURS = [
  "#4a7fb5",
  "#d9822b",
  "#4f9a5b",
  "#b9504f",
  "#7d63b0",
  "#8a6d4f",
  "#c25fa0",
  "#6b6b6b",
] as const;

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** the middle half of the runs */
  readonly spread: readonly [number, number];
}

/** One bar a row, with a whisker over the middle half of its runs. */
export function barChart(title: string, unit: string, bars: readonly Bar[]): string {
  const top = Math.max(...bars.map(({ value, spread }) => Math.max(value, spread[1])), Number.MIN_VALUE);
  const span = WIDTH - LABELS - VALUES;
  const xOf = (value: number): number => round(LABELS + (Math.max(value, 0) / top) * span);
  const rows = bars.flatMap(({ label, value, spread }, index) => {
    const y = 44 + index * BAR.step;
    const middle = y + BAR.height / 2;
    return [
      text(LABELS - 8, y + 14, label, 'text-anchor="end"'),
      `<rect x="${LABELS}" y="${y}" width="${round(xOf(value) - LABELS)}" height="${BAR.height}" fill="${COLOURS[0]}"/>`,
      `<path d="M${xOf(spread[0])} ${middle}H${xOf(spread[1])}" stroke="#1c1c1c" stroke-width="2"/>`,
      text(Math.max(xOf(value), xOf(spread[1])) + 6, y + 14, `${formatFigure(value)} ${unit}`),
    ];
  });
  return svg(title, 44 + bars.length * BAR.step + 10, rows);
}

export interface Line {
  readonly label: string;
  /** in order of x */
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const PLOT = { left: 80, right: 24, top: 56, height: 280 };

/** How a figure grows: both axes are logarithmic where the values span more than a factor of 20. */
export function lineChart(title: string, xTitle: string, unit: string, lines: readonly Line[]): string {
  const points = lines.flatMap((line) => line.points);
  const x = scaleOf(
    points.map((p) => p.x),
    PLOT.left,
    WIDTH - PLOT.right,
  );
  const bottom = PLOT.top + PLOT.height;
  const y = scaleOf(
    [...points.map((p) => p.y), ...(spansFar(points.map((p) => p.y)) ? [] : [0])],
    bottom,
    PLOT.top,
  );
  const xs = [...new Set(points.map((p) => p.x))].sort((a, b) => a - b);
  const body = [
    `<path d="M${PLOT.left} ${PLOT.top}V${bottom}H${WIDTH - PLOT.right}" fill="none" stroke="#1c1c1c"/>`,
    ...xs.map((value) => text(x(value), bottom + 20, formatFigure(value), 'text-anchor="middle"')),
    text(WIDTH - PLOT.right, bottom + 40, xTitle, 'text-anchor="end"'),
    ...[...new Set(points.map((p) => p.y))]
      .filter(
        (value) =>
          value === Math.max(...points.map((p) => p.y)) || value === Math.min(...points.map((p) => p.y)),
      )
      .map((value) => text(PLOT.left - 8, y(value) + 5, formatFigure(value), 'text-anchor="end"')),
    text(PLOT.left, PLOT.top - 12, unit),
    ...lines.flatMap(({ label, points: own }, index) => {
      const colour = COLOURS[index % COLOURS.length] ?? COLOURS[0];
      const path = own.map((p, at) => `${at === 0 ? "M" : "L"}${x(p.x)} ${y(p.y)}`).join("");
      return [
        `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
        ...own.map((p) => `<circle cx="${x(p.x)}" cy="${y(p.y)}" r="3.5" fill="${colour}"/>`),
        `<rect x="${PLOT.left}" y="${bottom + 52 + index * 20}" width="14" height="4" fill="${colour}"/>`,
        text(PLOT.left + 22, bottom + 58 + index * 20, label),
      ];
    }),
  ];
  return svg(title, bottom + 62 + lines.length * 20, body);
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

function svg(title: string, height: number, body: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" ${FONT}>`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(12, 26, title, 'font-size="16" font-weight="600"'),
    ...body,
    "</svg>",
    "",
  ].join("\n");
}

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
