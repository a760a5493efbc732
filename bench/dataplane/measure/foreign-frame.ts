/**
 * What a frame of another node's bucket costs this node.
 *
 * A sender over veth would hide the receiver, so there is none: live frames of BPF_PROG_TEST_RUN enter the receive
 * path of the node's NIC on one pinned CPU, each from another address and port, all of them foreign under the hash
 * of every contender. The kernel's own figure, nanoseconds a frame, holds the making of the frame and its buffer;
 * to it comes the CPU time that the daemon's threads spent elsewhere. Nothing is subtracted: what the method itself
 * costs is in the two rows without a contender (`receive-path` and `xdp-limit`).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type Host, NIC } from "../../../test/support/lab/host.ts";
import { until } from "../../../test/support/wait.ts";
import { daemonStatus } from "../contenders/clusteripd.ts";
import { type Flood, type Programs, runFlood } from "../flood-tool.ts";
import { type FloodFrames, floodFrames, nobodysFrames, type Ownership } from "../flows.ts";
import { spending } from "../process-cost.ts";
import type { Runner, Sample } from "../rounds.ts";
import type { Site } from "../site.ts";

export interface ForeignOptions {
  readonly programs: Programs;
  readonly frames: number;
}

/** One row of the table. */
export interface ForeignVariant {
  readonly name: string;
  readonly title: string;
  readonly site: Site;
  readonly where: string;
  readonly frames: FloodFrames;
}

/** linux/if_link.h: the generic hook, behind the making of the packet buffer. */
const XDP_ATTACHED_SKB = 2;
/** Frames of the node's own bucket in the check before the measurement. */
const CONTROL_FRAMES = 640;
/** The daemon looks at its traffic once a second. */
const SETTLE_ATTEMPTS = 10;
const SETTLE_PAUSE_MS = 600;
/** For a full receive buffer. */
const DRAIN_MS = 100;
/** ARP and the like: a node is not quite silent. */
const NOISE_FRAMES = 20;

export function framesFor(site: Site, ownership: Ownership): FloodFrames {
  const { vip, bucketCount, client } = site;
  return floodFrames(
    { vip, bucketCount, clusterMac: site.clusterMac(vip), sourceMac: client.mac },
    ownership,
  );
}

/** The receive path with nobody at its end, and XDP at its barest: what every other row contains. */
export function baselineVariants(plainSite: Site): ForeignVariant[] {
  const frames = framesFor(plainSite, "foreign");
  return [
    {
      name: "receive-path",
      title: "the receive path alone: a frame that no protocol takes",
      site: plainSite,
      where: "pass",
      frames: nobodysFrames(frames),
    },
    { name: "xdp-limit", title: "a bare XDP_DROP", site: plainSite, where: "chain:drop", frames },
    {
      name: "xdp-limit-one-flow",
      title: "a bare XDP_DROP, frames not varied",
      site: plainSite,
      where: "drop",
      frames,
    },
  ];
}

/** The contender's own rows: engine bpf has one for each of its two programs. */
export async function contenderVariants(site: Site): Promise<ForeignVariant[]> {
  const frames = framesFor(site, "foreign");
  const { name, title } = site.contender;
  if (name !== "bpf") return [{ name, title, site, where: "pass", frames }];
  const xdp = await xdpProgram(site.node);
  const variants: ForeignVariant[] = [];
  // A generic XDP program sits in the receive path itself: then "pass" does not reach tc.
  if (xdp?.isGeneric !== true) {
    variants.push({ name: "bpf-tc", title: `${title}, tc program alone`, site, where: "pass", frames });
  }
  if (xdp !== undefined) {
    variants.push(
      { name, title: `${title}, XDP in front`, site, where: `chain:${xdp.id}`, frames },
      {
        name: "bpf-one-flow",
        title: `${title}, XDP in front, frames not varied`,
        site,
        where: `direct:${xdp.id}`,
        frames,
      },
    );
  }
  return variants;
}

export function foreignRunner(variant: ForeignVariant, options: ForeignOptions): Runner {
  const { site, where, frames } = variant;
  return { name: variant.name, run: () => measure(site, { where, frames, count: options.frames }, options) };
}

