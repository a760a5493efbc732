/** What a change of the served virtual IPs means for the engines: which engine is attached to what, and when. */
import { type BucketSet, sameBuckets } from "../model/bucket-set.ts";
import { agree, compare } from "../model/compare.ts";
import { inForce, isSetUpAlike, type ServedMap, type ServedVirtualIp } from "./asked.ts";

export interface Attaching {
  readonly virtualIp: ServedVirtualIp;
  /** what the engine goes over from, without letting go of it in between */
  readonly replaces: ServedVirtualIp | undefined;
}

export interface ChangePlan {
  /** before the host changes */
  readonly attachFirst: readonly Attaching[];
  readonly detachFirst: readonly ServedVirtualIp[];
  /** after it has changed */
  readonly attachLast: readonly Attaching[];
  readonly detachLast: readonly ServedVirtualIp[];
  /** what is attached already and gets other buckets, last of all */
  readonly move: readonly { readonly virtualIp: ServedVirtualIp; readonly from: BucketSet }[];
}

/**
 * An engine that judges in place is its own guard: it takes a virtual IP before the address comes
 * and lets go of it when the address has gone. For any other the host's guard is there first and
 * last, and the engine takes nothing that is not ready.
 *
 * Two interfaces may be in one LAN, and then both get every frame. The guard of the one keeps nothing
 * off the other; so whichever engines they have, the one that takes over has no buckets until the
 * other has let go.
 */
export function planChange(
  previous: ServedMap,
  next: ServedMap,
  judgesInPlace: (virtualIp: ServedVirtualIp) => boolean,
): ChangePlan {
  const arriving = [...next.values()].filter((v) => !isKept(v, previous));
  const leaving = [...previous.values()].filter((v) => !isKept(v, next));
  const waits = (virtualIp: ServedVirtualIp): boolean => {
    const other = previous.get(virtualIp.settings.address);
    return other === undefined
      ? virtualIp.mayBeElsewhere === true
      : other.settings.nic !== virtualIp.settings.nic;
  };
  const attach = (virtualIp: ServedVirtualIp): Attaching => ({
    virtualIp: waits(virtualIp) ? { ...virtualIp, localBuckets: [] } : virtualIp,
    replaces: judgesInPlace(virtualIp) ? sameAtEngine(virtualIp, previous) : undefined,
  });
  return {
    attachFirst: arriving.filter(judgesInPlace).map(attach),
    detachFirst: leaving.filter((v) => !judgesInPlace(v)),
    attachLast: arriving.filter((v) => !judgesInPlace(v)).map(attach),
    detachLast: leaving.filter((v) => judgesInPlace(v) && sameAtEngine(v, next) === undefined),
    move: [...next.values()].flatMap((virtualIp) => {
      if (waits(virtualIp)) return [{ virtualIp, from: [] }];
      const old = previous.get(virtualIp.settings.address);
      const isMoved =
        old !== undefined &&
        isKept(virtualIp, previous) &&
        !sameBuckets(old.localBuckets, virtualIp.localBuckets);
      return isMoved ? [{ virtualIp, from: old.localBuckets }] : [];
    }),
  };
}

function isKept(virtualIp: ServedVirtualIp, others: ServedMap): boolean {
  const other = others.get(virtualIp.settings.address);
  return other !== undefined && isSetUpAlike(virtualIp, other);
}

/** The one with the same address at the same engine on the same interface, whatever its settings. */
function sameAtEngine(virtualIp: ServedVirtualIp, others: ServedMap): ServedVirtualIp | undefined {
  const other = others.get(virtualIp.settings.address);
  if (other === undefined) return undefined;
  return agree(compare(inForce(virtualIp), inForce(other)), "engine", "nic") ? other : undefined;
}
