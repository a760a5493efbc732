/**
 * The steps of a change of what is served, in their order, which follows from one rule: this host never answers ARP for
 * a virtual IP with its own MAC, and its own stack never sees a frame that the engine did not accept.
 *
 *   engine lets go of the old -> tables for old and new -> addresses: new on, old off
 *     -> tables for the new alone -> engine takes the new
 *
 * With an engine that judges in place there is no guard but the engine itself, so it takes the new
 * before anything else changes, and lets go of the old at the very end. Where it takes over from the
 * other kind, the tables lift the guard: that one has let go by then, or both would deliver.
 *
 * The steps only name what is done; the resources do it.
 */
import type { BucketSet } from "../model/bucket-set.ts";
import type { ServedMap, ServedVirtualIp } from "./asked.ts";
import { type Attaching, planChange } from "./change-plan.ts";

export type Step =
  | ({ readonly does: "attach" } & Attaching)
  | { readonly does: "detach"; readonly virtualIp: ServedVirtualIp }
  /** in programs that go on: what a dead daemon served besides */
  | { readonly does: "remove-stale-virtual-ips" }
  /** `before`: what they were for until then; undefined: what was served */
  | {
      readonly does: "set-tables";
      readonly virtualIps: readonly ServedVirtualIp[];
      readonly before?: readonly ServedVirtualIp[];
    }
  | { readonly does: "add-addresses" }
  | { readonly does: "remove-addresses" }
  | { readonly does: "set-buckets"; readonly virtualIp: ServedVirtualIp; readonly from: BucketSet };

/** @param withdrawn silent, while an address of theirs may still be on the host: under our tables all the time */
export function changeSteps(
  previous: ServedMap,
  next: ServedMap,
  withdrawn: readonly ServedVirtualIp[],
  judgesInPlace: (virtualIp: ServedVirtualIp) => boolean,
): readonly Step[] {
  const plan = planChange(previous, next, judgesInPlace);
  // A virtual IP that moves to another interface stands in it twice: the old one stays guarded
  // until its address has gone.
  const leavingNic = [...previous.values()].filter(
    ({ settings }) => next.get(settings.address)?.settings.nic !== settings.nic,
  );
  const oldAndNew = [...leavingNic, ...next.values(), ...withdrawn];
  const attach = (attaching: Attaching): Step => ({ does: "attach", ...attaching });
  const detach = (virtualIp: ServedVirtualIp): Step => ({ does: "detach", virtualIp });
  return [
    ...plan.attachFirst.map(attach),
    ...(plan.attachFirst.length > 0 ? [{ does: "remove-stale-virtual-ips" } as const] : []),
    ...plan.detachFirst.map(detach),
    { does: "set-tables", virtualIps: oldAndNew },
    { does: "add-addresses" },
    { does: "remove-addresses" },
    { does: "set-tables", virtualIps: [...next.values(), ...withdrawn], before: oldAndNew },
    ...plan.attachLast.map(attach),
    ...plan.detachLast.map(detach),
    ...plan.move.map(({ virtualIp, from }) => ({ does: "set-buckets", virtualIp, from }) as const),
  ];
}

/** As they are in force before: whom the engines let go of, and who gets other settings where it is. */
export function changingInEngines(steps: readonly Step[]): readonly ServedVirtualIp[] {
  return steps.flatMap((step) => {
    if (step.does === "detach") return [step.virtualIp];
    return step.does === "attach" && step.replaces !== undefined ? [step.replaces] : [];
  });
}
