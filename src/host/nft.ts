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
 *    A bridge is told apart. With br_netfilter the hook at prerouting meets a frame on the bridge's port,
 *    before anybody on the bridge has judged it, also one that only passes through to a virtual machine; and
 *    it does not meet it again. So frames of bridges pass there, and are stopped at the ingress of the bridge.
 *    Counters stand there, too: what clients ask of a virtual IP, and what leaves from it (`watch-rules.ts`).
 *  - `arp`: no ARP message with a virtual IP as sender carries another MAC than the cluster's, or it
 *    would poison the neighbours' caches. On the NIC, replies and announcements carry the cluster MAC.
 *    A question for a neighbour becomes the node's own: its own address and, as it is, its own MAC; a
 *    router need not answer one whose sender has a group MAC. On any other interface replies are dropped and
 *    requests become probes (RFC 5227, sender 0.0.0.0), which resolve a neighbour without claiming the address.
 *    What others say of it is noted (`arp-claims.ts`).
 */
import { z } from "zod";
import { isClusterIpError } from "../core/errors.ts";
import type { AnnouncedVirtualIp } from "../model/virtual-ip.ts";
import { renderClaims } from "./arp-claims.ts";
import { run } from "./exec.ts";
import { renderAsked, renderCounters, renderLeft } from "./watch-rules.ts";

export const TABLE_NAME = "clusteripd";

const families = ["netdev", "ip", "arp"] as const;

const ETHERTYPE_IPV4 = "0x0800";
/** The sender of a probe (RFC 5227), which claims nothing. */
const NO_ADDRESS = "0.0.0.0";

/** Before everything that others may do at ingress (their filters are at 0 and above). */
const GUARD_PRIORITY = -500;
/** Before connection tracking (NF_IP_PRI_RAW, linux/netfilter_ipv4.h), so that it keeps no entry. */
const STRAY_PRIORITY = -300;

export interface GuardedVirtualIp extends AnnouncedVirtualIp {
  /** the engine's program on the interface stands before the stack: a guard behind it would drop what it accepts */
  readonly isJudgedInPlace?: boolean;
}

/** An interface that exists now. */
export interface PresentNic {
  readonly name: string;
  /** what sits on it has traffic of its own that passes here too: VLAN interfaces, to the kernel's knowledge */
  readonly carriesOthers: boolean;
  /** a bridge, or a VLAN of one: frames meet the `ip` hooks before they arrive here, where br_netfilter is on */
  readonly isBridge: boolean;
  /** this host's own addresses on it, no virtual IP; the first is the one to ask as where no network fits */
  readonly own: readonly OwnNetwork[];
}

export interface OwnNetwork {
  readonly address: string;
  /** as nft takes it: `10.0.0.0/8` */
  readonly network: string;
  readonly prefixLength: number;
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
    lines.push(
      ...renderGuard(virtualIps, present),
      ...renderStray(virtualIps, present),
      ...renderArp(virtualIps, present),
    );
  }
  return `${lines.join("\n")}\n`;
}

