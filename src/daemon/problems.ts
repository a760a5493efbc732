/**
 * What is wrong with the host now, by the links as they were at the last look: each a code, a sentence that says what
 * it means, and what it concerns.
 */

import type { ErrorCode } from "../core/errors.ts";
import type { Link } from "../host/ip.ts";
import type { Reach } from "../host/reach.ts";
import type { VirtualIpSettings } from "../settings/virtual-ip.ts";
import type { ServedMap, WaitingVirtualIp } from "./resolve.ts";

/** Documentation/networking/ip-sysctl: "do not reply for all local addresses". */
const ARP_IGNORE_ALL = 8;
/** MDB_RTR_TYPE_PERM, linux/if_bridge.h */
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
  /** The kernel does not take packets to the address for its own. */
  "no-local-route": { isBreaking: true },
  /** No route leads from the address to anybody. */
  "no-way-back": { isBreaking: true },
  /** An interface of the kind that keeps multicast frames to itself until it is told otherwise. */
  "bridge-snooping": { isBreaking: true },
  /** Clients ask and nothing leaves. It may be a firewall that is meant to drop what comes: no reason to move buckets. */
  unanswered: { isBreaking: false },
  /** The guard, the ARP table, an address or the engine's device is not as it must be. */
  "repair-failed": { isBreaking: true },
  /** Served on its own interface all the same. */
  "address-elsewhere": { isBreaking: false },
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

/**
 * @param device of the engine that has one: every virtual IP is an address of it, too
 * @param reach as of the last look; undefined where that failed or is yet to come
 */
export function findProblems(
  served: ServedMap,
  links: readonly Link[],
  device: string | undefined,
  reach: Reach | undefined,
): readonly HostProblem[] {
  const nics = new Set([...served.values()].map(({ settings }) => settings.nic));
  return [
    ...[...nics].flatMap((nic) => problemOfNic(nic, links, reach)),
    ...[...served.values()].flatMap(({ settings }) => [
      ...problemsOfWay(settings.vip, reach),
      ...addressElsewhere(settings, links, device),
    ]),
  ];
}

function problemsOfWay(vip: string, reach: Reach | undefined): readonly HostProblem[] {
  if (reach === undefined) return [];
  if (!reach.localRoutes.has(vip)) {
    const message = `The kernel does not take packets to ${vip} for its own: no route of type local leads to it.`;
    return [{ code: "no-local-route", message, vip }];
  }
  if (!reach.withoutWayBack.has(vip)) return [];
  const message = `No route leads from ${vip} to any client: give the interface an address of its own, or a route.`;
  return [{ code: "no-way-back", message, vip }];
}

function addressElsewhere(
  { vip, nic, addressHost }: VirtualIpSettings,
  links: readonly Link[],
  device: string | undefined,
): readonly HostProblem[] {
  const elsewhere = links.find(
    ({ name, addresses }) =>
      name !== nic && name !== device && addresses.some((a) => a.addressHost === addressHost),
  );
  if (elsewhere === undefined) return [];
  const message = `${vip} is also an address of ${elsewhere.name}; frames that arrive there are not judged.`;
  return [{ code: "address-elsewhere", message, vip }];
}

function problemOfNic(nic: string, links: readonly Link[], reach: Reach | undefined): readonly HostProblem[] {
  const link = links.find(({ name }) => name === nic);
  const problem = (code: ProblemCode, message: string): readonly HostProblem[] => [{ code, message, nic }];
  if (link === undefined) {
    return problem("nic-missing", `The interface ${nic} does not exist; serving goes on when it is back.`);
  }
  if (!link.isUp || !link.hasCarrier) {
    return problem("nic-down", `The interface ${nic} is down or has no carrier.`);
  }
  const { arpIgnore = 0, masterKind, bridge } = reach?.nics.get(nic) ?? {};
  // A VRF is a routing domain: frames go on coming by the interface itself.
  if (masterKind !== undefined && masterKind !== "vrf") {
    const what = `The interface ${nic} is part of ${link.master}, a ${masterKind}, which takes its frames`;
    return problem("nic-enslaved", `${what}: serve on ${link.master} instead.`);
  }
  if (!link.hasArp) {
    const what = `ARP is off on ${nic}, so nobody learns the cluster MAC`;
    return problem("arp-off", `${what}: 'ip link set dev ${nic} arp on'.`);
  }
  if (arpIgnore >= ARP_IGNORE_ALL) {
    const what = `arp_ignore is ${arpIgnore} for ${nic}, so ARP is not answered`;
    return problem(
      "arp-off",
      `${what}: set net.ipv4.conf.all.arp_ignore and net.ipv4.conf.${nic}.arp_ignore lower.`,
    );
  }
  if (bridge?.isSnooping === true && bridge.router !== ALWAYS_ROUTER) {
    const what = `The bridge ${nic} looks for multicast listeners and keeps frames to the cluster MAC from its own stack`;
    return problem("bridge-snooping", `${what}: 'ip link set dev ${nic} type bridge mcast_router 2'.`);
  }
  return [];
}

/** Of what has to be there before a virtual IP can be served; `not-served` for everything else. */
const codeOfMissing: Partial<Record<ErrorCode, ProblemCode>> = {
  CLUSTERIP_NO_NIC: "nic-missing",
  CLUSTERIP_NO_NETWORK: "network-missing",
};

export function waitingProblem({ settings: { vip }, why }: WaitingVirtualIp): HostProblem {
  const code = codeOfMissing[why.code] ?? "not-served";
  return { code, message: `${vip} is not served: ${why.message}`, vip };
}

/** The first problem that leaves frames to this virtual IP unanswered, or answered by the wrong one. */
export function breakingProblem(
  problems: readonly HostProblem[],
  { vip, nic }: { readonly vip: string; readonly nic: string },
): HostProblem | undefined {
  return problems.find(
    (problem) =>
      problemCodes[problem.code].isBreaking &&
      (problem.nic === undefined || problem.nic === nic) &&
      (problem.vip === undefined || problem.vip === vip),
  );
}
