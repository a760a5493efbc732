/**
 * The interfaces of this host, as of the last look; every event of the host makes the daemon look. And the one that is
 * ours: the engine's device, wanted up and with a loose reverse-path filter while anything is served.
 */
import type { EngineSet } from "../../engine/engine-set.ts";
import { arpIgnoreOf, type Link, listLinks } from "../../host/ip.ts";
import { configureTun, tunFilterIsLoose } from "../../host/tun.ts";
import { linkNamed } from "../../settings/nic-name.ts";
import type { Repairs } from "../repairs.ts";

export class Links {
  readonly #engines: EngineSet;
  readonly #repairs: Repairs;
  #known: readonly Link[] = [];

  constructor(engines: EngineSet, repairs: Repairs) {
    this.#engines = engines;
    this.#repairs = repairs;
  }

  /** As of the last look; another object after each. */
  get known(): readonly Link[] {
    return this.#known;
  }

  of(nic: string): Link | undefined {
    return this.#known.find(({ name }) => name === nic);
  }

  /** The interface's own name, where that is an alternative one of an interface that there is. */
  ownNameOf(nic: string): string {
    return linkNamed(this.#known, nic)?.name ?? nic;
  }

  async look(): Promise<readonly Link[]> {
    this.#known = await listLinks();
    return this.#known;
  }

  /** The links now, or as of the last look where `ip` fails just now. */
  async lookOrKnown(): Promise<readonly Link[]> {
    return this.look().catch(() => this.#known);
  }

  /** Whether `arp_ignore` of the interface, which changes without an event, is as of the last look; cheap. */
  isArpIgnoreKnown(nic: string): boolean {
    const now = arpIgnoreOf(nic);
    return (this.of(nic)?.arpIgnore ?? now) === now;
  }

  /** Makes the device again where somebody has removed it, and sets it up again where somebody has changed it. */
  async repairDevice(): Promise<void> {
    const { device } = this.#engines;
    const link = this.of(device);
    if (link?.isUp === true && tunFilterIsLoose(device)) return;
    if (link === undefined) await this.#engines.reopenDevice();
    await configureTun(device);
    this.#repairs.count({ kind: "device", device });
    await this.look();
  }
}
