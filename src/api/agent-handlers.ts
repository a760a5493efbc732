/**
 * What answers the resource agent: one bucket as a thing that is there or not, whatever was
 * before, so that every request can be repeated; and the announcement.
 */
import { deriveClusterMac } from "../core/cluster-mac.ts";
import { ClusterIpError } from "../core/errors.ts";
import type { Announcement } from "../daemon/announcer.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { type Address, ipv4Host, parseIpv4Address } from "../model/address.ts";
import { MAX_BUCKETS } from "../model/bucket-set.ts";
import { inKernelWords, toSettings } from "../model/kernel-words.ts";
import { toClusterMac } from "../model/mac.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { parseVirtualIp } from "../settings/virtual-ip.ts";
import type { Handlers } from "./route.ts";
import { type BodyOf, parseBody } from "./schemas.ts";

type AgentHandlers = Pick<Handlers, "checkBucket" | "takeBucket" | "releaseBucket" | "announce">;

export function agentHandlers(daemon: Daemon): AgentHandlers {
  return {
    checkBucket: async ({ vip, bucket: text, body }) => {
      const bucket = parseBucket(text);
      const address = parseIpv4Address(vip);
      await daemon.checkBucket(address, bucket, wantedOf(daemon, address, bucket, await body()));
      return inKernelWords({ ownBucket: bucket, state: "running" });
    },
    takeBucket: async ({ vip, bucket: text, body }) => {
      const bucket = parseBucket(text);
      const address = parseIpv4Address(vip);
      const { announce, create, check, broadcast, given } = parseTake(await body());
      const announcement = announce === undefined ? undefined : parseAnnouncement(announce);
      if (!create) daemon.buckets(address); // refuses
      const settings = await completeSettings(daemon, address, bucket, given, broadcast);
      const ownBuckets = await daemon.takeBucket(settings, bucket, { create, check });
      // The bucket is in force: the announcement follows the answer, and the agent need not wait for it.
      if (announcement !== undefined)
        setImmediate(() => {
          daemon.announce(address, announcement).catch(() => {});
        });
      return inKernelWords({ ownBuckets });
    },
    releaseBucket: async ({ vip, bucket: text, body }) => {
      const bucket = parseBucket(text);
      const address = parseIpv4Address(vip);
      const wanted = wantedOf(daemon, address, bucket, await body());
      return inKernelWords({ ownBuckets: await daemon.releaseBucket(address, bucket, wanted) });
    },
    announce: async ({ vip, body }) => {
      const announcement = parseAnnouncement(await body());
      const { allSent } = await daemon.announce(parseIpv4Address(vip), announcement);
      if (announcement.wait) await allSent;
      return {};
    },
  };
}

type Given = Readonly<Record<string, unknown>>;

interface Take extends BodyOf<"takeBucket"> {
  /** the settings of the virtual IP */
  readonly given: Given;
}

function parseTake(raw: unknown): Take {
  const taken = parseBody("takeBucket", raw);
  const { announce: _a, create: _c, check: _k, broadcast: _b, ...given } = taken;
  return { ...taken, given };
}

/** With what the request leaves open: the interface, and the MAC where a broadcast address of its own is to be in it. */
async function completeSettings(
  daemon: Daemon,
  address: Address,
  bucket: number,
  given: Given,
  broadcast: string | undefined,
): Promise<VirtualIp> {
  const served = daemon.settingsOf(address);
  // Without an interface the one of the virtual IP as it is served is meant.
  const nic = given["nic"] ?? served?.nic ?? (await daemon.findNetwork(address)).nic;
  const known = toSettings({ nic, address, localBuckets: [bucket] });
  const settings = parseVirtualIp({ ...given, ...known });
  if (broadcast === undefined || served !== undefined || settings.clusterMac !== undefined) return settings;
  const length = settings.prefixLength ?? (await daemon.findNetwork(address, settings.nic)).prefixLength;
  return { ...settings, clusterMac: toClusterMac(deriveClusterMac(ipv4Host(address), length, broadcast)) };
}

/** The settings that the bucket is to have, as far as they are given; undefined: whatever it has. */
function wantedOf(daemon: Daemon, address: Address, bucket: number, raw: unknown): VirtualIp | undefined {
  const served = daemon.settingsOf(address);
  if (raw === undefined) return undefined;
  const { given } = parseTake(raw);
  const { nic = "any", bucketCount = MAX_BUCKETS, hash } = served ?? {};
  return parseVirtualIp({
    ...toSettings({ nic, bucketCount, hashMode: hash?.words, hashInit: hash?.seed }),
    ...given,
    ...toSettings({ address, localBuckets: [bucket] }),
  });
}

function parseAnnouncement(raw: unknown): Announcement & { readonly wait: boolean } {
  const { count, "interval-ms": intervalMs, wait } = parseBody("announce", raw);
  return { count, intervalMs, wait };
}

function parseBucket(text: string): number {
  const bucket = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  if (bucket >= 1 && bucket <= MAX_BUCKETS) return bucket;
  throw new ClusterIpError(
    "CLUSTERIP_NODE_OUT_OF_RANGE",
    `There is no bucket '${text}': expected a number from 1 to ${MAX_BUCKETS}.`,
  );
}
