/** The drawings of docs/benchmarks: nothing is cut off at an edge, and ours, others and limits are told apart. */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { kindOf } from "../../bench/report/kind.ts";
import { barChart } from "../../bench/report/svg.ts";
import { packageRoot } from "../../src/package.ts";

const directory = path.join(packageRoot(), "docs/benchmarks");
const drawings = readdirSync(directory).filter((name) => name.endsWith(".svg"));

/** What a character of a label takes on average in DejaVu Sans at 14 px, the widest font that viewers commonly have. */
const CHARACTER = 7.6;

interface Text {
  x: number;
  content: string;
  anchor: string;
}

function textsOf(svg: string): Text[] {
  return [...svg.matchAll(/<text x="([\d.]+)" y="[\d.]+"( text-anchor="(\w+)")?[^>]*>([^<]*)<\/text>/g)].map(
    ([, x, , anchor = "start", content = ""]) => ({ x: Number(x), anchor, content }),
  );
}

function cutOff(svg: string): string[] {
  const width = Number(/width="(\d+)"/.exec(svg)?.[1]);
  return textsOf(svg).flatMap(({ x, anchor, content }) => {
    const length = content.replaceAll("&lt;", "<").length * CHARACTER;
    const left = anchor === "end" ? x - length : anchor === "middle" ? x - length / 2 : x;
    return left < 0 || left + length > width ? [content] : [];
  });
}

describe.each(drawings)("%s", (name) => {
  const svg = readFileSync(path.join(directory, name), "utf8");
  it("has every label whole", () => {
    expect(textsOf(svg).length).toBeGreaterThan(3);
    expect(cutOff(svg)).toEqual([]);
  });
  it("tells who is who by more than colour", () => {
    expect(svg).toMatch(/url\(#(ours|peer|limit)\)|\((this project|alternative|limit)\)/);
  });
});

it("a label of any length is broken, and a value of any length has its place", () => {
  const bars = ["clusteripd, engine bpf", "several words ".repeat(20), "a plain address"].map((label) => ({
    label,
    kind: kindOf(label),
    value: 1_234_567,
    spread: [1_000_000, 2_345_678] as const,
  }));
  const svg = barChart("t", "requests of a kind", bars);
  expect(cutOff(svg)).toEqual([]);
  expect([...svg.matchAll(/fill="url\(#(\w+)\)"/g)].map(([, kind]) => kind)).toEqual([
    ...["ours", "peer", "limit"],
    ...["ours", "peer", "limit"],
  ]);
});
