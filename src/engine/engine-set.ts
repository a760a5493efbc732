/**
 * The engines of one daemon. Each virtual IP has its own choice; two engines on one interface do
 * not disturb each other: each judges its own addresses and leaves the others alone.
 */
import { ClusterIpError } from "../core/errors.ts";
import type { EngineChoice, EngineName } from "../model/virtual-ip.ts";
import type { DeviceEngine, Engine, InPlaceEngine } from "./engine.ts";

/** The engine, or half a sentence that says why there is none. */
export type BpfFinding = { readonly engine: InPlaceEngine } | { readonly whyNot: string };

/** What came of taking a dead daemon's programs off an interface; `why` is half a sentence. */
export type ProgramRemoval =
  | { readonly outcome: "none" | "removed" }
  | { readonly outcome: "unknown"; readonly why: string };

export interface EngineAvailability {
  readonly isAvailable: boolean;
  /** half a sentence */
  readonly whyNot?: string;
}

export interface EngineParts {
  readonly userspace: DeviceEngine;
  /** Asked once, when it matters: it takes a moment. */
  readonly findBpf: () => Promise<BpfFinding>;
  /** Takes programs off an interface that a dead daemon left there; needs no engine that works. */
  readonly removePrograms: (ifindex: number) => Promise<ProgramRemoval>;
  /** What `auto` takes when it is available; tests ask for `userspace`. */
  readonly preferred: EngineName;
}

export class EngineSet {
  readonly #parts: EngineParts;
  #finding: Promise<BpfFinding> | undefined;
  /** as soon as it is known */
  #bpf: InPlaceEngine | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  get device(): string {
    return this.#parts.userspace.device;
  }

  /** Of the engine `userspace`, whether it serves or not: what accepts frames is there before they are asked for. */
  open(): Promise<void> {
    return this.#parts.userspace.open();
  }

  reopenDevice(): Promise<void> {
    return this.#parts.userspace.reopenDevice();
  }

  async close(): Promise<void> {
    await this.#bpf?.close();
    await this.#parts.userspace.close();
  }

  async availability(): Promise<Readonly<Record<EngineName, EngineAvailability>>> {
    const finding = await this.#findBpf();
    const bpf = "engine" in finding ? { isAvailable: true } : { isAvailable: false, whyNot: finding.whyNot };
    return { userspace: { isAvailable: true }, bpf };
  }

  /** Which engine serves for a choice; rejects with CLUSTERIP_NO_ENGINE. */
  async choose(choice: EngineChoice): Promise<EngineName> {
    if (choice === "userspace") return choice;
    if (choice === "auto" && this.#parts.preferred === "userspace") return "userspace";
    const finding = await this.#findBpf();
    if ("engine" in finding) return "bpf";
    if (choice === "auto") return "userspace";
    throw new ClusterIpError(
      "CLUSTERIP_NO_ENGINE",
      `The engine 'bpf' is not available here: ${finding.whyNot}. Use 'userspace' or 'auto'.`,
    );
  }

  /** @param name what `choose` has answered */
  of(name: EngineName): Engine {
    if (name === "userspace") return this.#parts.userspace;
    if (this.#bpf !== undefined) return this.#bpf;
    throw new ClusterIpError("CLUSTERIP_NO_ENGINE", "The engine 'bpf' is not available here.");
  }

  /** Takes off an interface what a dead daemon left in the kernel. */
  removePrograms(ifindex: number): Promise<ProgramRemoval> {
    return this.#parts.removePrograms(ifindex);
  }

  /** On the interfaces served: forgets what a dead daemon served and this one does not. */
  async removeStaleVirtualIps(): Promise<void> {
    // Without a virtual IP of its own the engine has not been looked for, which takes a moment.
    await this.#bpf?.removeStaleVirtualIps();
  }

  async #findBpf(): Promise<BpfFinding> {
    this.#finding ??= this.#parts.findBpf();
    const finding = await this.#finding;
    if ("engine" in finding) this.#bpf = finding.engine;
    return finding;
  }
}
