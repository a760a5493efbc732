/** Text in drawings: how wide it is, in whichever font a viewer has, and the page around it. */

export const WIDTH = 900;

/**
 * The widest of the fonts that viewers take for `sans-serif` (DejaVu Sans and Verdana): where they lack the one that is
 * asked for, a label that was measured in a narrower one is cut off at the edge.
 */
const FONT = 'font-family="system-ui, sans-serif" font-size="14" fill="#1c1c1c"';
const SIZE = 14;
const WIDE = /[mwMW@%—…]/;
const NARROW = /[ijl.,:;'|!()[\] ]/;
const CAPITAL = /[A-Z_0-9<>=+~#]/;

/** At most, in pixels. */
export function widthOf(label: string): number {
  let em = 0;
  for (const character of label) {
    em += WIDE.test(character) ? 1 : NARROW.test(character) ? 0.4 : CAPITAL.test(character) ? 0.78 : 0.64;
  }
  return Math.ceil(em * SIZE);
}

/** In lines that are no wider than given, broken between words. */
export function wrap(label: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of label.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line === "" || widthOf(longer) <= width) {
      line = longer;
    } else {
      lines.push(line);
      line = word;
    }
  }
  return [...lines, line];
}

/** Where each begins, one behind the other. */
export function countUp(start: number, lengths: readonly number[]): readonly number[] {
  let at = start;
  return lengths.map((length) => {
    const begin = at;
    at += length;
    return begin;
  });
}

export function pageOf(title: string, height: number, body: readonly string[]): string {
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

export function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${x}" y="${y}"${attributes === "" ? "" : ` ${attributes}`}>${escapeXml(content)}</text>`;
}

function escapeXml(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
