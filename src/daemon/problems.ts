/**
 * What is wrong with the host now, by the links as they were at the last look: each a code, a sentence that says what
 * it means, and what it concerns.
 */

import type { ErrorCode } from "../core/errors.ts";
import type { Link } from "../host/ip.ts";
import type { Reach } from "../host/reach.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { homeOf } from "./placement.ts";
import type { ServedMap, WaitingVirtualIp } from "./resolve.ts";

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

export interface HostProblem {
  readonly code: ProblemCode;
  readonly message: string;
  /** the interface that it concerns; without one and without `vip` it may concern everything */
  readonly nic?: string;
  /** the one virtual IP that it concerns */
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

export function findProblems(served: ServedMap, view: HostView): readonly HostProblem[] {
  const nics = new Set([...served.values()].map(({ settings }) => settings.nic));
  return [
    ...[...nics].flatMap((nic) => problemOfNic(nic, view.links)),
    ...[...served.values()].flatMap(({ settings }) => [
      ...problemOfWay(settings, view),
      ...addressElsewhere(settings, view),
    ]),
  ];
}

function problemOfNic(nic: string, links: readonly Link[]): readonly HostProblem[] {
  const link = links.find(({ name }) => name === nic);
  const problem = (code: ProblemCode, message: string): readonly HostProblem[] => [{ code, message, nic }];
  if (link === undefined) {
    return problem("nic-missing", `The interface ${nic} does not exist; serving goes on when it is back.`);
  }
  if (!link.isUp || !link.hasCarrier) {
    return problem("nic-down", `The interface ${nic} is down or has no carrier.`);
  }
  const master = links.find(({ name }) => name === link.master);
  // A VRF is a routing domain: frames go on coming by the interface itself.
  if (link.master !== undefined && master?.kind !== "vrf") {
    const what = `The interface ${nic} is part of ${link.master} (${master?.kind ?? "a device"}), which takes its frames`;
    return problem("nic-enslaved", `${what}: serve on ${link.master} instead.`);
  }
  if (!link.hasArp) {
    const what = `ARP is off on ${nic}, so nobody learns the cluster MAC`;
    return problem("arp-off", `${what}: 'ip link set dev ${nic} arp on'.`);
  }
  if (link.arpIgnore >= ARP_IGNORE_ALL) {
    const what = `arp_ignore is ${link.arpIgnore} for ${nic}, so ARP is not answered`;
    return problem("arp-off", `${what}: net.ipv4.conf.all.arp_ignore or net.ipv4.conf.${nic}.arp_ignore.`);
  }
  if (keepsMulticast(link)) {
    const what = `The bridge ${nic} looks for multicast listeners and keeps frames to the cluster MAC from its own stack`;
    return problem("bridge-snooping", `${what}: 'ip link set dev ${nic} type bridge mcast_router 2'.`);
  }
  return [];
}

/** Whether it is a bridge that passes multicast frames to its own stack only when somebody there has asked for them. */
export function keepsMulticast({ bridge }: Link): boolean {
  return bridge?.isSnooping === true && bridge.router !== ALWAYS_ROUTER;
}

function problemOfWay({ address: vip }: VirtualIp, { reach, unanswered }: HostView): readonly HostProblem[] {
  const problem = (code: ProblemCode, message: string): readonly HostProblem[] => [{ code, message, vip }];
  if (reach?.withoutLocalRoute.has(vip) === true) {
    const what = `The kernel does not take packets to ${vip} for its own`;
    return problem("no-local-route", `${what}: there is no route of type local to it.`);
  }
  if (reach?.withoutWayBack.has(vip) === true) {
    const what = `No route leads from ${vip} to any client`;
    return problem("no-way-back", `${what}: give the interface an address of its own, or a route.`);
  }
  if (!unanswered.has(vip)) return [];
  const what = `Clients ask ${vip} and nothing leaves from it`;
  return problem(
    "unanswered",
    `${what}: look for a firewall, reverse-path filter or route that drops the one or the other.`,
  );
}

function addressElsewhere({ address, nic }: VirtualIp, { links, device }: HostView): readonly HostProblem[] {
  const elsewhere = links.find(
    ({ name, addresses }) =>
      ![nic, homeOf(nic, links), device].includes(name) && addresses.some((a) => a.address === address),
  );
  if (elsewhere === undefined) return [];
  const message = `${address} is also an address of ${elsewhere.name}; frames that arrive there are not judged.`;
  return [{ code: "address-elsewhere", message, vip: address }];
}

/** Of what has to be there before a virtual IP can be served; `not-served` for everything else. */
const codeOfMissing: Partial<Record<ErrorCode, ProblemCode>> = {
  CLUSTERIP_NO_NIC: "nic-missing",
  CLUSTERIP_NO_NETWORK: "network-missing",
};

export function waitingProblem({ settings: { address: vip }, why }: WaitingVirtualIp): HostProblem {
  const code = codeOfMissing[why.code] ?? "not-served";
  return { code, message: `${vip} is not served: ${why.message}`, vip };
}

/** The first problem that leaves frames to this virtual IP unanswered, or answered by the wrong one. */
export function breakingProblem(
  problems: readonly HostProblem[],
  { address, nic }: Pick<VirtualIp, "address" | "nic">,
): HostProblem | undefined {
  return problems.find(
    (problem) =>
      problemCodes[problem.code].isBreaking &&
      (problem.nic === undefined || problem.nic === nic) &&
      (problem.vip === undefined || problem.vip === address),
  );
}
