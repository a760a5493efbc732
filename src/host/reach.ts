/**
 * Whether packets to a virtual IP are taken for this host's own, and whether answers find a way out: the kernel is asked
 * for its routes, so that rules and tables count as they do for packets.
 */
import { isClusterIpError } from "../core/errors.ts";
import { formatIpv4, tryParseIpv4 } from "../core/ipv4.ts";
import { run } from "./exec.ts";

export interface Reach {
  /** dotted quads that the kernel does not take for its own */
  readonly withoutLocalRoute: ReadonlySet<string>;
  /** dotted quads from which no route leads to any client */
  readonly withoutWayBack: ReadonlySet<string>;
}

export interface ReachQuestion {
  readonly vip: string;
  readonly nic: string;
  /** dotted quads in the networks of the interface */
  readonly neighbours: readonly string[];
}

const MOST_DESTINATIONS = 8;

/** Any address far away: what counts is whether there is a route at all (RFC 5737, TEST-NET-2). */
const FAR_AWAY = "198.51.100.1";

export async function lookAtReach(questions: readonly ReachQuestion[]): Promise<Reach> {
  const withoutLocalRoute = new Set<string>();
  const withoutWayBack = new Set<string>();
  const local = await routesOf(questions.map(({ vip }) => ["get", vip]));
  for (const [index, { vip }] of questions.entries()) {
    if (local[index]?.startsWith("local ") !== true) withoutLocalRoute.add(vip);
  }
  // A route from an address that is no local one cannot be asked for.
  const open = questions.filter(({ vip }) => !withoutLocalRoute.has(vip));
  const first = await routesOf(
    open.map(({ vip, neighbours: [near = FAR_AWAY] }) => ["get", near, "from", vip]),
  );
  for (const [index, { vip, nic, neighbours }] of open.entries()) {
    if (first[index] !== undefined) continue;
    const known = [...neighbours.slice(1), FAR_AWAY];
    if ((await hasRoute(vip, known)) || (await hasRoute(vip, await destinationsBy(nic)))) continue;
    withoutWayBack.add(vip);
  }
  return { withoutLocalRoute, withoutWayBack };
}

async function hasRoute(vip: string, destinations: readonly string[]): Promise<boolean> {
  const routes = await routesOf(destinations.map((to) => ["get", to, "from", vip]));
  return routes.some((route) => route !== undefined);
}

/** An address of each network that has a route by the interface, of the first few. */
async function destinationsBy(nic: string): Promise<readonly string[]> {
  const lines = (await ipRoute(["route", "show", "dev", nic]))?.split("\n") ?? [];
  return lines.slice(0, MOST_DESTINATIONS).flatMap((line) => {
    const [network = "", length = "32"] = (line.split(" ")[0] ?? "").split("/");
    const addressHost = tryParseIpv4(network);
    return addressHost === undefined ? [] : [formatIpv4(Number(length) < 31 ? addressHost + 1 : addressHost)];
  });
}

/**
 * One process for all where each has a route, as is usual; a batch tells nothing of where it failed.
 *
 * @returns the first line for each; undefined where there is no route
 */
async function routesOf(questions: readonly (readonly string[])[]): Promise<readonly (string | undefined)[]> {
  if (questions.length > 1) {
    const lines = await ipRoute(
      ["-batch", "-"],
      `${questions.map((q) => `route ${q.join(" ")}`).join("\n")}\n`,
    );
    // The answer to each begins at the margin; what more there is to say of it is indented.
    const answers = lines?.split("\n").filter((line) => /^\S/.test(line));
    if (answers?.length === questions.length) return answers;
  }
  const routes: (string | undefined)[] = [];
  for (const question of questions) routes.push((await ipRoute(["route", ...question]))?.split("\n")[0]);
  return routes;
}

/** undefined for "Network is unreachable", or a route that says so. */
async function ipRoute(args: readonly string[], input?: string): Promise<string | undefined> {
  try {
    return await run("ip", ["-4", ...args], input);
  } catch (error) {
    if (isClusterIpError(error, "CLUSTERIP_HOST")) return undefined;
    throw error;
  }
}

/** Puts back the route by which the kernel takes packets to the address for its own, as the kernel had made it. */
export async function restoreLocalRoute(vip: string, device: string): Promise<void> {
  await run("ip", ["-4", "route", "replace", ...localRoute(vip, device)]);
}

export async function removeLocalRoute(vip: string, device: string): Promise<void> {
  await run("ip", ["-4", "route", "del", ...localRoute(vip, device)]);
}

function localRoute(vip: string, device: string): readonly string[] {
  const table = ["table", "local", "proto", "kernel", "scope", "host", "src", vip];
  return ["local", `${vip}/32`, "dev", device, ...table];
}

/** @param router `mcast_router` of `BridgeMulticast` */
export async function setMulticastRouter(bridge: string, router: number): Promise<void> {
  await run("ip", ["link", "set", "dev", bridge, "type", "bridge", "mcast_router", String(router)]);
}
