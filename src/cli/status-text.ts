/** `clusterip status` for people. */

import type { RemovedBody } from "../api/contract.ts";
import type { DaemonStatus, NicStatus, VirtualIpStatus } from "../daemon/status.ts";
import type { ProgramStatus } from "../engine/engine.ts";
import { formatBuckets } from "../model/bucket-set.ts";
import { countOf, formatBytes, formatCount, formatDuration, formatShare } from "../tools/numbers.ts";
import { type Column, textTable } from "../tools/text-table.ts";

export function renderStatus(status: DaemonStatus): string {
  const repairs = Object.entries(status.repairs).filter(([, { count }]) => count > 0);
  const blocks = [
    `clusteripd ${status.version}, pid ${status.pid}, up ${formatDuration(status.uptimeSeconds)}`,
    ...status.virtualIps.map(renderVirtualIp),
    ...(status.virtualIps.length === 0 ? ["No virtual IP is served."] : []),
    ...status.nics.map(renderNic),
    ...(status.engines.bpf.whyNot === undefined
      ? []
      : [`The engine 'bpf' is not available here: ${status.engines.bpf.whyNot}.`]),
    ...(repairs.length === 0
      ? []
      : [
          [
            "Put back after others changed it:",
            ...repairs.map(
              ([kind, { count, lastAt }]) =>
                `  ${kind}: ${countOf(count, "time")}, last ${lastAt ?? "never"}`,
            ),
          ].join("\n"),
        ]),
    ...status.problems.map(({ code, message }) => `WARNING (${code}): ${message}`),
  ];
  return `${blocks.join("\n\n")}\n`;
}

const bucketColumns: readonly Column[] = [
  { title: "  bucket", align: "left" },
  { title: "node", align: "left" },
  { title: "frames here", align: "right" },
  { title: "bytes here", align: "right" },
  { title: "frames foreign", align: "right" },
  { title: "bytes foreign", align: "right" },
  { title: "share", align: "right" },
];

export function renderVirtualIp(virtualIp: VirtualIpStatus): string {
  const { vip, nic, localBuckets, bucketCount, hashMode, clusterMac, hashInit, engine, origin } = virtualIp;
  const frames = virtualIp.buckets.map((b) => b.local.frames + b.foreign.frames);
  const total = frames.reduce((a, b) => a + b, 0);
  const rows = virtualIp.buckets.map((bucket, index) => [
    `  ${bucket.bucket}`,
    bucket.isLocal ? "here" : "-",
    formatCount(bucket.local.frames),
    formatBytes(bucket.local.bytes),
    formatCount(bucket.foreign.frames),
    formatBytes(bucket.foreign.bytes),
    total === 0 ? "-" : formatShare((frames[index] ?? 0) / total),
  ]);
  const { withoutBucket, foreignStandardError = 0 } = virtualIp;
  return [
    `${vip} on ${nic}: local nodes ${formatBuckets(localBuckets) || "none"} of ${bucketCount}`,
    `  ${hashMode}, hash-init ${hashInit}, cluster MAC ${clusterMac ?? "not known yet"}, engine ${engine}, from ${origin}`,
    ...(virtualIp.waitsBecause === undefined ? [] : [`  NOT SERVED: ${virtualIp.waitsBecause}`]),
    ...textTable(bucketColumns, rows),
    ...(foreignStandardError === 0
      ? []
      : [`  foreign frames are estimated from samples: give or take ${formatCount(foreignStandardError)}`]),
    ...(withoutBucket.frames === 0
      ? []
      : [
          `  accepted without a bucket (later fragments and the like): ${countOf(withoutBucket.frames, "frame")}`,
        ]),
  ].join("\n");
}

/** What `clusterip add` did, and how long it lasts. */
export function addedText({
  vip,
  nic,
  localBuckets,
  bucketCount,
  clusterMac,
  engine,
}: VirtualIpStatus): string {
  const buckets = localBuckets.length === 1 ? "bucket" : "buckets";
  return [
    `${vip} is served on ${nic}: ${buckets} ${formatBuckets(localBuckets)} of ${bucketCount}, cluster MAC ${clusterMac}, engine ${engine}.`,
    `It lasts until this host boots, also over a restart of the daemon. To keep it, put it into the configuration file.`,
    "",
  ].join("\n");
}

/** What `clusterip del` did, and whether that lasts. */
export function deletedText({ vip, origin }: RemovedBody): string {
  const again =
    origin === "config"
      ? " The configuration file still has it: a reload or the next start of the daemon serves it again."
      : "";
  return `${vip} is not served here any more.${again}\n`;
}

function renderNic(nic: NicStatus): string {
  const { byVerdict } = nic;
  const reasons = Object.entries({ ...nic.byReason, ...nic.byEngineDrop })
    .filter(([, tally]) => tally.frames > 0)
    .map(([reason, tally]) => `${reason} ${tally.frames}`);
  return [
    `${nic.nic}${nic.ifindex === undefined ? " (missing)" : ""}, engine ${nic.engine}: ${nic.received.frames} ${nic.received.frames === 1 ? "frame" : "frames"} received = ${byVerdict.accept.frames} accepted + ${byVerdict.foreign.frames} foreign + ${byVerdict["not-ours"].frames} not ours + ${byVerdict.malformed.frames} malformed + ${byVerdict.drop.frames} dropped`,
    ...(reasons.length === 0 ? [] : [`  ${reasons.join(", ")}`]),
    ...prefilterLines(nic),
    ...(nic.programs === undefined ? [] : [renderPrograms(nic.programs)]),
    ...(nic.kernelDropped === 0
      ? []
      : [`  lost before the engine (its buffer was full): ${countOf(nic.kernelDropped, "frame")}`]),
    ...(nic.lastDeliveryError === undefined ? [] : [`  last failed delivery: ${nic.lastDeliveryError}`]),
  ].join("\n");
}

function prefilterLines({ prefilter, receivedStandardError = 0 }: NicStatus): readonly string[] {
  const lines: string[] = [];
  if (prefilter?.state === "attached") {
    lines.push(
      `  the kernel drops what is foreign or not ours; of that, 1 frame in ${prefilter.sampling} is looked at and counted for all`,
    );
    if (prefilter.passedUp.length > 0) {
      lines.push(
        `  too many settings for the kernel's filter: ${countOf(prefilter.passedUp.length, "virtual IP")} without`,
      );
    }
  }
  if (prefilter?.state === "refused") {
    lines.push(`  the kernel refuses the filter that would drop foreign frames early: ${prefilter.error}`);
  }
  if (receivedStandardError > 0) {
    lines.push(
      `  what is foreign or not ours is estimated: give or take ${countOf(Math.round(receivedStandardError), "frame")}`,
    );
  }
  return lines;
}

function renderPrograms({ tc, xdp, xdpOffBecause }: ProgramStatus): string {
  const why = xdpOffBecause === undefined ? "" : `: ${xdpOffBecause}`;
  return `  programs: ${tc}, XDP ${xdp}${why}`;
}
