/** Programs that a dead daemon with engine "bpf" left on an interface: they go on judging without it. */
import type { ProgramRemoval } from "../../engine/engine-set.ts";
import { type Link, removeXdp } from "../../host/ip.ts";

/** The name of the program in `native/bpf/`, as the kernel shows it to those who may look. */
const XDP_PROGRAM = "clusterip_xdp";

/**
 * @param remove an earlier daemon may have had the addon or the privilege that this one lacks. Then the tc program may
 * stay, since tap and guard of the engine `userspace` do without what it decides, but not the XDP program: that one
 * drops before the tap, by the buckets of the dead.
 */
export async function removeStalePrograms(
  { name, ifindex, xdp }: Link,
  remove: (ifindex: number) => Promise<ProgramRemoval>,
): Promise<ProgramRemoval> {
  const removal = await remove(ifindex);
  if (removal.outcome !== "unknown") return removal;
  if (xdp === undefined) return { outcome: "none" };
  if (xdp.name === undefined) {
    const why = `the XDP program on ${name} may be a dead clusteripd's or not: ${removal.why}`;
    return { outcome: "unknown", why };
  }
  if (xdp.name !== XDP_PROGRAM) return { outcome: "none" };
  await removeXdp(name);
  return { outcome: "removed" };
}
