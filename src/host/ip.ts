/** Links and IPv4 addresses of this network namespace, by iproute2. */
import { z } from "zod";
import { tryParseIpv4 } from "../core/ipv4.ts";
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
    flags: z.array(z.string()).default([]),
    link: z.string().optional(),
    xdp: z.object({ prog: z.object({ name: z.string().optional() }).optional() }).optional(),
    link_type: z.string().default(""),
    address: z.string().default(""),
    addr_info: z
      .array(
        z.object({
          family: z.string().optional(),
          local: z.string().optional(),
          prefixlen: z.number().default(32),
          broadcast: z.string().optional(),
          metric: z.number().optional(),
          secondary: z.boolean().default(false),
        }),
      )
      .default([]),
  }),
);

export interface InterfaceAddress {
  /** host order */
  readonly addressHost: number;
  readonly prefixLength: number;
  /** host order; undefined when the network has none set */
  readonly broadcastHost: number | undefined;
  /** the kernel had another address of its network on this device when it came */
  readonly isSecondary: boolean;
  /** set by us ({@link ADDRESS_MARK}) */
  readonly isOurs: boolean;
}

export interface Link {
  readonly ifindex: number;
  readonly name: string;
  /** the link that this one sits on (VLAN, macvlan) or is wired to (veth), if it is in this namespace */
  readonly lower: string | undefined;
  /** `ether`, `loopback`, `none` ... */
  readonly type: string;
  /** the NIC's own MAC */
  readonly mac: string;
  readonly isUp: boolean;
  readonly hasCarrier: boolean;
  /** an XDP program on it; its name takes CAP_SYS_ADMIN to be seen */
  readonly xdp: { readonly name: string | undefined } | undefined;
  readonly addresses: readonly InterfaceAddress[];
}

/** All links with their IPv4 addresses. */
export async function listLinks(): Promise<readonly Link[]> {
  const raw = linksSchema.parse(JSON.parse((await run("ip", ["-json", "address", "show"])) || "[]"));
  return raw.flatMap((link) => {
    if (link.ifindex === undefined || link.ifname === undefined) return [];
    const addresses = link.addr_info.flatMap((info): InterfaceAddress[] => {
      const addressHost = info.family === "inet" ? tryParseIpv4(info.local ?? "") : undefined;
      if (addressHost === undefined) return [];
      return [
        {
          addressHost,
          prefixLength: info.prefixlen,
          broadcastHost: info.broadcast === undefined ? undefined : tryParseIpv4(info.broadcast),
          isSecondary: info.secondary,
          isOurs: info.metric === ADDRESS_MARK && info.prefixlen === 32,
        },
      ];
    });
    return [
      {
        ifindex: link.ifindex,
        name: link.ifname,
        lower: link.link,
        type: link.link_type,
        mac: link.address,
        isUp: link.flags.includes("UP"),
        hasCarrier: link.flags.includes("LOWER_UP"),
        xdp: link.xdp === undefined ? undefined : { name: link.xdp.prog?.name },
        addresses,
      },
    ];
  });
}

/** One `vip/32` on one device. */
export interface OwnAddress {
  readonly vip: string;
  readonly device: string;
}

/**
 * Adds addresses with our mark, in order; stops at the first that fails. One that is there without the mark gets it:
 * the kernel takes another metric for an address that it has.
 */
export async function addAddresses(addresses: readonly OwnAddress[]): Promise<void> {
  await batch(
    addresses.map(({ vip, device }) => `address replace ${vip}/32 dev ${device} metric ${ADDRESS_MARK}`),
  );
}

/** Removes addresses, in order; stops at the first that fails. */
export async function removeAddresses(addresses: readonly OwnAddress[]): Promise<void> {
  await batch(addresses.map(({ vip, device }) => `address del ${vip}/32 dev ${device}`));
}

/** Takes the XDP program off a device, in the mode that its driver prefers. */
export async function removeXdp(device: string): Promise<void> {
  await run("ip", ["link", "set", "dev", device, "xdp", "off"]);
}

async function batch(lines: readonly string[]): Promise<void> {
  if (lines.length > 0) await run("ip", ["-batch", "-"], `${lines.join("\n")}\n`);
}
