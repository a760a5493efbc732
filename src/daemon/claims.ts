/**
 * Whether another host of the LAN says that it has a virtual IP that is served here (RFC 5227).
 *
 * The kernel notes who does (`src/host/arp-claims.ts`); this asks for it, reads it, and keeps it while our tables are
 * replaced. It delays nothing: the address is served at once, since a take-over must not wait for an answer that never
 * comes. The other nodes of the cluster answer with the cluster MAC, which is no claim of another host.
 */
import { arpProbe } from "../core/arp.ts";
import { messageOf } from "../core/errors.ts";
import { CLAIM_SECONDS, listClaims, MOST_CLAIMS, type NotedClaim } from "../host/arp-claims.ts";
import type { Link } from "../host/ip.ts";
import { TABLE_NAME } from "../host/nft.ts";
import { type Address, ipv4Host } from "../model/address.ts";
import type { SendFrame } from "./announcer.ts";
import type { ServedMap, ServedVirtualIp } from "./asked.ts";
import type { Log } from "./log.ts";
import { describeProblem } from "./problem-text.ts";
import type { Problem } from "./problems.ts";

/** RFC 5227, section 1.1: PROBE_NUM, PROBE_MIN. */
const PROBES = 3;
const PROBE_INTERVAL_MS = 1000;
/** While somebody claims it, it is asked for so often: the end of a claim is silence. */
const ASK_AGAIN_MS = 9000;
/** Between two looks at most so often, however many events the host has. */
const LOOK_INTERVAL_MS = 900;
const CLAIM_MS = CLAIM_SECONDS * 1000;

interface Watched {
  readonly virtualIp: ServedVirtualIp;
  readonly ifindex: number;
  readonly nicMac: string;
  probesLeft: number;
}

/** When each MAC was heard last, by the clock of `performance.now()`. */
type Heard = Map<string, number>;

export class Claims {
  readonly #send: SendFrame;
  readonly #log: Log;
  readonly #read: () => Promise<readonly NotedClaim[]>;
  /** by address: served, on an interface that has carrier */
  readonly #watched = new Map<Address, Watched>();
  readonly #heard = new Map<Address, Heard>();
  #served: ServedMap = new Map();
  #links: readonly Link[] = [];
  #ownMacs: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isStopped = false;

  /** @param read what the kernel has noted; for tests */
  constructor(send: SendFrame, log: Log, read = () => listClaims(TABLE_NAME)) {
    this.#send = send;
    this.#log = log;
    this.#read = read;
  }

