/**
 * What is wrong with the host now, by the links as they were at the last look: each a code, a sentence that says what
 * it means, and what it concerns.
 */

import type { ErrorCode } from "../core/errors.ts";
import type { Link } from "../host/ip.ts";
import type { ServedMap, WaitingVirtualIp } from "./resolve.ts";

/** Every problem that `clusterip status` can show, and whether frames of the virtual IP are then left unanswered. */
export const problemCodes = {
  "nic-missing": { isBreaking: true },
  /** Nothing on the interface tells in which network the address is. */
  "network-missing": { isBreaking: true },
  /** The host as it is refuses the virtual IP; it is tried again. */
  "not-served": { isBreaking: true },
  "nic-down": { isBreaking: true },
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

/** @param device of the engine that has one: every virtual IP is an address of it, too */
export function findProblems(
  served: ServedMap,
  links: readonly Link[],
  device: string | undefined,
): readonly HostProblem[] {
  const nics = new Set([...served.values()].map(({ settings }) => settings.nic));
  return [
    ...[...nics].flatMap((nic) => problemOfNic(nic, links)),
    ...[...served.values()].flatMap(({ settings: { vip, nic, addressHost } }): HostProblem[] => {
      const elsewhere = links.find(
        ({ name, addresses }) =>
          name !== nic && name !== device && addresses.some((a) => a.addressHost === addressHost),
      );
      if (elsewhere === undefined) return [];
      const message = `${vip} is also an address of ${elsewhere.name}; frames that arrive there are not judged.`;
      return [{ code: "address-elsewhere", message, vip }];
    }),
  ];
}

function problemOfNic(nic: string, links: readonly Link[]): readonly HostProblem[] {
  const link = links.find(({ name }) => name === nic);
  if (link === undefined) {
    const message = `The interface ${nic} does not exist; serving goes on when it is back.`;
    return [{ code: "nic-missing", message, nic }];
  }
  if (link.isUp && link.hasCarrier) return [];
  return [{ code: "nic-down", message: `The interface ${nic} is down or has no carrier.`, nic }];
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
