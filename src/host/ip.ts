/** Links and IPv4 addresses of this network namespace, by iproute2. */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { type Address, tryParseIpv4Address } from "../model/address.ts";
import { run } from "./exec.ts";

/**
 * Marks an address as ours in the kernel itself, so that it is known after a crash: a route
 * metric has no effect on a /32, and `ip address` shows it. The digits spell nothing; they only
 * have to be unlikely elsewhere.
 */
export const ADDRESS_MARK = 52467;

const linksSchema = z.array(
  z.object({
    ifindex: z.number().optional(),
    ifname: z.string().optional(),
    altnames: z.array(z.string()).default([]),
    flags: z.array(z.string()).default([]),
    link: z.string().optional(),
    master: z.string().optional(),
    linkinfo: z
      .object({
        info_kind: z.string().optional(),
        info_data: z
          .object({ mcast_snooping: z.number().optional(), mcast_router: z.number().optional() })
          .optional(),
      })
      .optional(),
    xdp: z.object({ prog: z.object({ name: z.string().optional() }).optional() }).optional(),
    link_type: z.string().default(""),
    address: z.string().default(""),
    addr_info: z
      .array(
        z.object({
          family: z.string().optional(),
          local: z.string().optional(),
          prefixlen: z.number().default(32),
          scope: z.string().default("global"),
          broadcast: z.string().optional(),
          metric: z.number().optional(),
          secondary: z.boolean().default(false),
        }),
      )
      .default([]),
  }),
);

export interface InterfaceAddress {
  readonly address: Address;
  readonly prefixLength: number;
  /** undefined when the network has none set */
  readonly broadcast: Address | undefined;
  /** `global`, `link`, `host`, or a number that the host has no name for */
  readonly scope: string;
  /** the kernel had another address of its network on this device when it came */
  readonly isSecondary: boolean;
  /** set by us ({@link ADDRESS_MARK}) */
  readonly isOurs: boolean;
}

/** Whether a bridge looks for multicast listeners, and whether it counts itself as a multicast router. */
export interface BridgeMulticast {
  readonly isSnooping: boolean;
  /** `mcast_router`: 0 never, 1 by what it hears, 2 always */
  readonly router: number;
}

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  /** by which `ip` and the kernel know it, too */
  readonly altNames?: readonly string[];
  /** the link that this one sits on (VLAN, macvlan) or is wired to (veth), if it is in this namespace */
  readonly lower: string | undefined;
  /** the bridge, bond or VRF that it is enslaved to */
  readonly master: string | undefined;
  /** `bridge`, `vrf`, `vlan` ...; undefined for what hardware is behind */
  readonly kind: string | undefined;
  /** {@link arpIgnoreOf} */
  readonly arpIgnore: number;
  /** `ether`, `loopback`, `none` ... */
  readonly type: string;
  /** the NIC's own MAC */
  readonly mac: string;
  readonly isUp: boolean;
  readonly hasCarrier: boolean;
  /** whether ARP is on, as it is unless somebody has switched it off */
  readonly hasArp: boolean;
  /** of a bridge whose kernel can look for multicast listeners */
  readonly bridge: BridgeMulticast | undefined;
  /** an XDP program on it; its name takes CAP_SYS_ADMIN to be seen */
  readonly xdp: { readonly name: string | undefined } | undefined;
  readonly addresses: readonly InterfaceAddress[];
}

function bridgeMulticast(
  data: { readonly mcast_snooping?: number | undefined; readonly mcast_router?: number | undefined } = {},
): BridgeMulticast | undefined {
  if (data.mcast_snooping === undefined || data.mcast_router === undefined) return undefined;
  return { isSnooping: data.mcast_snooping === 1, router: data.mcast_router };
}

