/** The verdict table as it is printed, and docs/semantics.md, which shows it. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { renderVerdictTable, verdictTableJson, verdictTableMarkdown } from "../../src/cli/explain-table.ts";
import { protocolNumbers } from "../../src/core/bucket.ts";
import { reasonCatalogue } from "../../src/core/verdict.ts";
import { verdictTable } from "../../src/verdict-table/rows.ts";

const COMMAND = "UPDATE_DOCS=1 npx vitest run --project unit test/unit/verdict-table-print.test.ts";
const document = new URL("../../docs/semantics.md", import.meta.url);
const BEGIN = "<!-- verdict table: begin -->\n";
const END = "<!-- verdict table: end -->\n";

test(`docs/semantics.md shows the table (${COMMAND} writes it anew)`, () => {
  const text = readFileSync(document, "utf8");
  const begin = text.indexOf(BEGIN) + BEGIN.length;
  const end = text.indexOf(END);
  expect(begin).toBeGreaterThan(BEGIN.length);
  expect(end).toBeGreaterThanOrEqual(begin);
  const wanted = `${text.slice(0, begin)}\n${verdictTableMarkdown()}\n${text.slice(end)}`;
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(document, wanted);
  expect(readFileSync(document, "utf8"), `docs/semantics.md is out of date: run ${COMMAND}`).toBe(wanted);
});

test("docs/semantics.md names every reason with its verdict and sentence", () => {
  const rows = [...readFileSync(document, "utf8").matchAll(/^\| `([a-z0-9-]+)` \| (\S+) \| (.+) \|$/gm)];
  expect(rows.map(([, reason, verdict, sentence]) => [reason, { verdict, sentence }])).toEqual(
    Object.entries(reasonCatalogue).map(([reason, { verdict, sentence }]) => [reason, { verdict, sentence }]),
  );
});

test("docs/semantics.md has the port table", () => {
  const text = readFileSync(document, "utf8");
  const { icmp, gre, ...withPorts } = protocolNumbers;
  expect([icmp, gre]).toEqual([1, 47]);
  const names = {
    tcp: "TCP",
    udp: "UDP",
    dccp: "DCCP",
    esp: "ESP",
    ah: "AH",
    sctp: "SCTP",
    udplite: "UDP-Lite",
  };
  for (const [name, number] of Object.entries(withPorts)) {
    expect(text).toContain(`${names[name as keyof typeof names]} ${number}`);
  }
});

test("the terminal shows every row under its section and settings, in columns", () => {
  const lines = renderVerdictTable().split("\n");
  expect(lines[0]).toBe("VERDICT    BUCKET  REASON                WHY, AND FOR WHICH FRAME");
  expect(lines.slice(1, 6)).toEqual([
    "",
    "Who answers",
    "with sourceip-sourceport, 4 nodes, seed 0, local 3",
    "accept          3  local-bucket          A new connection whose bucket is this node's is answered here.",
    "                                         eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn",
  ]);
  for (const { section, sentence, frame } of verdictTable()) {
    expect(lines).toContain(section);
    expect(lines.some((line) => line.endsWith(`  ${sentence}`))).toBe(true);
    expect(lines.some((line) => line.trim() === frame)).toBe(true);
  }
  expect(lines.filter((line) => line !== line.trimEnd())).toEqual([]);
});

test("the JSON form has every row with its settings", () => {
  const rows = verdictTableJson();
  expect(rows.length).toBe(verdictTable().length);
  expect(rows[0]).toEqual({
    section: "Who answers",
    hashMode: "sourceip-sourceport",
    totalNodes: 4,
    hashInit: 0,
    localNodes: [3],
    frame: "eth to cluster / ipv4 192.168.77.11 > vip / tcp 40000 > 80 syn",
    sentence: "A new connection whose bucket is this node's is answered here.",
    verdict: "accept",
    reason: "local-bucket",
    bucket: 3,
  });
  expect(rows.filter((row) => "bucket" in row !== /bucket$/.test(row.reason))).toEqual([]);
});
