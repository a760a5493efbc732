/**
 * Our nftables state: three tables named `clusteripd`, always replaced as a whole in one
 * transaction, so that there is no moment at which half of it is in force.
 *
 *  - `netdev`: the guard. Frames to a virtual IP never reach the kernel's own stack from the
 *    NIC; the capture socket sits before it and still sees them. When the daemon is dead the
 *    guard stays and the node is silent. Not for an engine that judges in place.
 *  - `ip`: the same for frames to a group MAC that come in by another interface. Nobody judges
 *    those, and every node's stack would answer UDP and ICMP in them: a second interface on the
 *    same LAN that is promiscuous or a bridge gets each frame to the cluster MAC once more. It is
 *    also what is left when somebody removes the program of an engine that judges in place. And
 *    what the guard cannot recognise: a frame with several priority tags (VLAN 0), which the
 *    kernel takes off one after the other behind the guard.
 *  - `arp`: every ARP message with a virtual IP as sender carries the cluster MAC, replies and
 *    requests. A message with the NIC's own MAC would poison the neighbours' caches, so on any
 *    other interface replies are dropped and requests become probes (RFC 5227, sender 0.0.0.0),
 *    which resolve a neighbour without claiming the address. What others say of it is noted (`arp-claims.ts`).
 */
import { z } from "zod";
import { isClusterIpError } from "../core/errors.ts";
import { renderClaims } from "./arp-claims.ts";
import { run } from "./exec.ts";

export const TABLE_NAME = "clusteripd";

const families = ["netdev", "ip", "arp"] as const;

const ETHERTYPE_IPV4 = "0x0800";

/** Before everything that others may do at ingress (their filters are at 0 and above). */
const GUARD_PRIORITY = -500;
/** Before connection tracking (NF_IP_PRI_RAW, linux/netfilter_ipv4.h), so that it keeps no entry. */
const STRAY_PRIORITY = -300;

export interface GuardedVirtualIp {
  readonly vip: string;
  readonly nic: string;
  readonly clusterMac: string;
  /** the engine's program on the interface stands before the stack: a guard behind it would drop what it accepts */
  readonly isJudgedInPlace?: boolean;
}

/** An interface that exists now. */
export interface PresentNic {
  readonly name: string;
  /** what sits on it has traffic of its own that passes here too: VLAN interfaces, to the kernel's knowledge */
  readonly carriesOthers: boolean;
}

/**
 * The transaction that replaces our tables.
 *
 * @param virtualIps all that this host serves; none removes the tables
 * @param present all interfaces: nft refuses a chain on one that does not exist
 */
export function renderTables(
  virtualIps: readonly GuardedVirtualIp[],
  present: readonly PresentNic[],
): string {
  // "add" first, so that the deletion cannot fail when there is no table yet.
  const lines = families.flatMap((family) => [
    `add table ${family} ${TABLE_NAME}`,
    `delete table ${family} ${TABLE_NAME}`,
  ]);
  if (virtualIps.length > 0) {
    lines.push(...renderGuard(virtualIps, present), ...renderStray(virtualIps), ...renderArp(virtualIps));
  }
  return `${lines.join("\n")}\n`;
}

function renderGuard(virtualIps: readonly GuardedVirtualIp[], present: readonly PresentNic[]): string[] {
  const guarded = virtualIps.filter(({ isJudgedInPlace }) => isJudgedInPlace !== true);
  const nics = present
    .filter(({ name }) => guarded.some(({ nic }) => nic === name))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const lines = [`table netdev ${TABLE_NAME} {`];
  for (const [index, { name, carriesOthers }] of nics.entries()) {
    const vips = guarded.filter(({ nic }) => nic === name).map(({ vip }) => vip);
    lines.push(
      `  chain guard${index} {`,
      `    type filter hook ingress device "${name}" priority ${GUARD_PRIORITY}; policy accept;`,
      ...(carriesOthers ? untaggedOnly : anyFrame)(addressSet(vips)).map((rule) => `    ${rule}`),
      "  }",
    );
  }
  return [...lines, "}"];
}

