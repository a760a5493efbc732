/**
 * The engines of one daemon. Each virtual IP has its own choice; two engines on one interface do
 * not disturb each other: each judges its own addresses and leaves the others alone.
 *
 * The engine `userspace` is always open, because its device is the lock that keeps a second daemon
 * from serving this host: privileged, one per network namespace, and gone with the process.
 */
import { ClusterIpError } from "../core/errors.ts";
import type { EngineChoice, EngineName } from "../model/virtual-ip.ts";
import type { BpfEngine } from "./bpf.ts";
import type { Engine } from "./engine.ts";

export interface EngineParts {
  readonly userspace: Engine;
  /** The engine, or half a sentence that says why there is none; asked once, when it matters. */
  readonly findBpf: () => BpfEngine | string;
  /**
   * Takes programs off an interface that a dead daemon left there; needs no engine that works.
   * A text says why it cannot be told whether there are any.
   */
  readonly removePrograms: (ifindex: number) => boolean | string;
  /** What `auto` takes when it is available; tests ask for `userspace`. */
  readonly preferred: EngineName;
}

export class EngineSet {
  readonly #parts: EngineParts;
  #bpf: BpfEngine | string | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
  }

  get device(): string | undefined {
    return this.#parts.userspace.device;
  }

  open(): void {
    this.#parts.userspace.open();
  }

  reopenDevice(): void {
    this.#parts.userspace.reopenDevice();
  }

  close(): void {
    if (typeof this.#bpf === "object") this.#bpf.close();
    this.#parts.userspace.close();
  }

  /** Why there is no engine `bpf`, as half a sentence; undefined when there is one. */
  get whyNoBpf(): string | undefined {
    const bpf = this.#findBpf();
    return typeof bpf === "string" ? bpf : undefined;
  }

  /** Which engine serves for a choice; throws CLUSTERIP_NO_ENGINE. */
  choose(choice: EngineChoice): EngineName {
    if (choice === "userspace") return choice;
    if (choice === "auto" && this.#parts.preferred === "userspace") return "userspace";
    const why = this.whyNoBpf;
    if (why === undefined) return "bpf";
    if (choice === "auto") return "userspace";
    throw new ClusterIpError(
      "CLUSTERIP_NO_ENGINE",
      `The engine 'bpf' is not available here: ${why}. Use 'userspace' or 'auto'.`,
    );
  }

  of(name: EngineName): Engine {
    if (name === "userspace") return this.#parts.userspace;
    const bpf = this.#findBpf();
    if (typeof bpf === "object") return bpf;
    throw new ClusterIpError("CLUSTERIP_NO_ENGINE", `The engine 'bpf' is not available here: ${bpf}.`);
  }

  /** Takes off an interface what a dead daemon left in the kernel; a text says why that cannot be told. */
  removePrograms(ifindex: number): boolean | string {
    return this.#parts.removePrograms(ifindex);
  }

  /** On the interfaces served: forgets what a dead daemon served and this one does not. */
  removeStaleVirtualIps(): void {
    // Without a virtual IP of its own the engine has not been tried, which takes a moment.
    if (typeof this.#bpf === "object") this.#bpf.removeStaleVirtualIps();
  }

  #findBpf(): BpfEngine | string {
    this.#bpf ??= this.#parts.findBpf();
    return this.#bpf;
  }
}
