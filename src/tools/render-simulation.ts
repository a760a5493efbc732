/** A simulation as text for a terminal of 80 columns. */
import { formatRanges } from "./clients.ts";
import { countOf, formatCount, formatShare, listOf, shareDigits } from "./numbers.ts";
import type { Simulation } from "./simulation.ts";
import { bar, textTable, wrap } from "./text-table.ts";

const WIDTH = 80;
const BAR_WIDTH = 40;

export function renderSimulation(simulation: Simulation): string {
  return [
    ...header(simulation),
    "",
    ...bucketTable(simulation),
    "",
    ...expectation(simulation),
    "",
    ...nodeTable(simulation),
    "",
    ...simulation.advice.flatMap(({ text }) => wrap(text, WIDTH, "* ", "  ")),
    "",
  ].join("\n");
}

/** What was simulated, for the text and for the drawing. */
export function describeSimulation(simulation: Simulation): string {
  const { clients, ports, destinationPort, flows } = simulation;
  return (
    `${countOf(clients, "client")} x ${countOf(ports, "source port")} to port ${destinationPort} = ` +
    countOf(flows, "flow")
  );
}

export function describeSettings({ settings, ownership }: Simulation): string {
  const down =
    ownership.down.length === 0
      ? ""
      : `, ${ownership.down.length === 1 ? "node" : "nodes"} ${listOf(ownership.down)} down`;
  return `${settings.hashMode}, ${countOf(settings.bucketCount, "bucket")}, hash-init ${settings.hashInit}${down}`;
}

function header(simulation: Simulation): readonly string[] {
  const rows: [label: string, content: string][] = [
    ["clients", formatRanges(simulation.clientRanges)],
    ["flows", describeSimulation(simulation)],
    ["settings", describeSettings(simulation)],
  ];
  if (simulation.isSample) {
    rows.push([
      "sample",
      `${countOf(simulation.countedFlows, "flow")} of them, spread evenly, stand for all`,
    ]);
  }
  return rows.flatMap(([label, content]) => wrap(content, WIDTH, label.padEnd(10), " ".repeat(10)));
}

function bucketTable({ buckets, expected }: Simulation): readonly string[] {
  const scale = Math.max(...buckets.map((bucket) => bucket.share), expected.maxShare);
  const digits = shareDigits(expected.standardDeviation);
  return textTable(
    [
      { title: "bucket", align: "right" },
      { title: "node", align: "right" },
      { title: "flows", align: "right" },
      { title: "share", align: "right" },
      { title: `| marks ${formatShare(expected.meanShare)}`, align: "left" },
    ],
    buckets.map(({ bucket, node, flows, share }) => [
      String(bucket),
      String(node),
      formatCount(flows),
      formatShare(share, digits),
      bar(share, scale, BAR_WIDTH, expected.meanShare),
    ]),
  );
}

/** What chance alone would do: the multinomial model of spread.ts, in words. */
function expectation({ settings, expected, clients }: Simulation): readonly string[] {
  const digits = shareDigits(expected.standardDeviation);
  const what =
    settings.hashMode === "sourceip"
      ? `${countOf(clients, "client")} (not flows)`
      : countOf(expected.draws, "flow");
  return [
    `expected for ${what} dealt to ${countOf(expected.buckets, "bucket")} by a fair die:`,
    `  each bucket ${formatShare(expected.meanShare)}, standard deviation ${formatPoints(expected.standardDeviation)}`,
    `  largest ${formatShare(expected.maxShare, digits)} and smallest ${formatShare(expected.minShare, digits)} on average`,
  ];
}

function formatPoints(share: number): string {
  const points = share * 100;
  return `${points < 0.1 ? points.toPrecision(1) : points.toFixed(1)} points`;
}

function nodeTable({ nodes }: Simulation): readonly string[] {
  const scale = Math.max(...nodes.map((node) => node.share));
  return textTable(
    [
      { title: "node", align: "right" },
      { title: "buckets", align: "left" },
      { title: "flows", align: "right" },
      { title: "share", align: "right" },
      { title: "", align: "left" },
    ],
    nodes.map(({ node, isDown, buckets, flows, share }) =>
      isDown
        ? [String(node), "down", "", "", ""]
        : [
            String(node),
            buckets.join(","),
            formatCount(flows),
            formatShare(share),
            bar(share, scale, BAR_WIDTH),
          ],
    ),
  );
}
