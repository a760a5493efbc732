/** A replay as text for a terminal. */
import { formatIpv4 } from "../core/ipv4.ts";
import { reasonCatalogue } from "../core/verdict.ts";
import { countOf, formatBytes, formatCount, formatShare, listOf } from "./numbers.ts";
import type { FrameCount, Replay, VirtualIpReplay } from "./replay-report.ts";
import { bar, textTable, wrap } from "./text-table.ts";

const WIDTH = 100;
const BAR_WIDTH = 24;

export function renderReplay(replay: Replay): string {
  return [
    ...header(replay),
    "",
    ...replay.virtualIps.flatMap((virtualIp) => [...virtualIpLines(replay, virtualIp), ""]),
    ...reasonLines(replay),
    ...replay.warnings.flatMap((warning) => ["", ...wrap(warning, WIDTH, "warning: ", "         ")]),
    "",
  ].join("\n");
}

function header({ settings, ownership, total, firstNs, lastNs }: Replay): readonly string[] {
  const down =
    ownership.down.length === 0
      ? ""
      : `, ${ownership.down.length === 1 ? "node" : "nodes"} ${listOf(ownership.down)} down`;
  const duration =
    firstNs === undefined || lastNs === undefined ? "" : ` in ${formatSeconds(lastNs - firstNs)}`;
  return [
    `capture   ${countOf(total.frames, "frame")}, ${formatBytes(total.bytes)}${duration}`,
    `settings  ${settings.hashMode}, ${countOf(settings.bucketCount, "bucket")}, hash-init ${settings.hashInit}${down}`,
  ];
}

/** Captures that were merged may go backwards in time; then the difference says nothing. */
function formatSeconds(durationNs: bigint): string {
  return durationNs < 0n ? "no order of time" : `${(Number(durationNs) / 1e9).toFixed(3)} s`;
}

function virtualIpLines(replay: Replay, virtualIp: VirtualIpReplay): readonly string[] {
  const { outgoing, everyNode } = virtualIp;
  const found = replay.isVirtualIpGiven ? "" : " (found: the one address sent to a multicast MAC)";
  const lines = [`virtual IP ${formatIpv4(virtualIp.address)}${found}`, "", ...bucketTable(virtualIp)];
  lines.push("", ...nodeTable(virtualIp), "");
  if (everyNode.frames > 0) lines.push(`${frames(everyNode)} without a bucket, accepted by every node`);
  lines.push(`${frames(outgoing)} sent by the virtual IP itself, not judged`);
  return lines;
}

function bucketTable({ buckets }: VirtualIpReplay): readonly string[] {
  const total = Math.max(
    1,
    buckets.reduce((sum, bucket) => sum + bucket.frames, 0),
  );
  const scale = Math.max(...buckets.map((bucket) => bucket.frames)) / total;
  return textTable(
    [
      { title: "bucket", align: "right" },
      { title: "node", align: "right" },
      { title: "flows", align: "right" },
      { title: "frames", align: "right" },
      { title: "bytes", align: "right" },
      { title: "of frames", align: "right" },
      { title: "", align: "left" },
    ],
    buckets.map(({ bucket, node, flows, frames, bytes }) => [
      String(bucket),
      String(node),
      formatCount(flows),
      formatCount(frames),
      formatBytes(bytes),
      formatShare(frames / total),
      bar(frames / total, scale, BAR_WIDTH),
    ]),
  );
}

function nodeTable({ nodes }: VirtualIpReplay): readonly string[] {
  return textTable(
    [
      { title: "node", align: "right" },
      { title: "buckets", align: "left" },
      { title: "flows", align: "right" },
      { title: "accepted", align: "right" },
      { title: "bytes", align: "right" },
      { title: "dropped as foreign", align: "right" },
      { title: "bytes", align: "right" },
    ],
    nodes.map(({ node, isDown, buckets, flows, accepted, foreign }) =>
      isDown
        ? [String(node), "down"]
        : [
            String(node),
            buckets.join(","),
            formatCount(flows),
            formatCount(accepted.frames),
            formatBytes(accepted.bytes),
            formatCount(foreign.frames),
            formatBytes(foreign.bytes),
          ],
    ),
  );
}

interface ReasonRow extends FrameCount {
  readonly verdict: string;
  readonly explanation: string;
}

/** Counts in columns, and behind them the reason and its sentence, wrapped. */
function reasonLines({ reasons, cut, unsupported }: Replay): readonly string[] {
  const rows: ReasonRow[] = reasons.map(({ reason, verdict, frames, bytes }) => {
    // The sentence for one node reads wrong for a judge who has all buckets.
    const sentence =
      reason === "local-bucket"
        ? "The flow's bucket is one node's, which answers it."
        : reasonCatalogue[reason].sentence;
    return { verdict, frames, bytes, explanation: `${reason}: ${sentence}` };
  });
  if (cut.frames > 0) {
    rows.push({
      verdict: "-",
      ...cut,
      explanation: "not judged: The snap length cut off what the verdict needs.",
    });
  }
  if (unsupported.frames > 0) {
    rows.push({ verdict: "-", ...unsupported, explanation: "not judged: The link type is not understood." });
  }
  if (rows.length === 0) return ["No frame was judged."];
  const [titles = "", ...counts] = textTable(
    [
      { title: "verdict", align: "left" },
      { title: "frames", align: "right" },
      { title: "bytes", align: "right" },
    ],
    rows.map(({ verdict, frames, bytes }) => [verdict, formatCount(frames), formatBytes(bytes)]),
  );
  const indent = " ".repeat(titles.length + 2);
  return [
    `${titles}  reason`,
    ...rows.flatMap(({ explanation }, index) => wrap(explanation, WIDTH, `${counts[index] ?? ""}  `, indent)),
  ];
}

function frames({ frames, bytes }: FrameCount): string {
  return `${countOf(frames, "frame")} (${formatBytes(bytes)})`;
}