async function measure(site: Site, flood: Flood, { programs }: ForeignOptions): Promise<Sample> {
  await settlePrefilter(site, programs, flood);
  const [sentBefore, lostBefore] = [await sentFrames(site.node), await lostFrames(site)];
  const { result, daemonNs } = await spending(site.pids, async () => {
    const receiveNs = await runFlood(programs, site.node, flood);
    // What the daemon has yet to read is part of the cost.
    if (site.daemons.length > 0) await sleep(DRAIN_MS);
    return receiveNs;
  });
  const [sent, lost] = [await sentFrames(site.node), await lostFrames(site)];
  if (sent - sentBefore > NOISE_FRAMES) {
    throw new Error(`${site.contender.name} answered ${sent - sentBefore} foreign frames`);
  }
  const daemonNsPerFrame = daemonNs / flood.count;
  return {
    nsPerFrame: result + daemonNsPerFrame,
    receiveNs: result,
    daemonNs: daemonNsPerFrame,
    lostShare: (lost - lostBefore) / flood.count,
  };
}

/**
 * Engine userspace counts every foreign frame as long as there are few, and begins to drop them in the kernel when
 * there are many: a flood is to be measured in the state that it leads to.
 */
export async function settlePrefilter(site: Site, programs: Programs, flood: Flood): Promise<void> {
  for (let attempt = 0; attempt < SETTLE_ATTEMPTS; attempt += 1) {
    if (!(await isPrefilterOff(site))) return;
    await runFlood(programs, site.node, flood);
    await sleep(SETTLE_PAUSE_MS);
  }
  throw new Error(`the prefilter of ${site.contender.name} does not begin under a flood`);
}

async function isPrefilterOff({ daemons: [daemon] }: Site): Promise<boolean> {
  if (daemon === undefined) return false;
  const { nics } = await daemonStatus(daemon);
  return nics.some(({ prefilter }) => prefilter?.state === "off");
}

/** Frames of the node's own bucket have to be answered: or "foreign" would mean that nothing works. */
export async function requireAnswers(site: Site, programs: Programs): Promise<void> {
  const frames = framesFor(site, "own");
  // The answers go to the client: with its MAC unknown most of them would be lost.
  await site.node.exec(["ping", "-c", "1", "-W", "2", site.client.address]);
  const before = await sentFrames(site.node);
  await runFlood(programs, site.node, { where: "pass", frames, count: CONTROL_FRAMES });
  // The daemon answers from another thread: give it a moment.
  await until(async () => {
    const answers = (await sentFrames(site.node)) - before;
    if (answers < CONTROL_FRAMES / 2)
      throw new Error(`${site.contender.name} does not answer its own bucket`);
  });
}

async function sentFrames(node: Host): Promise<number> {
  const [link] = JSON.parse(await node.ip("-json", "-stats", "link", "show", "dev", NIC)) as {
    stats64: { tx: { packets: number } };
  }[];
  return link?.stats64.tx.packets ?? 0;
}

/** Frames that never reached the userspace engine: its receive buffer was full, and that is cheap. */
async function lostFrames({ daemons }: Site): Promise<number> {
  let lost = 0;
  for (const daemon of daemons) {
    for (const { kernelDropped } of (await daemonStatus(daemon)).nics) lost += kernelDropped;
  }
  return lost;
}

interface AttachedXdp {
  readonly mode: number;
  readonly prog?: { readonly id: number };
}

/** The XDP program on the node's NIC; the native one where there are two. */
async function xdpProgram(node: Host): Promise<{ id: number; isGeneric: boolean } | undefined> {
  const [link] = JSON.parse(await node.ip("-json", "-details", "link", "show", "dev", NIC)) as {
    xdp?: AttachedXdp & { attached?: AttachedXdp[] };
  }[];
  const all = link?.xdp === undefined ? [] : (link.xdp.attached ?? [link.xdp]);
  const first = all.find(({ mode }) => mode !== XDP_ATTACHED_SKB) ?? all[0];
  if (first?.prog === undefined) return undefined;
  return { id: first.prog.id, isGeneric: first.mode === XDP_ATTACHED_SKB };
}
