/**
 * All that this host has for its virtual IPs, a resource each. A resource says what is *wanted* of it for a set of virtual
 * IPs, knows what the host *has*, and *applies* the difference. None knows the order in which they change.
 */
import type { EngineSet } from "../../engine/engine-set.ts";
import type { Log } from "../log.ts";
import { Repairs } from "../repairs.ts";
import { Addresses } from "./addresses.ts";
import { Links } from "./links.ts";
import { Programs } from "./programs.ts";
import { type BridgesMemory, ReachKeeper } from "./reach.ts";
import { Routes } from "./routes.ts";
import { Tables } from "./tables.ts";

export interface Resources {
  readonly links: Links;
  readonly addresses: Addresses;
  readonly tables: Tables;
  readonly programs: Programs;
  readonly routes: Routes;
  readonly reach: ReachKeeper;
  readonly repairs: Repairs;
  /** of the engine that has one: every virtual IP is an address of it, too */
  readonly device: string;
}

export function makeResources(engines: EngineSet, bridges: BridgesMemory, log: Log): Resources {
  const repairs = new Repairs(log);
  const links = new Links(engines, repairs);
  const programs = new Programs(engines, links, repairs, log);
  return {
    ...{ links, programs, repairs },
    addresses: new Addresses(links, programs, repairs, log),
    tables: new Tables(links, programs, repairs),
    routes: new Routes(links, repairs),
    reach: new ReachKeeper(bridges, log),
    device: engines.device,
  };
}