/** All links with their IPv4 addresses. */
export async function listLinks(): Promise<readonly Link[]> {
  const text = (await run("ip", ["-json", "-details", "address", "show"])) || "[]";
  const raw = linksSchema.parse(parseJson(text));
  return raw.flatMap((link) => {
    if (link.ifindex === undefined || link.ifname === undefined) return [];
    const addresses = link.addr_info.flatMap((info): InterfaceAddress[] => {
      const address = info.family === "inet" ? tryParseIpv4Address(info.local ?? "") : undefined;
      if (address === undefined) return [];
      return [
        {
          address,
          prefixLength: info.prefixlen,
          broadcast: info.broadcast === undefined ? undefined : tryParseIpv4Address(info.broadcast),
          scope: info.scope,
          isSecondary: info.secondary,
          isOurs: info.metric === ADDRESS_MARK && info.prefixlen === 32,
        },
      ];
    });
    return [
      {
        ifindex: link.ifindex,
        name: link.ifname,
        altNames: link.altnames,
        lower: link.link,
        master: link.master,
        kind: link.linkinfo?.info_kind,
        arpIgnore: arpIgnoreOf(link.ifname),
        type: link.link_type,
        mac: link.address,
        isUp: link.flags.includes("UP"),
        hasCarrier: link.flags.includes("LOWER_UP"),
        hasArp: !link.flags.includes("NOARP"),
        bridge: link.linkinfo?.info_kind === "bridge" ? bridgeMulticast(link.linkinfo.info_data) : undefined,
        xdp: link.xdp === undefined ? undefined : { name: link.xdp.prog?.name },
        addresses,
      },
    ];
  });
}

/**
 * For which targets the kernel leaves ARP requests that an interface hears unanswered: the sysctl `arp_ignore`, of which
 * the larger of the interface's value and that for all of them counts. 0, the default, where it cannot be read.
 */
export function arpIgnoreOf(name: string): number {
  return Math.max(...["all", name].map(readArpIgnore));
}

function readArpIgnore(name: string): number {
  try {
    return Number(readFileSync(`/proc/sys/net/ipv4/conf/${name}/arp_ignore`, "utf8"));
  } catch {
    return 0;
  }
}

/** Names and aliases of interfaces may have control characters, which `ip` writes as they are and JSON forbids. */
function parseJson(text: string): unknown {
  const asEscape = (character: string): string =>
    `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  return JSON.parse(text.replaceAll(/[\0-\x09\x0b-\x1f]/g, asEscape));
}

/** One `vip/32` on one device. */
export interface OwnAddress {
  readonly vip: string;
  readonly device: string;
}

export interface PlacedAddress extends OwnAddress {
  readonly scope: "link" | "host";
}

/**
 * Adds addresses with our mark, in order; stops at the first that fails. One that is there without the mark gets it:
 * the kernel takes another metric for an address that it has.
 */
export async function addAddresses(addresses: readonly PlacedAddress[]): Promise<void> {
  await batch(
    addresses.map(({ vip, device, scope }) => [
      ...["address", "replace", `${vip}/32`, "dev", device, "scope", scope],
      ...["metric", String(ADDRESS_MARK)],
    ]),
  );
}

/** Removes addresses, in order; stops at the first that fails. */
export async function removeAddresses(addresses: readonly OwnAddress[]): Promise<void> {
  await batch(addresses.map(({ vip, device }) => ["address", "del", `${vip}/32`, "dev", device]));
}

/** Takes the XDP program off a device, in the mode that its driver prefers. */
export async function removeXdp(device: string): Promise<void> {
  await run("ip", ["link", "set", "dev", device, "xdp", "off"]);
}

/** What means nothing else to the reader of a batch: a `#` begins a comment there also between quotes. */
const PLAIN = /^[\w.:/@-]+$/;

/** Runs `ip` commands, in order; one that fails is the last. */
async function batch(commands: readonly (readonly string[])[]): Promise<void> {
  let lines: string[] = [];
  const runLines = async (): Promise<void> => {
    if (lines.length > 0) await run("ip", ["-batch", "-"], `${lines.join("\n")}\n`);
    lines = [];
  };
  for (const command of commands) {
    if (command.every((word) => PLAIN.test(word))) {
      lines.push(command.join(" "));
    } else {
      await runLines();
      await run("ip", command);
    }
  }
  await runLines();
}
