/** Problems as status, log and monitors tell them: a sentence that says what it means, and what to do. */

import { type Concerns, concernsOf, type Problem, type ProblemCode } from "./problems.ts";
import { describeAddresses } from "./resources/each-address.ts";

/** A problem in the JSON of the API; without `nic` and `vip` it may concern everything. */
export interface ProblemReport extends Concerns {
  readonly code: ProblemCode;
  readonly message: string;
}

export function reportOf(problem: Problem): ProblemReport {
  return { code: problem.code, message: describeProblem(problem), ...concernsOf(problem) };
}

export function describeAll(problems: readonly Problem[]): string {
  return problems.map(describeProblem).join(" ");
}

/** A sentence names so many MACs. */
const NAMED = 3;

export function describeProblem(problem: Problem): string {
  if ("why" in problem) return `${problem.vip} is not served: ${problem.why.message}`;
  switch (problem.code) {
    case "nic-missing":
      return `The interface ${problem.nic} does not exist; serving goes on when it is back.`;
    case "nic-down":
      return `The interface ${problem.nic} is down or has no carrier.`;
    case "nic-enslaved": {
      const { nic, master, kind = "a device" } = problem;
      return `The interface ${nic} is part of ${master} (${kind}), which takes its frames: serve on ${master} instead.`;
    }
    case "arp-off":
      return describeArpOff(problem.nic, problem.arpIgnore);
    case "bridge-snooping": {
      const what = `The bridge ${problem.nic} looks for multicast listeners and keeps frames to the cluster MAC from its own stack`;
      return `${what}: 'ip link set dev ${problem.nic} type bridge mcast_router 2'.`;
    }
    case "no-local-route":
      return `The kernel does not take packets to ${problem.vip} for its own: there is no route of type local to it.`;
    case "no-way-back":
      return `No route leads from ${problem.vip} to any client: give the interface an address of its own, or a route.`;
    case "unanswered":
      return `Clients ask ${problem.vip} and nothing leaves from it: look for a firewall, reverse-path filter or route that drops the one or the other.`;
    case "address-elsewhere":
      return `${problem.vip} is also an address of ${problem.device}; frames that arrive there are not judged.`;
    case "address-claimed":
      return describeClaim(problem.nic, problem.vip, problem.macs);
    case "repair-failed":
      return problem.stays === undefined
        ? problem.error
        : `${describeAddresses([problem.stays])} cannot be removed: ${problem.error}`;
  }
}

function describeArpOff(nic: string, arpIgnore: number | undefined): string {
  if (arpIgnore === undefined) {
    return `ARP is off on ${nic}, so nobody learns the cluster MAC: 'ip link set dev ${nic} arp on'.`;
  }
  const what = `arp_ignore is ${arpIgnore} for ${nic}, so ARP is not answered`;
  return `${what}: net.ipv4.conf.all.arp_ignore or net.ipv4.conf.${nic}.arp_ignore.`;
}

function describeClaim(nic: string, vip: string, macs: readonly string[]): string {
  const named = macs.slice(0, NAMED).join(", ");
  const others = macs.length > NAMED ? ` and ${macs.length - NAMED} more` : "";
  return `Another host on ${nic} says that it has ${vip}, by the MAC ${named}${others}: clients reach that host or the cluster. Remove the address there; if it is a node of the cluster, its cluster MAC differs.`;
}