  /** As of the last look. */
  get problems(): readonly Problem[] {
    return [...this.#heard].flatMap(([address, heard]) => {
      const virtualIp = this.#served.get(address);
      return virtualIp === undefined ? [] : [claimedProblem(virtualIp, [...heard.keys()])];
    });
  }

  /** What is served now, and where: what is new, or on an interface that is back, is asked for. Costs no process. */
  follow(served: ServedMap, links: readonly Link[]): void {
    if (this.#isStopped || (served === this.#served && links === this.#links)) return;
    this.#served = served;
    this.#links = links;
    this.#ownMacs = new Set(links.map(({ mac }) => mac));
    const byName = new Map(links.map((link) => [link.name, link]));
    for (const known of [this.#heard, this.#watched]) {
      for (const address of [...known.keys()]) if (!served.has(address)) known.delete(address);
    }
    for (const virtualIp of served.values()) this.#watch(virtualIp, byName.get(virtualIp.settings.nic));
    if (this.#timer === undefined && this.#isProbing()) this.#turn();
  }

  #watch(virtualIp: ServedVirtualIp, link: Link | undefined): void {
    const { address } = virtualIp.settings;
    if (link === undefined || !link.isUp || !link.hasCarrier) {
      this.#watched.delete(address);
      return;
    }
    const { ifindex, mac: nicMac } = link;
    const before = this.#watched.get(address);
    const isKnown = before?.ifindex === ifindex && before.virtualIp.clusterMac === virtualIp.clusterMac;
    // What was heard elsewhere, or of another cluster MAC, says nothing here.
    if (before !== undefined && !isKnown) this.#heard.delete(address);
    const probesLeft = isKnown ? before.probesLeft : PROBES;
    this.#watched.set(address, { virtualIp, ifindex, nicMac, probesLeft });
  }

  /** Reads what was noted since, unless it has done so just now; never rejects. */
  async look(): Promise<void> {
    if (performance.now() - this.#lookedAt >= LOOK_INTERVAL_MS) await this.#lookNow();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#watched.clear();
  }

  #isProbing(): boolean {
    return [...this.#watched.values()].some(({ probesLeft }) => probesLeft > 0);
  }

  /** One probe for each that has some left, all at once; and after the last one a look at the answers. */
  #turn(): void {
    for (const watched of this.#watched.values()) {
      if (watched.probesLeft === 0) continue;
      watched.probesLeft -= 1;
      this.#probe(watched);
    }
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#lookNow();
      if (this.#isProbing()) this.#turn();
    }, PROBE_INTERVAL_MS);
  }

  #probe({ virtualIp: { settings }, ifindex, nicMac }: Watched): void {
    try {
      this.#send(ifindex, arpProbe(ipv4Host(settings.address), nicMac));
    } catch (error) {
      // The interface may be down this moment: when it is back, it is asked for again.
      this.#log.debug(
        { vip: settings.address, error: messageOf(error) },
        "the address could not be asked for",
      );
    }
  }

  #lookNow(): Promise<void> {
    this.#looking ??= this.#readAndTell()
      .catch((error: unknown) => this.#log.error({ error: messageOf(error) }, "claims cannot be read"))
      .finally(() => {
        this.#looking = undefined;
      });
    return this.#looking;
  }

  async #readAndTell(): Promise<void> {
    this.#lookedAt = performance.now();
    if (this.#served.size === 0) return;
    const noted = await this.#read();
    if (this.#isStopped) return;
    const now = performance.now();
    const before = new Set(this.#heard.keys());
    this.#note(noted, now);
    this.#forget(now);
    for (const [address, heard] of this.#heard) {
      const virtualIp = this.#served.get(address);
      if (virtualIp === undefined || before.has(address)) continue;
      const problem = claimedProblem(virtualIp, [...heard.keys()]);
      const { nic, vip, code } = problem;
      this.#log.warn({ nic, vip, code }, describeProblem(problem));
    }
    for (const address of before) {
      const nic = this.#served.get(address)?.settings.nic;
      if (!this.#heard.has(address))
        this.#log.warn({ vip: address, nic }, "no other host claims it any more");
    }
    this.#askAgain(now);
  }

  #note(noted: readonly NotedClaim[], now: number): void {
    let known = [...this.#heard.values()].reduce((sum, heard) => sum + heard.size, 0);
    for (const { address, mac, ageSeconds } of noted) {
      const clusterMac = this.#served.get(address)?.clusterMac;
      // Another interface of this host may be on the same LAN.
      if (clusterMac === undefined || mac === clusterMac || this.#ownMacs.has(mac)) continue;
      const heard = this.#heard.get(address) ?? new Map<string, number>();
      if (!heard.has(mac) && known >= MOST_CLAIMS) continue;
      if (!heard.has(mac)) known += 1;
      heard.set(mac, Math.max(heard.get(mac) ?? Number.NEGATIVE_INFINITY, now - ageSeconds * 1000));
      this.#heard.set(address, heard);
    }
  }

  #forget(now: number): void {
    for (const [address, heard] of this.#heard) {
      for (const [mac, at] of heard) if (now - at >= CLAIM_MS) heard.delete(mac);
      if (heard.size === 0) this.#heard.delete(address);
    }
  }

  /** The answers are there at the next look. */
  #askAgain(now: number): void {
    if (this.#heard.size === 0 || now - this.#askedAt < ASK_AGAIN_MS) return;
    this.#askedAt = now;
    for (const address of this.#heard.keys()) {
      const watched = this.#watched.get(address);
      if (watched !== undefined) this.#probe(watched);
    }
  }
}

/** @param macs at least one */
function claimedProblem(
  { settings: { address: vip, nic } }: Pick<ServedVirtualIp, "settings">,
  macs: readonly string[],
): Extract<Problem, { readonly code: "address-claimed" }> {
  return { code: "address-claimed", nic, vip, macs };
}