function renderGuard(virtualIps: readonly GuardedVirtualIp[], present: readonly PresentNic[]): string[] {
  const lines = [`table netdev ${TABLE_NAME} {`];
  let chains = 0;
  for (const { name, carriesOthers, isBridge } of [...present].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const isGuarded = ({ nic, isJudgedInPlace }: GuardedVirtualIp): boolean =>
      nic === name && isJudgedInPlace !== true;
    const guarded = virtualIps.filter(isGuarded).map(({ address }) => address);
    // What a program on the bridge has accepted is addressed to the host by now.
    const strays = isBridge ? virtualIps.filter((v) => !isGuarded(v)).map(({ address }) => address) : [];
    if (guarded.length + strays.length === 0) continue;
    const frames = carriesOthers ? untaggedOnly : anyFrame;
    lines.push(
      `  chain guard${chains} {`,
      `    type filter hook ingress device "${name}" priority ${GUARD_PRIORITY}; policy accept;`,
      ...(guarded.length === 0 ? [] : frames(addressSet(guarded))).map((rule) => `    ${rule}`),
      ...(strays.length === 0 ? [] : frames(addressSet(strays))).map(
        (rule) => `    meta pkttype != host ${rule}`,
      ),
      "  }",
    );
    chains += 1;
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

function renderStray(virtualIps: readonly GuardedVirtualIp[], present: readonly PresentNic[]): string[] {
  const vips = virtualIps.map(({ address }) => address);
  const guarded = virtualIps.filter(({ isJudgedInPlace }) => isJudgedInPlace !== true);
  const nics = [...new Set(guarded.map(({ nic }) => nic))].sort();
  const bridges = present.flatMap(({ name, isBridge }) => (isBridge ? [name] : [])).sort();
  const byNic = (names: readonly string[]): string[] =>
    names.map((name) => {
      const ofNic = guarded.filter(({ nic }) => nic === name).map(({ address }) => address);
      return `    ip daddr ${addressSet(ofNic)} iifname "${name}" drop`;
    });
  const notOfBridges =
    bridges.length === 0 ? "" : ` iifname != { ${bridges.map((name) => `"${name}"`).join(", ")} }`;
  const guardedBridges = byNic(nics.filter((name) => bridges.includes(name)));
  return [
    `table ip ${TABLE_NAME} {`,
    ...renderCounters(vips),
    "  chain stray {",
    `    type filter hook prerouting priority ${STRAY_PRIORITY}; policy accept;`,
    // What the engine delivers, and what this host sends to itself, was addressed to the host. One comparison
    // lets that pass; a set of two packet types costs more, for every packet that the host receives.
    `    meta pkttype != host ip daddr ${addressSet(vips)}${notOfBridges} drop`,
    // What the engine delivers comes by its own device.
    ...byNic(nics.filter((name) => !bridges.includes(name))),
    // On a bridge nobody has judged the frame yet (above).
    ...renderAsked(virtualIps.filter(({ nic }) => !bridges.includes(nic)).map(({ address }) => address)),
    "  }",
    ...renderLeft(vips),
    // The same where the frame has left the bridge: what passes through it never comes here.
    ...(guardedBridges.length === 0
      ? []
      : [
          "  chain bridged {",
          `    type filter hook input priority ${STRAY_PRIORITY}; policy accept;`,
          ...guardedBridges,
          "  }",
        ]),
    "}",
  ];
}

function renderArp(virtualIps: readonly GuardedVirtualIp[], present: readonly PresentNic[]): string[] {
  const nics = [...new Set(virtualIps.map(({ nic }) => nic))].sort();
  const rules = virtualIps.flatMap(({ address, nic, clusterMac }) => [
    `    oifname "${nic}" arp saddr ip ${address} arp saddr ether set ${clusterMac} accept`,
    `    arp operation request arp saddr ip ${address} arp saddr ip set ${NO_ADDRESS} accept`,
    `    arp saddr ip ${address} drop`,
  ]);
  const questions = nics.map((name, index) => {
    const vips = addressSet(virtualIps.filter(({ nic }) => nic === name).map(({ address }) => address));
    // In an announcement the address asks for itself.
    return `    oifname "${name}" arp operation request arp saddr ip ${vips} arp daddr ip != ${vips} goto ask${index}`;
  });
  return [
    `table arp ${TABLE_NAME} {`,
    ...renderClaims(virtualIps),
    ...nics.flatMap((name, index) => {
      const own = present.find((nic) => nic.name === name)?.own ?? [];
      return [`  chain ask${index} {`, ...askAs(own).map((rule) => `    ${rule}`), "  }"];
    }),
    "  chain output {",
    "    type filter hook output priority 0; policy accept;",
    ...questions,
    ...rules,
    "  }",
    "}",
  ];
}

/** By the most specific network that holds the neighbour; without an address of its own a node asks as a probe does. */
function askAs(own: readonly OwnNetwork[]): string[] {
  const wide = own.filter(({ prefixLength }) => prefixLength > 0 && prefixLength < 32);
  const networks = new Map([...wide].reverse().map((network) => [network.network, network]));
  const byLength = [...networks.values()].sort(
    (a, b) => b.prefixLength - a.prefixLength || (a.network < b.network ? -1 : 1),
  );
  return [
    ...byLength.map(({ network, address }) => `arp daddr ip ${network} arp saddr ip set ${address} accept`),
    `arp saddr ip set ${own[0]?.address ?? NO_ADDRESS} accept`,
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
