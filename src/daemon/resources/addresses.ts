/**
 * The addresses that this host has for its virtual IPs.
 *
 * Wanted: every place of each virtual IP (`placement.ts`), on the engine's device first. Had is what the links say, ours
 * by the mark in the kernel. What is applied is put on or taken off one by one where a batch fails (`each-address.ts`).
 */
import type { Link, OwnAddress, PlacedAddress } from "../../host/ip.ts";
import type { ServedMap, ServedVirtualIp } from "../asked.ts";
import type { Log } from "../log.ts";
import type { Repairs } from "../repairs.ts";
import {
  type AddressFailure,
  addEachAddress,
  describeAddresses,
  hasAddress,
  hasDevice,
  includesAddress,
  removeEachAddress,
  staleAddresses,
  throwIfFailed,
} from "./each-address.ts";
import type { Links } from "./links.ts";
import { isFormerPlace, placesOf, withdrawnPlaces } from "./placement.ts";
import type { Programs } from "./programs.ts";

type Served = Iterable<ServedVirtualIp>;

export class Addresses {
  readonly #links: Links;
  readonly #programs: Programs;
  readonly #repairs: Repairs;
  readonly #log: Log;

  constructor(links: Links, programs: Programs, repairs: Repairs, log: Log) {
    this.#links = links;
    this.#programs = programs;
    this.#repairs = repairs;
    this.#log = log;
  }

  /** Every address that we set, by the links as of the last look: on the engine's device first. */
  wanted(virtualIps: Served): readonly PlacedAddress[] {
    return [...virtualIps].flatMap((virtualIp) =>
      placesOf(virtualIp, this.#programs.deviceOf(virtualIp), this.#links.known),
    );
  }

  /** Puts on those that are not there, on devices that exist. */
  async add(addresses: readonly PlacedAddress[], links: readonly Link[]): Promise<void> {
    throwIfFailed(await addEachAddress(missing(addresses, links)));
  }

  /** The interface's address goes first: from then on nobody resolves it here. */
  async remove(addresses: readonly OwnAddress[]): Promise<void> {
    if (addresses.length === 0) return;
    const links = await this.#links.look();
    const present = addresses.filter((a) => hasAddress(links, a, "any"));
    throwIfFailed(await removeEachAddress([...present].reverse()));
  }

  /** Removes what is left of virtual IPs that are withdrawn. */
  async removeWithdrawn(virtualIps: Served): Promise<readonly AddressFailure[]> {
    const links = await this.#links.lookOrKnown();
    const present = [...virtualIps].flatMap((virtualIp) =>
      withdrawnPlaces(virtualIp, this.#programs.deviceOf(virtualIp), links),
    );
    // The interface's address goes first: from then on nobody resolves it here.
    return removeEachAddress([...present].reverse());
  }

  /** Removes our addresses from where `virtualIps` do not want them; @throws where one stays */
  async removeUnwanted(virtualIps: Served, links: readonly Link[]): Promise<void> {
    throwIfFailed(await removeEachAddress(staleAddresses(links, this.wanted(virtualIps))));
  }

  /** Removes our addresses from where `virtualIps` do not want them, but for those to be kept for now. */
  async removeStale(
    virtualIps: Served,
    links: readonly Link[],
    isKept: (address: OwnAddress) => boolean = () => false,
  ): Promise<{ readonly stale: readonly OwnAddress[]; readonly failures: readonly AddressFailure[] }> {
    const stale = staleAddresses(links, this.wanted(virtualIps)).filter((address) => !isKept(address));
    const failures = await removeEachAddress(stale);
    if (stale.length > 0) await this.#links.look();
    return { stale, failures };
  }

  /**
   * A renamed interface keeps our address, but the name that we serve is another device now.
   *
   * @param guarded also those that are withdrawn: their addresses are not removed here
   */
  async repairStale(served: ServedMap, guarded: Served): Promise<readonly AddressFailure[]> {
    const { known } = this.#links;
    const { stale, failures } = await this.removeStale(guarded, known, (address) =>
      isFormerPlace(address, served.values(), known),
    );
    if (stale.length > failures.length) {
      this.#repairs.count({
        ...{ kind: "address", did: "removed from where it is not served", addresses: stale },
      });
    }
    return failures;
  }

  /** Puts back what is missing; where `arp_ignore` wants an address elsewhere, its new place comes before the old one goes. */
  async repair(served: ServedMap, guarded: Served): Promise<readonly AddressFailure[]> {
    const absent = missing(this.wanted(served.values()), this.#links.known);
    const failures = await addEachAddress(absent);
    if (absent.length > 0) await this.#links.look();
    const failed = failures.map(({ address }) => address);
    const { stale, failures: stuck } = await this.removeStale(guarded, this.#links.known, ({ vip }) =>
      failed.some((address) => address.vip === vip),
    );
    const moved = new Set(stale.map(({ vip }) => vip));
    const done = absent.filter((address) => !includesAddress(failed, address));
    const restored = done.filter(({ vip }) => !moved.has(vip));
    if (restored.length > 0) this.#repairs.count({ kind: "address", did: "put back", addresses: restored });
    if (moved.size > 0) {
      this.#log.info({ to: describeAddresses(done) }, "addresses moved, as arp_ignore wants it");
    }
    return [...failures, ...stuck];
  }
}

function missing(addresses: readonly PlacedAddress[], links: readonly Link[]): readonly PlacedAddress[] {
  return addresses.filter((a) => hasDevice(links, a) && !hasAddress(links, a, "ours"));
}
