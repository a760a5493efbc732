/** What somebody else has changed on this host and the daemon has put back: counted by kind, and told in the log. */
import type { OwnAddress } from "../host/ip.ts";
import type { Log } from "./log.ts";
import { describeAddresses } from "./resources/each-address.ts";

export const repairKinds = ["nft", "address", "nic", "device", "program", "reach"] as const;
export type RepairKind = (typeof repairKinds)[number];

/** What kept clients away and is put back. */
export type Mended =
  | { readonly what: "local-route"; readonly vip: string }
  | { readonly what: "multicast-router"; readonly bridge: string };

export type Repair =
  | { readonly kind: "nft" }
  | {
      readonly kind: "address";
      readonly did: "put back" | "removed from where it is not served";
      readonly addresses: readonly OwnAddress[];
    }
  /** `routes`: as `ip route` takes them */
  | { readonly kind: "address"; readonly did: "routes"; readonly routes: readonly string[] }
  /** `ifindex`: of an interface that came back; without one it was there, and its capture opened again */
  | { readonly kind: "nic"; readonly nic: string; readonly ifindex?: number }
  | { readonly kind: "device"; readonly device: string }
  | { readonly kind: "program"; readonly nic: string }
  | { readonly kind: "reach"; readonly mended: readonly Mended[] };

export interface RepairRecord {
  readonly count: number;
  readonly lastAt: string | undefined;
}

export type RepairRecords = Readonly<Record<RepairKind, RepairRecord>>;

const never: RepairRecord = { count: 0, lastAt: undefined };

export class Repairs {
  readonly #log: Log;
  #records = Object.fromEntries(repairKinds.map((kind) => [kind, never])) as RepairRecords;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Another object after each repair. */
  get records(): RepairRecords {
    return this.#records;
  }

  count(repair: Repair): void {
    const { kind } = repair;
    const count = this.#records[kind].count + 1;
    this.#records = { ...this.#records, [kind]: { count, lastAt: new Date().toISOString() } };
    this.#log.warn({ repair: kind, count }, describeRepair(repair));
  }
}

function describeRepair(repair: Repair): string {
  switch (repair.kind) {
    case "nft":
      return "nft tables were changed or removed by somebody else; put back";
    case "address":
      return repair.did === "routes"
        ? `routes put back: ${repair.routes.join(", ")}`
        : `${repair.did}: ${describeAddresses(repair.addresses)}`;
    case "nic":
      return repair.ifindex === undefined
        ? `${repair.nic} was away or down, and its capture missed frames; opened again`
        : `${repair.nic} is back as interface ${repair.ifindex}; serving again`;
    case "device":
      return `${repair.device} was changed or removed by somebody else; put back`;
    case "program":
      return `the programs on ${repair.nic} were removed by somebody else; put back`;
    case "reach":
      return `what keeps clients away is put back: ${repair.mended.map(describeMended).join(", ")}`;
  }
}

function describeMended(mended: Mended): string {
  return mended.what === "local-route"
    ? `the local route of ${mended.vip}`
    : `mcast_router of the bridge ${mended.bridge}`;
}
