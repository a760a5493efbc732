/**
 * What is wrong with the host now, by the links as they were at the last look: each a code, and what it concerns.
 * `problem-text.ts` makes sentences of them.
 */
import type { ClusterIpError, ErrorCode } from "../core/errors.ts";
import type { Link, OwnAddress } from "../host/ip.ts";
import type { Reach } from "../host/reach.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import type { ServedMap, WaitingVirtualIp } from "./asked.ts";
import { homeOf } from "./resources/placement.ts";

/** Documentation/networking/ip-sysctl: "do not reply for all local addresses". */
const ARP_IGNORE_ALL = 8;
/** MDB_RTR_TYPE_PERM, linux/if_bridge.h: the bridge's own stack gets all multicast frames. */
export const ALWAYS_ROUTER = 2;

/** Every problem that `clusterip status` can show, and whether frames of the virtual IP are then left unanswered. */
export const problemCodes = {
  "nic-missing": { isBreaking: true },
  /** Nothing on the interface tells in which network the address is. */
  "network-missing": { isBreaking: true },
  /** The host as it is refuses the virtual IP; it is tried again. */
  "not-served": { isBreaking: true },
  "nic-down": { isBreaking: true },
  "nic-enslaved": { isBreaking: true },
  "arp-off": { isBreaking: true },
  "bridge-snooping": { isBreaking: true },
  "no-local-route": { isBreaking: true },
  "no-way-back": { isBreaking: true },
  /** It may be a firewall that is meant to drop what comes: no reason to move buckets from node to node. */
  unanswered: { isBreaking: false },
  /** The guard, the ARP table, an address or the engine's device is not as it must be. */
  "repair-failed": { isBreaking: true },
  /** Served on its own interface all the same. */
  "address-elsewhere": { isBreaking: false },
  /** Another host of the LAN says that it has it: clients reach that or the cluster. */
  "address-claimed": { isBreaking: false },
} as const;

export type ProblemCode = keyof typeof problemCodes;

export type Problem =
  | { readonly code: "nic-missing" | "nic-down" | "bridge-snooping"; readonly nic: string }
  | {
      readonly code: "nic-enslaved";
      readonly nic: string;
      readonly master: string;
      /** of the master: `bridge`, `bond` ... */
      readonly kind: string | undefined;
    }
  /** `arpIgnore`: the sysctl that forbids it; without one ARP is off on the interface itself */
  | { readonly code: "arp-off"; readonly nic: string; readonly arpIgnore?: number }
  | { readonly code: "no-local-route" | "no-way-back" | "unanswered"; readonly vip: string }
  | { readonly code: "address-elsewhere"; readonly vip: string; readonly device: string }
  /** `macs`: at least one, of hosts that say that they have it */
  | {
      readonly code: "address-claimed";
      readonly nic: string;
      readonly vip: string;
      readonly macs: readonly string[];
    }
  | FailedRepair
  | NotServed;

/** Without `nic` and without `vip` it may concern everything. */
export interface FailedRepair {
  readonly code: "repair-failed";
  readonly nic?: string;
  readonly vip?: string;
  /** what cannot be taken off */
  readonly stays?: OwnAddress;
  /** what the host or the engine said */
  readonly error: string;
}

export interface NotServed {
  readonly code: "nic-missing" | "network-missing" | "not-served";
  readonly vip: string;
  readonly why: ClusterIpError;
}

/** What a problem concerns; nothing of it: perhaps everything. */
export interface Concerns {
  /** the interface */
  readonly nic?: string;
  /** the one virtual IP */
  readonly vip?: string;
}

export interface HostView {
  readonly links: readonly Link[];
  /** of the engine that has one: every virtual IP is an address of it, too */
  readonly device: string | undefined;
  /** undefined where that look failed or is yet to come */
  readonly reach: Reach | undefined;
  /** virtual IPs that clients ask and that nothing leaves from */
  readonly unanswered: ReadonlySet<string>;
}

export function findProblems(served: ServedMap, view: HostView): readonly Problem[] {
  const nics = new Set([...served.values()].map(({ settings }) => settings.nic));
  return [
    ...[...nics].flatMap((nic) => problemOfNic(nic, view.links)),
    ...[...served.values()].flatMap(({ settings }) => [
      ...problemOfWay(settings, view),
      ...addressElsewhere(settings, view),
    ]),
  ];
}

function problemOfNic(nic: string, links: readonly Link[]): readonly Problem[] {
  const link = links.find(({ name }) => name === nic);
  if (link === undefined) return [{ code: "nic-missing", nic }];
  if (!link.isUp || !link.hasCarrier) return [{ code: "nic-down", nic }];
  const master = links.find(({ name }) => name === link.master);
  // A VRF is a routing domain: frames go on coming by the interface itself.
  if (link.master !== undefined && master?.kind !== "vrf") {
    return [{ code: "nic-enslaved", nic, master: link.master, kind: master?.kind }];
  }
  if (!link.hasArp) return [{ code: "arp-off", nic }];
  if (link.arpIgnore >= ARP_IGNORE_ALL) return [{ code: "arp-off", nic, arpIgnore: link.arpIgnore }];
  return keepsMulticast(link) ? [{ code: "bridge-snooping", nic }] : [];
}

/** Whether it is a bridge that passes multicast frames to its own stack only when somebody there has asked for them. */
export function keepsMulticast({ bridge }: Link): boolean {
  return bridge?.isSnooping === true && bridge.router !== ALWAYS_ROUTER;
}

function problemOfWay({ address: vip }: VirtualIp, { reach, unanswered }: HostView): readonly Problem[] {
  if (reach?.withoutLocalRoute.has(vip) === true) return [{ code: "no-local-route", vip }];
  if (reach?.withoutWayBack.has(vip) === true) return [{ code: "no-way-back", vip }];
  return unanswered.has(vip) ? [{ code: "unanswered", vip }] : [];
}

function addressElsewhere({ address, nic }: VirtualIp, { links, device }: HostView): readonly Problem[] {
  const elsewhere = links.find(
    ({ name, addresses }) =>
      ![nic, homeOf(nic, links), device].includes(name) && addresses.some((a) => a.address === address),
  );
  return elsewhere === undefined ? [] : [{ code: "address-elsewhere", vip: address, device: elsewhere.name }];
}

/** Of what has to be there before a virtual IP can be served; `not-served` for everything else. */
const codeOfMissing: Partial<Record<ErrorCode, NotServed["code"]>> = {
  CLUSTERIP_NO_NIC: "nic-missing",
  CLUSTERIP_NO_NETWORK: "network-missing",
};

export function waitingProblem({ settings: { address: vip }, why }: WaitingVirtualIp): NotServed {
  return { code: codeOfMissing[why.code] ?? "not-served", vip, why };
}

export function concernsOf(problem: Problem): Concerns {
  const { nic, vip }: Concerns = problem;
  return { ...(nic === undefined ? {} : { nic }), ...(vip === undefined ? {} : { vip }) };
}

/** The first problem that leaves frames to this virtual IP unanswered, or answered by the wrong one. */
export function breakingProblem(
  problems: readonly Problem[],
  { address, nic }: Pick<VirtualIp, "address" | "nic">,
): Problem | undefined {
  return problems.find((problem) => {
    const concerns = concernsOf(problem);
    return (
      problemCodes[problem.code].isBreaking &&
      (concerns.nic ?? nic) === nic &&
      (concerns.vip ?? address) === address
    );
  });
}
