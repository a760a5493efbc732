/** Whether a bucket that is this node's is really answered: for monitors, so it costs no process and no look. */
import { messageOf } from "../core/errors.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import { describeProblem } from "./problem-text.ts";
import { breakingProblem, type Problem } from "./problems.ts";
import type { ServedVirtualIp } from "./resolve.ts";
import type { Binding, Serving } from "./serving.ts";

/** The packet path itself is not as it must be. */
export type EngineBreakage =
  | { readonly code: "engine-unbound" | "program-missing"; readonly nic: string }
  | { readonly code: "engine-stuck"; readonly error: string };

/** What keeps frames to a virtual IP from being answered here. */
export type Breakage = Problem | EngineBreakage;

/**
 * What keeps frames to the virtual IP from being answered here; undefined when nothing does. As of the daemon's last
 * look, which every event of the host brings up to date; the packet path is asked now.
 */
export function whyBroken(
  serving: Serving,
  engines: EngineSet,
  { settings, engine }: ServedVirtualIp,
): Breakage | undefined {
  const { nic } = settings;
  const link = serving.linkOf(nic);
  const problem = breakingProblem(serving.problems, settings);
  if (problem !== undefined) return problem;
  if (link === undefined || engines.of(engine).boundIfindex(nic) !== link.ifindex)
    return { code: "engine-unbound", nic };
  if (engines.of(engine).isJudging?.(nic) === false) return { code: "program-missing", nic };
  return whyStuck(engines, [{ nic, engine }]);
}

/** Asks the packet path of each interface for its counters: an answer is a sign of life. */
export function whyStuck(engines: EngineSet, bindings: Iterable<Binding>): EngineBreakage | undefined {
  try {
    for (const { nic, engine } of bindings) engines.of(engine).nicCounters(nic);
    return undefined;
  } catch (error) {
    return { code: "engine-stuck", error: messageOf(error) };
  }
}

/** A sentence. */
export function describeBreakage(breakage: Breakage): string {
  switch (breakage.code) {
    case "engine-unbound":
      return `The engine is not bound to ${breakage.nic}.`;
    case "program-missing":
      return `The engine's program is not on ${breakage.nic}.`;
    case "engine-stuck":
      return `The packet path does not answer: ${breakage.error}`;
    default:
      return describeProblem(breakage);
  }
}
