/**
 * Counters from outside in: what clients ask of a virtual IP, and what leaves from it. They stand in our `ip` table, one
 * before anything of this host has dropped a packet and one after everything has, whichever engine delivers.
 *
 * Asked are the packets that every host answers, if only by a refusal: the first segment of a TCP connection and an
 * echo request. What comes by UDP need not be answered (syslog, statsd).
 */
import { z } from "zod";
import type { WatchCounts } from "../core/unanswered.ts";
import { run } from "./exec.ts";

/** Behind source address translation (NF_IP_PRI_NAT_SRC, linux/netfilter_ipv4.h), where a container's answer has the address. */
const LEFT_PRIORITY = 350;

const askedName = (vip: string): string => `asked-${vip}`;
const leftName = (vip: string): string => `left-${vip}`;

/** The counters, to be declared before the chains. */
export function renderCounters(vips: readonly string[]): string[] {
  return unique(vips).flatMap((vip) => [`  counter ${askedName(vip)} { }`, `  counter ${leftName(vip)} { }`]);
}

/** Rules for a chain at prerouting. */
export function renderAsked(vips: readonly string[]): string[] {
  if (vips.length === 0) return [];
  const count = counterBy("ip daddr", vips, askedName);
  return [
    `    ${match("ip daddr", vips)} tcp flags & (syn | ack) == syn ${count}`,
    `    ${match("ip daddr", vips)} icmp type echo-request ${count}`,
  ];
}

/** A chain of its own at postrouting. */
export function renderLeft(vips: readonly string[]): string[] {
  return [
    "  chain left {",
    `    type filter hook postrouting priority ${LEFT_PRIORITY}; policy accept;`,
    `    ${match("ip saddr", vips)} ${counterBy("ip saddr", vips, leftName)}`,
    "  }",
  ];
}

function unique(vips: readonly string[]): readonly string[] {
  return [...new Set(vips)].sort();
}

/** One address is compared, which is faster than a look-up. */
function match(field: string, vips: readonly string[]): string {
  const [first = "", ...others] = unique(vips);
  return others.length === 0 ? `${field} ${first}` : `${field} { ${[first, ...others].join(", ")} }`;
}

function counterBy(field: string, vips: readonly string[], nameOf: (vip: string) => string): string {
  const [first = "", ...others] = unique(vips);
  if (others.length === 0) return `counter name "${nameOf(first)}"`;
  const names = [first, ...others].map((vip) => `${vip} : "${nameOf(vip)}"`);
  return `counter name ${field} map { ${names.join(", ")} }`;
}

const listingSchema = z.object({
  nftables: z.array(z.object({ counter: z.object({ name: z.string(), packets: z.number() }).optional() })),
});

/** @returns by dotted quad; empty where the table is not there */
export async function readWatch(table: string): Promise<ReadonlyMap<string, WatchCounts>> {
  const text = await run("nft", ["-j", "list", "counters", "table", "ip", table]);
  const packets = new Map(
    listingSchema
      .parse(JSON.parse(text))
      .nftables.flatMap(({ counter }) => (counter === undefined ? [] : [[counter.name, counter.packets]])),
  );
  const counts = new Map<string, WatchCounts>();
  for (const [name, left] of packets) {
    if (!name.startsWith(leftName(""))) continue;
    const vip = name.slice(leftName("").length);
    counts.set(vip, { asked: packets.get(askedName(vip)) ?? 0, left });
  }
  return counts;
}
