/** Whether a bucket that is this node's is really answered: for monitors, so it costs no process and no look. */
import { messageOf } from "../core/errors.ts";
import { isJudging } from "../engine/engine.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import { breakingProblem } from "./problems.ts";
import type { ServedVirtualIp } from "./resolve.ts";
import type { Binding, Serving } from "./serving.ts";

/**
 * What keeps frames to the virtual IP from being answered here, as a sentence; undefined when
 * nothing does. As of the daemon's last look, which every event of the host brings up to date;
 * the packet path is asked now.
 */
export async function whyBroken(
  serving: Serving,
  engines: EngineSet,
  { settings, engine }: ServedVirtualIp,
): Promise<string | undefined> {
  const { nic } = settings;
  const link = serving.linkOf(nic);
  const problem = breakingProblem(serving.problems, settings);
  if (problem !== undefined) return problem.message;
  if (link === undefined || engines.of(engine).boundIfindex(nic) !== link.ifindex)
    return `The engine is not bound to ${nic}.`;
  if (!(await isJudging(engines.of(engine), nic))) return `The engine's program is not on ${nic}.`;
  return whyStuck(engines, [{ nic, engine }]);
}

/** Asks the packet path of each interface for its counters: an answer is a sign of life. */
export async function whyStuck(engines: EngineSet, bindings: Iterable<Binding>): Promise<string | undefined> {
  try {
    for (const { nic, engine } of bindings) await engines.of(engine).nicCounters(nic);
    return undefined;
  } catch (error) {
    return `The packet path does not answer: ${messageOf(error)}`;
  }
}
