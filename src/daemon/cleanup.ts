/** Removes whatever a dead daemon left on the host: its addresses, then its tables. */
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { removePrograms } from "../engine/bpf-support.ts";
import { type Link, listLinks, type OwnAddress } from "../host/ip.ts";
import { applyTables, presentTables, renderTables, TABLE_NAME } from "../host/nft.ts";
import { checkRequirements } from "../host/requirements.ts";
import { describeRoute, listLinkRoutes, removeRoutes } from "../host/routes.ts";
import { TUN_NAME } from "../host/tun.ts";
import type { Address } from "../model/address.ts";
import { loadNative } from "../native.ts";
import { HostLock, LOCK_NAME } from "./host-lock.ts";
import { describeAddresses, includesAddress, removeEachAddress } from "./resources/each-address.ts";
import { homeOf } from "./resources/placement.ts";
import { restoreBridges } from "./resources/reach.ts";
import { removeStalePrograms } from "./resources/stale-programs.ts";
import { whyLeaveAlone } from "./socket-directory.ts";
import { forgetState, savedTraces } from "./state-file.ts";

/** For other clean-ups, of which each takes a tenth of a second or so. */
const LOCK_TIMEOUT_MS = 10_000;
const LOCK_INTERVAL_MS = 50;

export interface Cleanup {
  readonly removed: readonly string[];
  readonly failed: readonly string[];
}

/**
 * @param socket of the dead daemon: what the next one would serve again is beside it
 * @param forgets that, too
 * @returns what was removed and what could not be, half a sentence for each thing
 * @throws CLUSTERIP_ALREADY_RUNNING when a daemon lives, or other clean-ups take more than ten seconds
 */
export async function cleanup(socket: string, forgets: boolean): Promise<Cleanup> {
  await checkRequirements();
  const locks = await takeLocks();
  try {
    return await removeAll(await listLinks(), socket, forgets);
  } finally {
    for (const lock of locks) await lock.release();
  }
}

/**
 * Keeps a daemon from starting meanwhile, or what it has just set up would be taken away, and waits for other
 * clean-ups: the resource agents of a clone may stop all at once. None where they cannot be taken: without the addon or
 * the privilege no daemon can either.
 */
async function takeLocks(): Promise<readonly HostLock[]> {
  const deadline = performance.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    const locks = await tryLocks();
    if (locks !== "held" && locks !== "none") return locks;
    const holders = (await listLinks()).filter(({ name }) => lockNames.includes(name));
    if (locks === "none" && holders.length === 0) return [];
    // A daemon sets its device up at once; a clean-up never does.
    if (locks === "none" || holders.some(({ isUp }) => isUp) || performance.now() > deadline) {
      throw alreadyRunning(holders);
    }
    await sleep(LOCK_INTERVAL_MS);
  }
}

/** That of today, and the engine's device: daemons and clean-ups of versions without that lock hold it alone. */
const lockNames: readonly string[] = [LOCK_NAME, TUN_NAME];

async function tryLocks(): Promise<readonly HostLock[] | "held" | "none"> {
  const locks: HostLock[] = [];
  const giveUp = async (why: "held" | "none"): Promise<"held" | "none"> => {
    for (const lock of locks) await lock.release();
    return why;
  };
  try {
    const { lockDevice } = loadNative();
    for (const name of lockNames) {
      const lock = await HostLock.take(lockDevice, name);
      if (lock === undefined) return await giveUp("held");
      locks.push(lock);
    }
    return locks;
  } catch {
    return giveUp("none");
  }
}

function alreadyRunning(holders: readonly Link[]): ClusterIpError {
  const held = holders.map(({ name }) => `${name} is held`).join(", ") || "its lock is held";
  return new ClusterIpError(
    "CLUSTERIP_ALREADY_RUNNING",
    `A clusteripd runs on this host, or a clean-up takes very long (${held}): stop the daemon, and it removes everything itself.`,
  );
}

async function removeAll(links: readonly Link[], socket: string, forgets: boolean): Promise<Cleanup> {
  const failed: string[] = [];
  const saved = savedTraces(socket);
  const addresses = addressesOf(links, saved.addresses);
  const stuck = await removeEachAddress(addresses);
  for (const { address, message } of stuck) failed.push(`${describeAddresses([address])} stays: ${message}`);
  const judged: Link[] = [];
  for (const link of links) {
    try {
      const left = await removeStalePrograms(link, removePrograms);
      if (left.outcome === "removed") judged.push(link);
      else if (left.outcome === "unknown") failed.push(left.why);
    } catch (error) {
      failed.push(`the BPF programs on ${link.name} stay: ${messageOf(error)}`);
    }
  }
  const routes = listLinkRoutes().filter(({ isOurs }) => isOurs);
  await removeRoutes(routes).catch((error: unknown) => failed.push(`routes stay: ${messageOf(error)}`));
  // An address that stays would be answered for with the interface's own MAC; under the tables it is silent.
  const tables = stuck.length === 0 ? await presentTables() : [];
  if (tables.length > 0) await applyTables(renderTables([], []));
  const bridges = await restoreBridges(saved.bridges, links);
  const gone = addresses.filter((a) => !stuck.some(({ address }) => includesAddress([a], address)));
  const removed = [
    ...gone.map(({ vip, device }) => `address ${vip}/32 on ${device}`),
    ...routes.map((route) => `route to ${describeRoute(route)}`),
    ...judged.map(({ name }) => `BPF programs on ${name}`),
    ...bridges.map((name) => `mcast_router of the bridge ${name}, which has its own value again`),
    ...tables.map((family) => `nft table ${family} ${TABLE_NAME}`),
    ...(forgets ? forgottenBeside(socket, failed) : []).map((file) => `saved state ${file}`),
  ];
  return { removed, failed };
}

/** Those with our mark, and those of the dead daemon that have lost it since, where it may have had them. */
function addressesOf(links: readonly Link[], saved: ReadonlyMap<Address, string>): readonly OwnAddress[] {
  const isPlace = ({ name }: Link, nic: string | undefined): boolean =>
    nic !== undefined && [nic, homeOf(nic, links)].includes(name);
  return links.flatMap((link) =>
    link.addresses
      .filter((a) => a.isOurs || (a.prefixLength === 32 && isPlace(link, saved.get(a.address))))
      .map((a) => ({ vip: a.address, device: link.name })),
  );
}

function forgottenBeside(socket: string, failed: string[]): readonly string[] {
  const why = whyLeaveAlone(socket);
  if (why === undefined) return forgetState(socket);
  failed.push(`what lies beside ${socket} stays: ${why}`);
  return [];
}
