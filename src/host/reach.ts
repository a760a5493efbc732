/**
 * What else of the host decides whether a client reaches a virtual IP and gets its answer: local routes, a way back,
 * ARP, and what an interface is part of. By iproute2 and /proc/sys; nothing here changes anything.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { isClusterIpError } from "../core/errors.ts";
import { run } from "./exec.ts";
import type { Link } from "./ip.ts";

/** A bridge as interface: whether it looks for multicast listeners, and whether it counts itself as a router. */
export interface BridgeMulticast {
  readonly isSnooping: boolean;
  /** `mcast_router`: 0 never, 1 by what it hears, 2 always */
  readonly router: number;
}

/** Of one interface that virtual IPs are served on. */
export interface NicReach {
  /** the larger one of `all` and the interface's own, as the kernel takes it */
  readonly arpIgnore: number;
  /** what the interface it is part of is (`bridge`, `bond`, `vrf` …); undefined when it is part of none */
  readonly masterKind: string | undefined;
  readonly bridge: BridgeMulticast | undefined;
}

export interface Reach {
  /** dotted quads that the kernel takes for its own, by the routes of type local in all tables */
  readonly localRoutes: ReadonlySet<string>;
  readonly nics: ReadonlyMap<string, NicReach>;
  /** dotted quads from which no route leads anywhere */
  readonly withoutWayBack: ReadonlySet<string>;
}

export interface ReachQuestion {
  readonly vip: string;
  readonly nic: string;
}

const routesSchema = z.array(z.object({ dst: z.string().optional() }));
const detailsSchema = z.array(
  z.object({
    linkinfo: z
      .object({
        info_kind: z.string().optional(),
        info_data: z
          .object({ mcast_snooping: z.number().optional(), mcast_router: z.number().optional() })
          .optional(),
      })
      .optional(),
  }),
);

/** Any address far away: what counts is whether there is a route at all (RFC 5737, TEST-NET-2). */
const FAR_AWAY = "198.51.100.1";

/** @param links of this moment; interfaces that are not among them are left out */
export async function lookAtReach(served: readonly ReachQuestion[], links: readonly Link[]): Promise<Reach> {
  const names = new Set(served.map(({ nic }) => nic));
  const nics = new Map<string, NicReach>();
  const withoutWayBack = new Set<string>();
  const localRoutes = await localRoutesOf();
  for (const link of links.filter(({ name }) => names.has(name))) {
    nics.set(link.name, await nicReach(link));
    // The usual case, in one process for all virtual IPs of the interface.
    if ((await routesBy(link.name)).length > 0) continue;
    for (const { vip, nic } of served) {
      if (nic === link.name && localRoutes.has(vip) && !(await hasWayBack(vip))) withoutWayBack.add(vip);
    }
  }
  return { localRoutes, nics, withoutWayBack };
}

async function localRoutesOf(): Promise<ReadonlySet<string>> {
  const routes = await ipJson(["-4", "route", "show", "table", "all", "type", "local"], routesSchema);
  return new Set(routes.flatMap(({ dst }) => (dst === undefined ? [] : [dst])));
}

async function routesBy(nic: string): Promise<z.infer<typeof routesSchema>> {
  return ipJson(["-4", "route", "show", "dev", nic], routesSchema);
}

async function hasWayBack(vip: string): Promise<boolean> {
  try {
    await run("ip", ["-4", "route", "get", FAR_AWAY, "from", vip]);
    return true;
  } catch (error) {
    // "Network is unreachable", or a route that says so.
    if (isClusterIpError(error, "CLUSTERIP_HOST")) return false;
    throw error;
  }
}

async function nicReach(link: Link): Promise<NicReach> {
  const arpIgnore = Math.max(arpIgnoreOf("all"), arpIgnoreOf(link.name));
  const masterKind =
    link.master === undefined ? undefined : ((await detailsOf(link.master)).kind ?? "device");
  const { kind, multicast } = await detailsOf(link.name);
  return { arpIgnore, masterKind, bridge: kind === "bridge" ? multicast : undefined };
}

async function detailsOf(
  name: string,
): Promise<{ readonly kind: string | undefined; readonly multicast: BridgeMulticast }> {
  const [link] = await ipJson(["-details", "link", "show", "dev", name], detailsSchema);
  const { info_kind: kind, info_data: data } = link?.linkinfo ?? {};
  // A kernel without multicast snooping says nothing of it.
  const multicast = { isSnooping: data?.mcast_snooping === 1, router: data?.mcast_router ?? 2 };
  return { kind, multicast };
}

async function ipJson<T>(args: readonly string[], schema: z.ZodType<T>): Promise<T> {
  return schema.parse(JSON.parse((await run("ip", ["-json", ...args])).trim() || "[]"));
}

function arpIgnoreOf(name: string): number {
  try {
    return Number(readFileSync(`/proc/sys/net/ipv4/conf/${name}/arp_ignore`, "utf8"));
  } catch {
    return 0;
  }
}

/** Puts back the route by which the kernel takes packets to the address for its own. */
export async function restoreLocalRoute(vip: string, device: string): Promise<void> {
  const route = ["dev", device, "table", "local", "proto", "kernel", "scope", "host", "src", vip];
  await run("ip", ["-4", "route", "replace", "local", `${vip}/32`, ...route]);
}

/** @param router {@link BridgeMulticast.router} */
export async function setMulticastRouter(bridge: string, router: number): Promise<void> {
  await run("ip", ["link", "set", "dev", bridge, "type", "bridge", "mcast_router", String(router)]);
}
