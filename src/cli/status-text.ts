/** `clusterip status` for people. */
import type { DaemonStatus, NicStatus, VirtualIpStatus } from "../daemon/status.ts";
import { formatBytes, formatDuration, renderTable } from "./table.ts";

export function renderStatus(status: DaemonStatus): string {
  const repairs = Object.entries(status.repairs).filter(([, { count }]) => count > 0);
  const blocks = [
    `clusteripd ${status.version}, pid ${status.pid}, up ${formatDuration(status.uptimeSeconds)}`,
    ...status.virtualIps.map(renderVirtualIp),
    ...(status.virtualIps.length === 0 ? ["No virtual IP is served."] : []),
    ...status.nics.map(renderNic),
    ...(repairs.length === 0
      ? []
      : [
          [
            "Put back after others changed it:",
            ...repairs.map(
              ([kind, { count, lastAt }]) => `  ${kind}: ${count} times, last ${lastAt ?? "never"}`,
            ),
          ].join("\n"),
        ]),
    ...status.problems.map(({ code, message }) => `WARNING (${code}): ${message}`),
  ];
  return `${blocks.join("\n\n")}\n`;
}

export function renderVirtualIp(virtualIp: VirtualIpStatus): string {
  const { vip, nic, localNodes, totalNodes, hashMode, clusterMac, hashInit, engine, origin } = virtualIp;
  const local = localNodes.length === 0 ? "none" : localNodes.join(",");
  const frames = virtualIp.buckets.map((b) => b.local.frames + b.foreign.frames);
  const total = frames.reduce((a, b) => a + b, 0);
  const rows = virtualIp.buckets.map((bucket, index) => [
    `  ${bucket.bucket}`,
    bucket.isLocal ? "here" : "-",
    String(bucket.local.frames),
    formatBytes(bucket.local.bytes),
    String(bucket.foreign.frames),
    formatBytes(bucket.foreign.bytes),
    total === 0 ? "-" : `${(((frames[index] ?? 0) / total) * 100).toFixed(1)} %`,
  ]);
  const header = [
    "  bucket",
    "node",
    "frames here",
    "bytes here",
    "frames foreign",
    "bytes foreign",
    "share",
  ];
  return [
    `${vip} on ${nic}: local nodes ${local} of ${totalNodes}`,
    `  ${hashMode}, hash-init ${hashInit}, cluster MAC ${clusterMac}, engine ${engine}, from ${origin}`,
    renderTable(header, rows, new Set([2, 3, 4, 5, 6])),
    ...(virtualIp.withoutBucket.frames === 0
      ? []
      : [
          `  accepted without a bucket (later fragments and the like): ${virtualIp.withoutBucket.frames} frames`,
        ]),
  ].join("\n");
}

function renderNic(nic: NicStatus): string {
  const { byVerdict } = nic;
  const reasons = Object.entries({ ...nic.byReason, ...nic.byEngineDrop })
    .filter(([, tally]) => tally.frames > 0)
    .map(([reason, tally]) => `${reason} ${tally.frames}`);
  return [
    `${nic.nic}${nic.ifindex === undefined ? " (missing)" : ""}: ${nic.received.frames} frames received = ${byVerdict.accept.frames} accepted + ${byVerdict.foreign.frames} foreign + ${byVerdict["not-ours"].frames} not ours + ${byVerdict.malformed.frames} malformed + ${byVerdict.drop.frames} dropped`,
    ...(reasons.length === 0 ? [] : [`  ${reasons.join(", ")}`]),
    ...(nic.kernelDropped === 0
      ? []
      : [`  lost before the engine (its buffer was full): ${nic.kernelDropped} frames`]),
    ...(nic.lastDeliveryError === undefined ? [] : [`  last failed delivery: ${nic.lastDeliveryError}`]),
  ].join("\n");
}
