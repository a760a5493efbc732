/**
 * What can be read of the daemon. A reader waits for no change and no repair: it gets what was in force last, the problems
 * and repairs that are known, and the counters as they are now.
 */

import type { EngineSet } from "../engine/engine-set.ts";
import type { Address } from "../model/address.ts";
import { type BucketSet, formatBuckets } from "../model/bucket-set.ts";
import { packageVersion } from "../package.ts";
import {
  type Asked,
  allAsked,
  isWaiting,
  requireAsked,
  type ServedVirtualIp,
  type WaitingVirtualIp,
} from "./asked.ts";
import type { Claims } from "./claims.ts";
import type { Ownership } from "./ownership.ts";
import { reportOf } from "./problem-text.ts";
import { type Problem, waitingProblem } from "./problems.ts";
import { bindingsOf } from "./resources/programs.ts";
import type { Resources } from "./resources/resources.ts";
import type { Serving } from "./serving.ts";
import {
  type DaemonStatus,
  type NicStatus,
  type VirtualIpStatus,
  virtualIpStatus,
  waitingStatus,
} from "./status.ts";

export interface ReadParts {
  readonly ownership: Ownership;
  readonly serving: Serving;
  readonly resources: Resources;
  readonly claims: Claims;
  readonly engines: EngineSet;
}

export class ReadModel {
  readonly #parts: ReadParts;
  readonly #startedAt = Date.now();

  constructor(parts: ReadParts) {
    this.#parts = parts;
  }

  /** What is wrong with the host, and what waits; not what others claim. */
  get hostProblems(): readonly Problem[] {
    const { serving, ownership } = this.#parts;
    return [...serving.problems, ...[...ownership.told.waiting.values()].map(waitingProblem)];
  }

  /** What is wrong now. */
  get problems(): readonly Problem[] {
    return [...this.hostProblems, ...this.#parts.claims.problems];
  }

  status(): Promise<DaemonStatus> {
    return this.#consistent(async (told) => {
      const { resources, engines } = this.#parts;
      const virtualIps: VirtualIpStatus[] = [];
      for (const asked of allAsked(told)) virtualIps.push(await this.#statusOf(asked));
      const nics: NicStatus[] = [];
      for (const binding of bindingsOf(told.served)) nics.push(await resources.programs.stateOf(binding));
      return {
        version: packageVersion(),
        pid: process.pid,
        uptimeSeconds: Math.floor((Date.now() - this.#startedAt) / 1000),
        device: engines.device,
        engines: await engines.availability(),
        virtualIps,
        nics,
        repairs: resources.repairs.records,
        problems: this.problems.map(reportOf),
      };
    });
  }

  /** @throws CLUSTERIP_NOT_FOUND */
  statusOf(address: Address): Promise<VirtualIpStatus> {
    return this.#consistent((told) => this.#statusOf(requireAsked(told, address)));
  }

  /** @throws CLUSTERIP_NOT_FOUND */
  buckets(address: Address): BucketSet {
    return requireAsked(this.#parts.ownership.told, address).localBuckets;
  }

  /** One line for the service manager. */
  summary(): string {
    const parts = allAsked(this.#parts.ownership.told).map((asked) => {
      const buckets = formatBuckets(asked.localBuckets) || "no bucket";
      return `${asked.settings.address} (${isWaiting(asked) ? "waits" : buckets})`;
    });
    return parts.length === 0 ? "no virtual IP" : parts.join(", ");
  }

  async #statusOf(asked: ServedVirtualIp | WaitingVirtualIp): Promise<VirtualIpStatus> {
    if (isWaiting(asked)) return waitingStatus(asked);
    return virtualIpStatus(asked, await this.#parts.resources.programs.countersOf(asked));
  }

  /** Reads once more where a change has come in between, and with it another engine, or none, for what is read. */
  async #consistent<T>(read: (told: Asked) => Promise<T>): Promise<T> {
    const { ownership, resources } = this.#parts;
    for (;;) {
      const { told } = ownership;
      const { held } = resources.programs;
      try {
        return await read(told);
      } catch (error) {
        if (told === ownership.told && held === resources.programs.held) throw error;
      }
    }
  }
}
