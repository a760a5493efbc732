/**
 * Routes of this network namespace's main table, without a process: /proc/net/route. And our own ones: an
 * interface that has no address of the virtual IP's network has no route to its clients either, and gets one.
 */
import { readFileSync } from "node:fs";
import { endianness } from "node:os";
import { type Address, ipv4Address } from "../model/address.ts";
import { formatNetwork, networkHolds } from "../model/network.ts";
import { run } from "./exec.ts";
import { ADDRESS_MARK } from "./ip.ts";

/** A network that is reached over an interface without a router. */
export interface LinkRoute {
  readonly device: string;
  readonly network: Address;
  /** 1 to 31: no default route, and no single host */
  readonly prefixLength: number;
  /** set by us: the metric, which as the last one gives way to any other route, says so */
  readonly isOurs: boolean;
}

/** The route that a virtual IP needs on an interface without an address of its network. */
export interface WantedRoute {
  readonly device: string;
  /** any address of the network */
  readonly address: Address;
  readonly prefixLength: number;
}

/** RTF_GATEWAY and RTF_REJECT of linux/route.h: by a router, or not at all. */
const NOT_ON_LINK = 0x0002 | 0x0200;

const OUR_ROUTE = ["scope", "link", "metric", String(ADDRESS_MARK)] as const;

export function listLinkRoutes(): readonly LinkRoute[] {
  return parseRoutes(readFileSync("/proc/net/route", "utf8"));
}

/** @param text a line of titles, then `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, hexadecimal */
export function parseRoutes(text: string): readonly LinkRoute[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line): LinkRoute[] => {
      const [device = "", network = "", , flags = "", , , metric, mask = ""] = line.trim().split(/\s+/);
      if (mask === "" || (Number.parseInt(flags, 16) & NOT_ON_LINK) !== 0) return [];
      const prefixLength = ones(Number.parseInt(mask, 16));
      if (prefixLength === 0 || prefixLength > 31) return [];
      const isOurs = Number(metric) === ADDRESS_MARK;
      return [{ device, network: ipv4Address(fromNetworkOrder(network)), prefixLength, isOurs }];
    });
}

/**
 * Brings our routes to what is wanted: adds those whose network no other route of the interface covers, and removes all
 * others of ours. Starts no process where nothing differs.
 *
 * @param wanted on interfaces that are up
 * @returns the networks whose routes were added
 */
export async function syncRoutes(wanted: readonly WantedRoute[]): Promise<readonly string[]> {
  const present = listLinkRoutes();
  const covers = (route: LinkRoute, { device, address, prefixLength }: WantedRoute): boolean =>
    route.device === device &&
    route.prefixLength <= prefixLength &&
    networkHolds(route.network, route.prefixLength, address);
  const missing = wanted.filter((want) => !present.some((route) => covers(route, want)));
  const stale = present.filter(
    (route) =>
      route.isOurs && !wanted.some((want) => covers(route, want) && route.prefixLength === want.prefixLength),
  );
  const added = new Set(
    missing.map((want) => `${formatNetwork(want.address, want.prefixLength)} dev ${want.device}`),
  );
  for (const route of added) await run("ip", ["route", "replace", ...route.split(" "), ...OUR_ROUTE]);
  await removeRoutes(stale);
  return [...added];
}

/** Takes our routes away, also those that a dead daemon has left. */
export async function removeRoutes(routes: readonly LinkRoute[]): Promise<void> {
  for (const { device, network, prefixLength } of routes) {
    await run("ip", ["route", "del", formatNetwork(network, prefixLength), "dev", device, ...OUR_ROUTE]);
  }
}

/** `NETWORK/LENGTH on DEVICE` */
export function describeRoute({ device, network, prefixLength }: LinkRoute): string {
  return `${formatNetwork(network, prefixLength)} on ${device}`;
}

/** The kernel prints the octets in network order as if they were a number of the machine's. */
function fromNetworkOrder(hexadecimal: string): number {
  const octets = Buffer.from(hexadecimal.padStart(8, "0"), "hex");
  return endianness() === "LE" ? octets.readUInt32LE() : octets.readUInt32BE();
}

function ones(word: number): number {
  return word.toString(2).replaceAll("0", "").length;
}
