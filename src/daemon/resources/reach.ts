/**
 * Whether clients reach the virtual IPs and get their answers: looked at with every repair, mended where that is ours
 * to do. What a bridge had before is remembered, and put back when nothing is served on it any more.
 */
import { messageOf } from "../../core/errors.ts";
import { UnansweredWatch } from "../../core/unanswered.ts";
import { type Link, listLinks } from "../../host/ip.ts";
import { TABLE_NAME } from "../../host/nft.ts";
import {
  lookAtReach,
  type Reach,
  removeLocalRoute,
  restoreLocalRoute,
  setMulticastRouter,
} from "../../host/reach.ts";
import { readWatch } from "../../host/watch-rules.ts";
import { addressAfter, networkOf } from "../../model/network.ts";
import type { ServedMap, ServedVirtualIp } from "../asked.ts";
import type { Log } from "../log.ts";
import { ALWAYS_ROUTER, keepsMulticast } from "../problems.ts";
import type { Mended } from "../repairs.ts";
import { homeOf } from "./placement.ts";

/** `mcast_router` of bridges as it was before, by name. */
export type BridgesBefore = ReadonlyMap<string, number>;

/** Where it is kept what bridges had; another object when that changes. */
export interface BridgesMemory {
  bridges: BridgesBefore;
}

export class ReachKeeper {
  readonly #log: Log;
  readonly #memory: BridgesMemory;
  readonly #watch = new UnansweredWatch();
  #reach: Reach | undefined;
  #unanswered: ReadonlySet<string> = new Set();

  constructor(memory: BridgesMemory, log: Log) {
    this.#memory = memory;
    this.#log = log;
  }

  /** undefined where that look failed or is yet to come */
  get reach(): Reach | undefined {
    return this.#reach;
  }

  get unanswered(): ReadonlySet<string> {
    return this.#unanswered;
  }

  /**
   * Looks, and puts back what keeps clients away.
   *
   * @returns what was put back
   */
  async repair(served: ServedMap, links: readonly Link[]): Promise<readonly Mended[]> {
    const virtualIps = [...served.values()];
    const done = [...(await this.#repairBridges(virtualIps, links))];
    await this.look(virtualIps, links);
    const routes = await this.#repairRoutes(virtualIps);
    if (routes.length > 0) await this.look(virtualIps, links);
    return [...done, ...routes];
  }

  /** Looks only; what fails is left unknown. */
  async look(virtualIps: readonly ServedVirtualIp[], links: readonly Link[]): Promise<void> {
    this.#reach = undefined;
    if (virtualIps.length === 0) return;
    try {
      const questions = virtualIps
        .filter(({ settings }) => links.find(({ name }) => name === settings.nic)?.isUp === true)
        .map(({ settings: { address, nic } }) => ({
          vip: address,
          nic,
          neighbours: neighboursOf(nic, links),
        }));
      this.#reach = await lookAtReach(questions);
      this.#unanswered = this.#watch.observe(await readWatch(TABLE_NAME), performance.now());
    } catch (error) {
      // Tables that are not there, or a tool that fails: others tell of that.
      this.#log.debug({ error: messageOf(error) }, "whether clients get answers could not be looked at");
    }
  }

  async #repairRoutes(virtualIps: readonly ServedVirtualIp[]): Promise<readonly Mended[]> {
    const done: Mended[] = [];
    for (const { settings } of virtualIps) {
      const { address, nic } = settings;
      if (this.#reach?.withoutLocalRoute.has(address) !== true) continue;
      const holdersNow = async (): Promise<{ links: readonly Link[]; holders: readonly Link[] }> => {
        const links = await listLinks();
        const holders = links.filter(({ addresses }) => addresses.some((a) => a.address === address));
        return { links, holders };
      };
      try {
        // As of now: what lacks its address lacks its route, too, and gets it with the address.
        const { links, holders } = await holdersNow();
        const device = holders.find(({ name }) => name === homeOf(nic, links)) ?? holders[0];
        // In a VRF it is in a table whose number only the VRF knows.
        if (device === undefined || device.kind === "vrf") continue;
        await restoreLocalRoute(address, device.name);
        // The kernel takes the route away together with the address; but one that had gone before leaves a route by
        // which this host answers for an address that it does not have, without our tables some day.
        if ((await holdersNow()).holders.some(({ name }) => name === device.name)) {
          done.push({ what: "local-route", vip: address });
        } else await removeLocalRoute(address, device.name);
      } catch (error) {
        this.#log.error({ vip: address, error: messageOf(error) }, "the local route is not put back");
      }
    }
    return done;
  }

  async #repairBridges(
    virtualIps: readonly ServedVirtualIp[],
    links: readonly Link[],
  ): Promise<readonly Mended[]> {
    const done: Mended[] = [];
    const nics = new Set(virtualIps.map(({ settings }) => settings.nic));
    for (const link of links) {
      const { name, bridge } = link;
      if (bridge === undefined || !nics.has(name) || !keepsMulticast(link)) continue;
      try {
        const { bridges } = this.#memory;
        if (!bridges.has(name)) this.#memory.bridges = new Map(bridges).set(name, bridge.router);
        await setMulticastRouter(name, ALWAYS_ROUTER);
        done.push({ what: "multicast-router", bridge: name });
      } catch (error) {
        this.#log.error({ bridge: name, error: messageOf(error) }, "mcast_router is not set");
      }
    }
    return done;
  }

  /** Gives bridges on which nothing is served any more what they had. */
  async restoreUnserved(served: ServedMap, links: readonly Link[]): Promise<void> {
    const nics = new Set([...served.values()].map(({ settings }) => settings.nic));
    for (const [name, router] of this.#memory.bridges) {
      if (nics.has(name)) continue;
      await restoreBridges(new Map([[name, router]]), links);
      this.#memory.bridges = new Map([...this.#memory.bridges].filter(([other]) => other !== name));
    }
  }
}

/**
 * Gives bridges what they had, unless somebody else has changed it since.
 *
 * @returns their names
 */
export async function restoreBridges(
  before: BridgesBefore,
  links: readonly Link[],
): Promise<readonly string[]> {
  const restored: string[] = [];
  for (const [name, router] of before) {
    const bridge = links.find((link) => link.name === name)?.bridge;
    if (bridge?.router !== ALWAYS_ROUTER || router === ALWAYS_ROUTER) continue;
    await setMulticastRouter(name, router);
    restored.push(name);
  }
  return restored;
}

/** One address of each network that the interface has an address in: the first one, or the second where that is its own. */
function neighboursOf(nic: string, links: readonly Link[]): readonly string[] {
  const addresses = links.find(({ name }) => name === nic)?.addresses ?? [];
  return addresses.flatMap(({ address, prefixLength, isOurs }) => {
    if (isOurs || prefixLength > 30) return [];
    const first = addressAfter(networkOf(address, prefixLength), 1);
    return [address === first ? addressAfter(first, 1) : first];
  });
}
