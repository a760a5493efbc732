/** Whether a bucket that is this node's is really answered: for monitors, so it costs no process and no look. */
import type { ServedVirtualIp } from "./asked.ts";
import { describeProblem } from "./problem-text.ts";
import { breakingProblem, type Problem } from "./problems.ts";
import type { EngineBreakage, Programs } from "./resources/programs.ts";
import type { Serving } from "./serving.ts";

/** What keeps frames to a virtual IP from being answered here. */
export type Breakage = Problem | EngineBreakage;

export class Health {
  readonly #serving: Serving;
  readonly #programs: Programs;

  constructor(serving: Serving, programs: Programs) {
    this.#serving = serving;
    this.#programs = programs;
  }

  /**
   * What keeps frames to the virtual IP from being answered here; undefined when nothing does. As of the daemon's last
   * look, which every event of the host brings up to date; the packet path is asked now.
   */
  async whyBroken({ settings, engine }: ServedVirtualIp): Promise<Breakage | undefined> {
    const problem = breakingProblem(this.#serving.problems, settings);
    return problem ?? this.#programs.whyBroken({ nic: settings.nic, engine });
  }

  /**
   * The packet path that does not move, in a sentence; undefined when all do. During a change they are not asked: it is
   * their engines that it changes.
   */
  async whyStuck(): Promise<string | undefined> {
    if (this.#serving.isChanging) return undefined;
    const stuck = await this.#programs.whyStuck(this.#serving.bindings);
    return stuck && describeBreakage(stuck);
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
