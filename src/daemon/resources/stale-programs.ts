/** Programs that a dead daemon with engine "bpf" left on an interface: they go on judging without it. */
import { type Link, removeXdp } from "../../host/ip.ts";

/** The name of the program in `native/bpf/`, as the kernel shows it to those who may look. */
const XDP_PROGRAM = "clusterip_xdp";

export type StalePrograms = "none" | "removed" | { readonly unknown: string };

/**
 * @param remove tells whether there were some, or in half a sentence why it cannot: an earlier
 * daemon may have had the addon or the privilege that this one lacks. Then the tc program may stay,
 * since tap and guard of the engine `userspace` do without what it decides, but not the XDP
 * program: that one drops before the tap, by the buckets of the dead.
 */
export async function removeStalePrograms(
  { name, ifindex, xdp }: Link,
  remove: (ifindex: number) => boolean | string,
): Promise<StalePrograms> {
  const removed = remove(ifindex);
  if (typeof removed === "boolean") return removed ? "removed" : "none";
  if (xdp === undefined) return "none";
  if (xdp.name === undefined) {
    return { unknown: `the XDP program on ${name} may be a dead clusteripd's or not: ${removed}` };
  }
  if (xdp.name !== XDP_PROGRAM) return "none";
  await removeXdp(name);
  return "removed";
}
