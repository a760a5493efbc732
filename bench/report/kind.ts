/** What a contender is to the reader of a drawing, by its title: every contender of the benchmarks has one. */
import type { Kind } from "./svg.ts";

const ours = /^(clusteripd|native|TypeScript|the reference in TypeScript)\b/;
/** Without balancing, or without doing anything with a frame. */
const limits = /^(a plain address|a bare XDP_DROP|the receive path alone)/;

export function kindOf(title: string): Kind {
  if (ours.test(title)) return "ours";
  return limits.test(title) ? "limit" : "peer";
}
