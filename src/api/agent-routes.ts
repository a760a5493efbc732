/**
 * The routes of the resource agent: one bucket as a thing that is there or not, whatever was
 * before, so that every request can be repeated; and the announcement.
 */
import { z } from "zod";
import { ClusterIpError } from "../core/errors.ts";
import { parseIpv4 } from "../core/ipv4.ts";
import { MAX_NODES } from "../core/node-set.ts";
import type { Announcement } from "../daemon/announcer.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { parseVirtualIp } from "../settings/virtual-ip.ts";
import { ok, type Route, VIP } from "./route.ts";

const NODE = new RegExp(`^${VIP}/nodes/(?<node>[^/]+)$`);

const announceSchema = z.strictObject({
  count: z.int().min(1).max(100).default(5),
  "interval-ms": z.int().min(1).max(10_000).default(200),
  wait: z.boolean().default(false),
});

const takeSchema = z.looseObject({
  announce: z.unknown().optional(),
  create: z.boolean("'create' must be true or false").default(true),
});

export function agentRoutes(daemon: Daemon): readonly Route[] {
  return [
    {
      method: "GET",
      path: NODE,
      handle: async ({ vip, node }) => {
        await daemon.checkNode(parseIpv4(vip), parseNode(node));
        return ok({ node: parseNode(node), state: "running" });
      },
    },
    {
      method: "PUT",
      path: NODE,
      handle: async ({ vip, node, body }) => {
        const bucket = parseNode(node);
        const addressHost = parseIpv4(vip);
        const parsed = takeSchema.safeParse(await body());
        if (!parsed.success) {
          throw new ClusterIpError(
            "CLUSTERIP_BAD_REQUEST",
            `The body must have the settings of the virtual IP, and may have "announce" and "create" (true or false).`,
          );
        }
        const { announce, create, ...given } = parsed.data;
        const announcement = announce === undefined ? undefined : parseAnnouncement(announce);
        // Without an interface the one of the virtual IP as it is served is meant.
        const nic = daemon.nicOf(addressHost);
        if (!create && nic === undefined) daemon.nodes(addressHost); // refuses
        const settings = parseVirtualIp({ nic, ...given, vip, "local-node": [bucket] });
        const nodes = await daemon.takeNode(settings, bucket, create);
        // Behind the answer: with the bucket in force, nobody has to wait for it.
        if (announcement !== undefined)
          setImmediate(() => {
            daemon.announce(addressHost, announcement).catch(() => {});
          });
        return ok({ nodes });
      },
    },
    {
      method: "DELETE",
      path: NODE,
      handle: async ({ vip, node }) =>
        ok({ nodes: await daemon.releaseNode(parseIpv4(vip), parseNode(node)) }),
    },
    {
      method: "POST",
      path: new RegExp(`^${VIP}/announce$`),
      handle: async ({ vip, body }) => {
        const announcement = parseAnnouncement(await body());
        const done = daemon.announce(parseIpv4(vip), announcement);
        if (announcement.wait) await done;
        return ok({});
      },
    },
  ];
}

function parseAnnouncement(raw: unknown): Announcement & { readonly wait: boolean } {
  const parsed = announceSchema.safeParse(raw);
  if (!parsed.success) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_REQUEST",
      `An announcement may have "count" (1 to 100), "interval-ms" (1 to 10000) and "wait" (true or false).`,
    );
  }
  const { count, "interval-ms": intervalMs, wait } = parsed.data;
  return { count, intervalMs, wait };
}

function parseNode(text: string): number {
  const node = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (node >= 1 && node <= MAX_NODES) return node;
  throw new ClusterIpError(
    "CLUSTERIP_NODE_OUT_OF_RANGE",
    `There is no bucket '${text}': expected a number from 1 to ${MAX_NODES}.`,
  );
}
