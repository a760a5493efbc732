/**
 * Who else on the LAN says that a virtual IP is theirs: the rules of our table `arp` that note it, and what they noted.
 *
 * Every ARP message claims its sender's address, questions and answers alike. What this host sends does not pass the
 * hook, and a probe (RFC 5227, sender 0.0.0.0) claims nothing. The kernel fills the set: it is bounded, its entries go by
 * themselves, and no `nft monitor` hears of either.
 */
import { z } from "zod";
import { isClusterIpError } from "../core/errors.ts";
import { type Address, tryParseIpv4Address } from "../model/address.ts";
import type { AnnouncedVirtualIp } from "../model/virtual-ip.ts";
import { run } from "./exec.ts";

const SET = "claims";
/** Of all virtual IPs together; a flood of further ones is not noted, and those noted stay. */
export const MOST_CLAIMS = 256;
/** How long after its last message a claim is noted. */
export const CLAIM_SECONDS = 30;

/** The set and the chain that fills it, as lines of the table `arp`. */
export function renderClaims(virtualIps: readonly AnnouncedVirtualIp[]): string[] {
  const nics = [...new Set(virtualIps.map(({ nic }) => nic))].sort();
  const rules = nics.map((name) => {
    const ofNic = virtualIps.filter(({ nic }) => nic === name);
    const vips = listed(ofNic.map(({ address }) => address));
    const cluster = listed(ofNic.map(({ address, clusterMac }) => `${address} . ${clusterMac}`));
    // The address alone first: nearly every message is about another one.
    const isClaim = `arp saddr ip ${vips} arp saddr ip . arp saddr ether != ${cluster}`;
    return `    iifname "${name}" ${isClaim} update @${SET} { arp saddr ip . arp saddr ether }`;
  });
  return [
    `  set ${SET} {`,
    "    type ipv4_addr . ether_addr",
    `    size ${MOST_CLAIMS}`,
    "    flags dynamic,timeout",
    `    timeout ${CLAIM_SECONDS}s`,
    "  }",
    "  chain hear {",
    "    type filter hook input priority 0; policy accept;",
    ...rules,
    "  }",
  ];
}

function listed(elements: readonly string[]): string {
  return `{ ${[...new Set(elements)].sort().join(", ")} }`;
}

export interface NotedClaim {
  readonly address: Address;
  /** what it says the address has */
  readonly mac: string;
  /** since its last message */
  readonly ageSeconds: number;
}

const listingSchema = z.object({
  nftables: z.array(
    z.object({
      set: z
        .object({
          elem: z
            .array(
              z.object({
                elem: z.object({
                  val: z.object({ concat: z.tuple([z.string(), z.string()]) }),
                  expires: z.number().default(CLAIM_SECONDS),
                }),
              }),
            )
            .default([]),
        })
        .optional(),
    }),
  ),
});

/** From what `nft -j list set` prints. */
export function parseClaims(listing: string): readonly NotedClaim[] {
  const { nftables } = listingSchema.parse(JSON.parse(listing));
  return nftables.flatMap(({ set }) =>
    (set?.elem ?? []).flatMap(({ elem: { val, expires } }): NotedClaim[] => {
      const [vip, mac] = val.concat;
      const address = tryParseIpv4Address(vip);
      return address === undefined ? [] : [{ address, mac, ageSeconds: CLAIM_SECONDS - expires }];
    }),
  );
}

/** What is noted now; nothing where the table is not there, or `nft` fails just now. */
export async function listClaims(table: string): Promise<readonly NotedClaim[]> {
  try {
    return parseClaims(await run("nft", ["-j", "list", "set", "arp", table, SET]));
  } catch (error) {
    if (isClusterIpError(error)) return [];
    throw error;
  }
}