/** One address is compared, which is faster than a set of one. */
function addressSet(vips: readonly string[]): string {
  const [first = "", ...others] = [...new Set(vips)].sort();
  return others.length === 0 ? first : `{ ${[first, ...others].join(", ")} }`;
}

/** Tagged frames are nobody's: the kernel drops those of a VLAN that has no interface. */
const anyFrame = (vips: string): string[] => [`ip daddr ${vips} drop`];

/**
 * Tagged frames belong to VLAN interfaces; at ingress they still pass the base device. One look at the EtherType
 * tells the untagged ones, and costs every frame; "vlan id" and "ether type" in front of the address cost more.
 */
const untaggedOnly = (vips: string): string[] => [
  `ip daddr ${vips} @ll,96,16 ${ETHERTYPE_IPV4} drop`,
  // VLAN 0 only carries a priority.
  `vlan id 0 ip daddr ${vips} drop`,
];

function renderStray(virtualIps: readonly GuardedVirtualIp[]): string[] {
  const vips = virtualIps.map(({ vip }) => vip);
  const guarded = virtualIps.filter(({ isJudgedInPlace }) => isJudgedInPlace !== true);
  const nics = [...new Set(guarded.map(({ nic }) => nic))].sort();
  const ofNic = (name: string): string =>
    addressSet(guarded.filter(({ nic }) => nic === name).map(({ vip }) => vip));
  return [
    `table ip ${TABLE_NAME} {`,
    "  chain stray {",
    `    type filter hook prerouting priority ${STRAY_PRIORITY}; policy accept;`,
    // What the engine delivers, and what this host sends to itself, was addressed to the host. One comparison
    // lets that pass; a set of two packet types costs more, for every packet that the host receives.
    `    meta pkttype != host ip daddr ${addressSet(vips)} drop`,
    // What the engine delivers comes by its own device.
    ...nics.map((name) => `    ip daddr ${ofNic(name)} iifname "${name}" drop`),
    "  }",
    "}",
  ];
}

function renderArp(virtualIps: readonly GuardedVirtualIp[]): string[] {
  const rules = virtualIps.flatMap(({ vip, nic, clusterMac }) => [
    `    oifname "${nic}" arp saddr ip ${vip} arp saddr ether set ${clusterMac} accept`,
    `    arp operation request arp saddr ip ${vip} arp saddr ip set 0.0.0.0 accept`,
    `    arp saddr ip ${vip} drop`,
  ]);
  return [
    `table arp ${TABLE_NAME} {`,
    ...renderClaims(virtualIps),
    "  chain output {",
    "    type filter hook output priority 0; policy accept;",
    ...rules,
    "  }",
    "}",
  ];
}

/** Runs one nft transaction: all of it or nothing. */
export async function applyTables(transaction: string): Promise<void> {
  await run("nft", ["-f", "-"], transaction);
}

/**
 * Our tables as nft prints them, without counters and what the kernel itself has put into a named set; undefined when
 * one is missing.
 */
export async function listTables(): Promise<string | undefined> {
  // One command each: nft 1.0.6 finds only the first table when one input lists two.
  const listings = families.map((family) => run("nft", ["-s", "-t", "list", "table", family, TABLE_NAME]));
  try {
    return (await Promise.all(listings)).join("");
  } catch (error) {
    if (isClusterIpError(error, "CLUSTERIP_HOST")) return undefined;
    throw error;
  }
}

const nftTablesSchema = z.object({
  nftables: z.array(z.object({ table: z.object({ family: z.string(), name: z.string() }).optional() })),
});

/** The families in which a table of ours exists. */
export async function presentTables(): Promise<readonly string[]> {
  const listing = nftTablesSchema.parse(JSON.parse(await run("nft", ["-j", "list", "tables"])));
  return listing.nftables.flatMap(({ table }) => (table?.name === TABLE_NAME ? [table.family] : []));
}
