/** Whether packets to a virtual IP are taken for this host's own, and whether answers find a way out: by iproute2. */
import { z } from "zod";
import { isClusterIpError } from "../core/errors.ts";
import { run } from "./exec.ts";
import type { Link } from "./ip.ts";

export interface Reach {
  /** dotted quads that the kernel does not take for its own: no table has a route of type local to them */
  readonly withoutLocalRoute: ReadonlySet<string>;
  /** dotted quads from which no route leads anywhere */
  readonly withoutWayBack: ReadonlySet<string>;
}

export interface ReachQuestion {
  readonly vip: string;
  readonly nic: string;
}

const routesSchema = z.array(z.object({ dst: z.string().optional() }));
/** Any address far away: what counts is whether there is a route at all (RFC 5737, TEST-NET-2). */
const FAR_AWAY = "198.51.100.1";

/** @param links of this moment; interfaces that are not among them are left out */
export async function lookAtReach(served: readonly ReachQuestion[], links: readonly Link[]): Promise<Reach> {
  const names = new Set(served.map(({ nic }) => nic));
  const withoutWayBack = new Set<string>();
  const localRoutes = await localRoutesOf();
  for (const link of links.filter(({ name }) => names.has(name))) {
    // The usual case, in one process for all virtual IPs of the interface.
    if ((await routesBy(link.name)).length > 0) continue;
    for (const { vip, nic } of served) {
      if (nic === link.name && localRoutes.has(vip) && !(await hasWayBack(vip))) withoutWayBack.add(vip);
    }
  }
  const withoutLocalRoute = new Set(served.map(({ vip }) => vip).filter((vip) => !localRoutes.has(vip)));
  return { withoutLocalRoute, withoutWayBack };
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

async function ipJson<T>(args: readonly string[], schema: z.ZodType<T>): Promise<T> {
  return schema.parse(JSON.parse((await run("ip", ["-json", ...args])).trim() || "[]"));
}

/** Puts back the route by which the kernel takes packets to the address for its own. */
export async function restoreLocalRoute(vip: string, device: string): Promise<void> {
  const route = ["dev", device, "table", "local", "proto", "kernel", "scope", "host", "src", vip];
  await run("ip", ["-4", "route", "replace", "local", `${vip}/32`, ...route]);
}

/** @param router `mcast_router` of `BridgeMulticast` */
export async function setMulticastRouter(bridge: string, router: number): Promise<void> {
  await run("ip", ["link", "set", "dev", bridge, "type", "bridge", "mcast_router", String(router)]);
}
