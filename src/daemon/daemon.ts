/**
 * The daemon: the only owner of state. Every request is a transaction, one after the other,
 * and so is every repair; what is served changes in `Serving` alone.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import { type HostEvent, HostEvents, type WatchNft } from "../host/events.ts";
import { type Link, listLinks } from "../host/ip.ts";
import { checkRequirements } from "../host/requirements.ts";
import { listLinkRoutes } from "../host/routes.ts";
import { configureTun } from "../host/tun.ts";
import type { Address } from "../model/address.ts";
import {
  type BucketSet,
  changeBuckets,
  formatBuckets,
  parseBucketChange,
  releaseBucket,
  takeBucket,
} from "../model/bucket-set.ts";
import { agree, agreeBut, compare, meaningOfBuckets } from "../model/compare.ts";
import { inKernelWords } from "../model/kernel-words.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { requireRoom } from "../settings/limits.ts";
import { type Announcement, Announcer, type SendFrame } from "./announcer.ts";
import { Claims } from "./claims.ts";
import { type FoundNetwork, findNetwork } from "./find-network.ts";
import { whyBroken, whyStuck } from "./health.ts";
import type { Log } from "./log.ts";
import { Mutex } from "./mutex.ts";
import type { HostProblem } from "./problems.ts";
import { requireSame, requireSameBucket } from "./require-same.ts";
import {
  type AskedVirtualIp,
  isMissingOnHost,
  isSetUpAlike,
  isWaiting,
  resolveOrWait,
  resolveVirtualIp,
  type ServedVirtualIp,
  type WaitingVirtualIp,
} from "./resolve.ts";
import { SavedServing } from "./saved-serving.ts";
import { Serving } from "./serving.ts";
import type { StateFile } from "./state-file.ts";
import {
  type DaemonStatus,
  daemonStatus,
  type VirtualIpStatus,
  virtualIpStatus,
  waitingStatus,
} from "./status.ts";

/** Events come in bursts: one look is enough for those of this time. */
const SETTLE_MS = 20;
/** A look without any event: not everything that keeps clients away makes one, and a monitor has to know within 10 s. */
const POLL_MS = 5000;
/** While something is wrong, look more often: not every remedy makes an event. */
const POLL_PROBLEM_MS = 1000;
/** Programs in the kernel can be taken away and sysctls changed without an event: a call each an interface tells. */
const WATCH_MS = 250;

/** What could not be removed at the end is tried so many times more: what kept it from going may be over by then. */
const STOP_RETRIES = 5;
const STOP_RETRY_MS = 200;

/** After the ARP table had to be put back: neighbours may have heard the NIC's own MAC meanwhile. */
const CORRECTION: Announcement = { count: 3, intervalMs: 200 };

/** For a link that comes back after it was set up. */
const LINK_RETURN_MS = 5000;
const LINK_INTERVAL_MS = 200;

export interface TakeOptions {
  /** false: only if the virtual IP is served already */
  readonly create: boolean;
  /** CLUSTERIP_BROKEN, and the bucket is given up again, when frames to it are not answered here */
  readonly check: boolean;
}

export interface DaemonParts {
  readonly engines: EngineSet;
  readonly state: StateFile;
  readonly sendFrame: SendFrame;
  readonly watchNft: WatchNft;
  readonly log: Log;
}

export class Daemon {
  readonly #engines: EngineSet;
  readonly #log: Log;
  readonly #serving: Serving;
  readonly #saved: SavedServing;
  readonly #announcer: Announcer;
  readonly #claims: Claims;
  readonly #mutex = new Mutex();
  readonly #events: HostEvents;
  readonly #startedAt = Date.now();
  #tablesPending = false;
  #repairPending = false;
  #repairTimer: NodeJS.Timeout | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #watchTimer: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor({ engines, state, sendFrame, watchNft, log }: DaemonParts) {
    this.#engines = engines;
    this.#log = log;
    this.#announcer = new Announcer(sendFrame, log);
    this.#claims = new Claims(sendFrame, log);
    this.#serving = new Serving(engines, log);
    this.#saved = new SavedServing(this.#serving, engines, state, log);
    this.#events = new HostEvents(watchNft, (event) => this.#onHostEvent(event));
  }

  /**
   * Checks the host, becomes its only daemon, takes over from a dead one and serves the configuration and what was
   * saved, as far as the host has what it takes; the rest waits. When it throws, everything it did is undone.
   */
  async start(configured: readonly VirtualIp[]): Promise<void> {
    await this.#mutex.run(async () => {
      await checkRequirements();
      this.#engines.open();
      try {
        if (this.#engines.device !== undefined) await configureTun(this.#engines.device);
        await this.#saved.start(configured);
      } catch (error) {
        this.#engines.close();
        throw error;
      }
    });
    this.#followClaims();
    this.#events.start();
    this.#schedulePoll();
    this.#watchTimer = setInterval(() => {
      if (!this.#serving.isJudging() || !this.#serving.isPlaced()) this.#repairSoon();
    }, WATCH_MS);
    this.#log.info({ virtualIps: this.#vips() }, "serving");
  }

  /** Removes everything that was set up but the saved state; the daemon is of no use afterwards. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#events.stop();
    clearTimeout(this.#repairTimer);
    clearTimeout(this.#pollTimer);
    clearInterval(this.#watchTimer);
    this.#announcer.stop();
    this.#claims.stop();
    let left: readonly string[] = [];
    await this.#mutex.run(async () => {
      const all = new Set(this.#serving.current.keys());
      left = await this.#serving.withdraw(all);
      for (let again = 0; left.length > 0 && again < STOP_RETRIES; again += 1) {
        await sleep(STOP_RETRY_MS);
        left = await this.#serving.withdraw(all);
      }
      this.#engines.close();
    });
    if (left.length > 0) throw new ClusterIpError("CLUSTERIP_HOST", left.join(" "));
    this.#log.info("stopped; everything is removed");
  }

  add(settings: VirtualIp): Promise<VirtualIpStatus> {
    return this.#transaction(async () => {
      if (this.#saved.find(settings.address) !== undefined) {
        throw new ClusterIpError(
          "CLUSTERIP_EXISTS",
          `${settings.address} is served already: 'clusterip del ${settings.address}' removes it, 'clusterip nodes ${settings.address} +N' adds a bucket.`,
        );
      }
      requireRoom(this.#serving.current.size);
      const added = resolveVirtualIp(settings, "request", await this.#serving.lookAtLinks(), this.#engines);
      await this.#saved.change(new Map(this.#serving.current).set(settings.address, added));
      const { address: vip, nic, localBuckets } = settings;
      this.#log.info(inKernelWords({ vip, nic, localBuckets }), "added");
      return this.#statusOf(added);
    });
  }

  /** Serves it no longer; resolves with what it was. */
  remove(address: Address): Promise<AskedVirtualIp> {
    return this.#transaction(async () => {
      const removed = this.#asked(address);
      const left = await this.#saved.remove(address);
      if (left.length > 0) {
        const what = `${address} is not served any more, but not everything is removed; that is tried again`;
        throw new ClusterIpError("CLUSTERIP_HOST", `${what}: ${left.join(" ")}`);
      }
      this.#log.info({ vip: address }, "removed");
      return removed;
    });
  }

  /** The local buckets after the change `+N` or `-N`; it is in force when this resolves. */
  changeBuckets(address: Address, change: string): Promise<BucketSet> {
    return this.#transaction(async () => {
      const { settings, localBuckets } = this.#asked(address);
      const next = changeBuckets(localBuckets, parseBucketChange(change), settings.bucketCount);
      this.#saved.setBuckets(address, next);
      this.#log.info(inKernelWords({ vip: settings.address, change, localBuckets: next }), "buckets moved");
      return next;
    });
  }

  /**
   * Makes a bucket this node's, and serves its virtual IP if need be. Asked again it changes nothing,
   * so that a resource agent need not know what came before; other settings are refused.
   */
  takeBucket(settings: VirtualIp, bucket: number, { create, check }: TakeOptions): Promise<BucketSet> {
    return this.#transaction(async () => {
      const { address } = settings;
      const served = this.#serving.current.get(address);
      const waits = this.#saved.waiting.get(address);
      if (waits !== undefined) {
        // Its bucket would not be answered here. The next look may find that it can be by now.
        throw new ClusterIpError(waits.why.code, `${address} waits: ${waits.why.message}`, {
          cause: waits.why,
        });
      }
      const links = await this.#take(settings, bucket, { create, check });
      if (check) await this.#requireAnswered(address, bucket, links);
      const { localBuckets } = this.#served(address);
      const { nic } = settings;
      if (served === undefined)
        this.#log.info(
          inKernelWords({ vip: address, nic, ownBucket: bucket }),
          "added with the first bucket",
        );
      else if (!served.localBuckets.includes(bucket))
        this.#log.info(inKernelWords({ vip: address, ownBucket: bucket, localBuckets }), "bucket taken");
      return localBuckets;
    });
  }

  /** The links as they were before the virtual IP was set up; none where it was served already. */
  async #take(settings: VirtualIp, bucket: number, { create, check }: TakeOptions): Promise<readonly Link[]> {
    const { address } = settings;
    const served = this.#serving.current.get(address);
    if (served === undefined) {
      if (!create) this.#served(address); // refuses
      requireRoom(this.#serving.current.size);
      const links = await this.#serving.lookAtLinks();
      const added = resolveVirtualIp(settings, "request", links, this.#engines);
      const link = links.find(({ name }) => name === added.settings.nic);
      // Not set up in vain: the agent may have to ask again until the cable is in.
      if (check && link !== undefined && !(link.isUp && link.hasCarrier)) {
        throw new ClusterIpError("CLUSTERIP_BROKEN", `The interface ${link.name} is down or has no carrier.`);
      }
      await this.#saved.change(new Map(this.#serving.current).set(address, added));
      return links;
    }
    requireSame(served, { ...settings, nic: this.#serving.ownNameOf(settings.nic) });
    if (!served.localBuckets.includes(bucket)) {
      this.#saved.setBuckets(address, takeBucket(served.localBuckets, bucket));
    }
    return [];
  }

  /** Gives the bucket up again where it is not answered: the next owner can. */
  async #requireAnswered(address: Address, bucket: number, before: readonly Link[]): Promise<void> {
    const why = (): string | undefined => whyBroken(this.#serving, this.#engines, this.#served(address));
    const { nic } = this.#served(address).settings;
    // Some drivers take the link down for a moment when a program is attached.
    const hadCarrier = before.find(({ name }) => name === nic)?.hasCarrier === true;
    const deadline = performance.now() + (hadCarrier ? LINK_RETURN_MS : 0);
    // With the first bucket the virtual IP has just come: nobody has looked yet whether it can be reached.
    if (before.length > 0) await this.#serving.lookAtReach();
    while (why() !== undefined && performance.now() < deadline) {
      await sleep(LINK_INTERVAL_MS);
      await this.#serving.repair();
    }
    const reason = why();
    if (reason === undefined) return;
    this.#release(this.#served(address), bucket);
    throw new ClusterIpError("CLUSTERIP_BROKEN", `${reason} Bucket ${bucket} is not taken.`);
  }

  /**
   * Gives a bucket up; with the last one goes a virtual IP that came by request. It resolves as soon
   * as the bucket is not answered here any more, because its next owner waits for that; what remains
   * is removed behind it.
   *
   * @param wanted CLUSTERIP_NOT_FOUND, and nothing is given up, when the virtual IP is served with other settings
   */
  releaseBucket(address: Address, bucket: number, wanted?: VirtualIp): Promise<BucketSet> {
    return this.#transaction(async () => {
      const served = this.#saved.find(address);
      if (served === undefined) return [];
      requireSameBucket(served, this.#byOwnName(wanted));
      if (!served.localBuckets.includes(bucket)) return served.localBuckets;
      return this.#release(served, bucket);
    });
  }

  /** By an alternative name the same interface is meant as by its own. */
  #byOwnName(wanted: VirtualIp | undefined): VirtualIp | undefined {
    return wanted && { ...wanted, nic: this.#serving.ownNameOf(wanted.nic) };
  }

  #release(served: AskedVirtualIp, bucket: number): BucketSet {
    const { address } = served.settings;
    const localBuckets = releaseBucket(served.localBuckets, bucket);
    this.#saved.setBuckets(address, localBuckets);
    this.#log.info(inKernelWords({ vip: address, ownBucket: bucket, localBuckets }), "bucket released");
    if (localBuckets.length === 0 && served.origin === "request") this.#removeEmpty(address);
    return localBuckets;
  }

  #removeEmpty(address: Address): void {
    this.#background(async () => {
      // A bucket may have come back in the meantime.
      if (this.#saved.find(address)?.localBuckets.length !== 0) return;
      await this.#saved.remove(address);
    });
  }

  /**
   * Resolves when the bucket is answered here: CLUSTERIP_NOT_FOUND when it is not this node's,
   * CLUSTERIP_BROKEN. Never during a change, but it waits for nothing else: a monitor must not time
   * out because a repair takes long.
   *
   * @param wanted with other settings than those served the bucket is not this one
   */
  async checkBucket(address: Address, bucket: number, wanted?: VirtualIp): Promise<void> {
    await this.#serving.settled();
    const served = this.#asked(address);
    if (!served.localBuckets.includes(bucket)) {
      throw new ClusterIpError("CLUSTERIP_NOT_FOUND", `Bucket ${bucket} is not this node's.`);
    }
    requireSameBucket(served, this.#byOwnName(wanted));
    if (isWaiting(served)) {
      throw new ClusterIpError("CLUSTERIP_BROKEN", served.why.message, { cause: served.why });
    }
    const why = whyBroken(this.#serving, this.#engines, served);
    if (why !== undefined) throw new ClusterIpError("CLUSTERIP_BROKEN", why);
  }

  /**
   * Why the daemon should be restarted, for the watchdog; undefined when its packet paths move. It
   * does not wait for a change that runs: each step of that has a time limit of its own.
   */
  whyStuck(): string | undefined {
    return this.#serving.isChanging ? undefined : whyStuck(this.#engines, this.#serving.bindings);
  }

  /**
   * The first is sent when this resolves; `allSent` resolves after the last and never rejects, so that nobody has to wait.
   *
   * @throws CLUSTERIP_NOT_FOUND; for one that waits its own code
   */
  async announce(address: Address, announcement: Announcement): Promise<{ readonly allSent: Promise<void> }> {
    this.#served(address);
    const allSent = this.#announcer.announce(address, announcement, () => {
      const virtualIp = this.#serving.current.get(address);
      const link = virtualIp === undefined ? undefined : this.#serving.linkOf(virtualIp.settings.nic);
      return virtualIp === undefined || link === undefined ? undefined : { virtualIp, link };
    });
    return { allSent };
  }

  /**
   * Touches only what differs: buckets moved since, and virtual IPs added by hand, stay. What the host merely lacks is
   * waited for, but not by a virtual IP that is served now; one that it refuses is a reason to change nothing.
   */
  reload(configured: readonly VirtualIp[]): Promise<void> {
    return this.#transaction(async () => {
      const byRequest = <T extends AskedVirtualIp>(map: ReadonlyMap<Address, T>): Map<Address, T> =>
        new Map([...map].filter(([, { origin }]) => origin === "request"));
      const served = byRequest(this.#serving.current);
      const waiting = byRequest(this.#saved.waiting);
      const links = await this.#serving.lookAtLinks();
      for (const settings of configured) {
        const { address } = settings;
        served.delete(address);
        waiting.delete(address);
        const next = this.#reloaded(settings, this.#saved.find(address), links);
        if (!isWaiting(next)) served.set(address, next);
        // What is answered now is not given up for an interface that is not there: that is a slip of the pen.
        else if (!isMissingOnHost(next.why) || this.#serving.current.has(address)) throw next.why;
        else waiting.set(address, next);
      }
      await this.#saved.change(served, waiting);
      this.#log.info({ virtualIps: this.#vips() }, "reloaded");
    });
  }

  #reloaded(
    settings: VirtualIp,
    before: ServedVirtualIp | WaitingVirtualIp | undefined,
    links: readonly Link[],
  ): ServedVirtualIp | WaitingVirtualIp {
    const origin = "config" as const;
    const next = { settings, origin, localBuckets: settings.localBuckets };
    if (before === undefined) return resolveOrWait(next, links, this.#engines);
    // A bucket that was moved is another node's now, also where it would come back with another interface or engine.
    const asked = compare(before.settings, settings);
    const staysMoved = agree(asked, "localBuckets", ...meaningOfBuckets);
    const localBuckets = staysMoved ? before.localBuckets : settings.localBuckets;
    // What is asked for as before stays as it is, even while its interface is away.
    if (!isWaiting(before) && agreeBut(asked, "localBuckets")) {
      return { ...before, settings, origin, localBuckets };
    }
    const wasServed = !isWaiting(before) && before.settings.nic === settings.nic;
    const resolved = resolveOrWait({ ...next, localBuckets, wasServed }, links, this.#engines);
    if (isWaiting(resolved) || isWaiting(before) || !isSetUpAlike(before, resolved)) return resolved;
    return { ...resolved, isAdopted: before.isAdopted };
  }

  /** Of a virtual IP that is served or waits. */
  settingsOf(address: Address): VirtualIp | undefined {
    return this.#saved.find(address)?.settings;
  }

  /**
   * Where a virtual IP would be served that names no interface, and the prefix length of its network there.
   *
   * @throws CLUSTERIP_NO_NETWORK
   */
  async findNetwork(address: Address, nic?: string): Promise<FoundNetwork> {
    return findNetwork(address, await listLinks(), listLinkRoutes(), nic);
  }

  buckets(address: Address): BucketSet {
    return this.#asked(address).localBuckets;
  }

  /** Between two changes, never during one. */
  status(): Promise<DaemonStatus> {
    return this.#transaction(async () =>
      daemonStatus(this.#serving, this.#saved, this.#engines, this.problems, this.#startedAt),
    );
  }

  statusOf(address: Address): Promise<VirtualIpStatus> {
    return this.#transaction(async () => {
      const asked = this.#asked(address);
      return isWaiting(asked) ? waitingStatus(asked) : this.#statusOf(asked);
    });
  }

  #statusOf(virtualIp: ServedVirtualIp): VirtualIpStatus {
    const served = this.#serving.current.get(virtualIp.settings.address) ?? virtualIp;
    return virtualIpStatus(served, this.#engines);
  }

  /** @throws CLUSTERIP_NOT_FOUND; for one that waits its own code */
  #served(address: Address): ServedVirtualIp {
    const asked = this.#asked(address);
    if (isWaiting(asked)) throw asked.why;
    return asked;
  }

  /** Served or waiting; @throws CLUSTERIP_NOT_FOUND */
  #asked(address: Address): ServedVirtualIp | WaitingVirtualIp {
    const found = this.#saved.find(address);
    if (found !== undefined) return found;
    const vips = this.#vips();
    throw new ClusterIpError(
      "CLUSTERIP_NOT_FOUND",
      `This virtual IP is not served here; ${vips.length === 0 ? "there is none" : `there is ${vips.join(", ")}`}.`,
    );
  }

  /** What is wrong now. */
  get problems(): readonly HostProblem[] {
    return [...this.#saved.problems, ...this.#claims.problems];
  }

  /** One line for the service manager. */
  summary(): string {
    const parts = this.#saved.all.map((asked) => {
      const buckets = formatBuckets(asked.localBuckets) || "no bucket";
      return `${asked.settings.address} (${isWaiting(asked) ? "waits" : buckets})`;
    });
    return parts.length === 0 ? "no virtual IP" : parts.join(", ");
  }

  #vips(): readonly string[] {
    return this.#saved.all.map(({ settings }) => settings.address);
  }

  #transaction<T>(task: () => Promise<T>): Promise<T> {
    return this.#mutex.run(async () => {
      if (this.#isStopping) throw new ClusterIpError("CLUSTERIP_STOPPING", "The daemon is stopping.");
      try {
        return await task();
      } finally {
        this.#followClaims();
      }
    });
  }

  /** A virtual IP that has come into service is asked for on the LAN; it is served meanwhile. */
  #followClaims(): void {
    this.#claims.follow(this.#serving.current, this.#serving.links);
  }

  /** Our tables come back at once; everything else when the burst of events is over. */
  #onHostEvent(event: HostEvent): void {
    if (this.#isStopping) return;
    if (event === "nft") {
      if (this.#tablesPending) return;
      this.#tablesPending = true;
      this.#background(async () => {
        this.#tablesPending = false;
        await this.#repair(() => this.#serving.repairTables());
      });
      return;
    }
    this.#repairTimer ??= setTimeout(() => {
      this.#repairTimer = undefined;
      this.#repairSoon();
    }, SETTLE_MS);
  }

  /** One repair waits at most, however many events come while another runs: requests wait behind it. */
  #repairSoon(): void {
    if (this.#repairPending) return;
    this.#repairPending = true;
    this.#background(async () => {
      this.#repairPending = false;
      await this.#repair(async () => {
        await this.#serving.repair();
        await this.#saved.serveWaiting();
      });
      this.#followClaims();
      void this.#claims.look();
      this.#schedulePoll();
    });
  }

  /** A repair, and a word to the neighbours when it put the ARP table back. One that fails is tried again soon. */
  async #repair(act: () => Promise<void>): Promise<void> {
    const before = this.#serving.repairs.nft.count;
    try {
      await act();
    } catch (error) {
      this.#schedulePoll(POLL_PROBLEM_MS);
      throw error;
    }
    if (this.#serving.repairs.nft.count === before) return;
    for (const address of this.#serving.current.keys()) void this.announce(address, CORRECTION);
  }

  /** What others claim is over by itself, some time after they have stopped: no reason to look more often. */
  #schedulePoll(delay = this.#saved.problems.length === 0 ? POLL_MS : POLL_PROBLEM_MS): void {
    clearTimeout(this.#pollTimer);
    if (!this.#isStopping) this.#pollTimer = setTimeout(() => this.#repairSoon(), delay);
  }

  async #background(task: () => Promise<void>): Promise<void> {
    await this.#mutex
      .run(async () => {
        if (!this.#isStopping) await task();
      })
      .catch((error: unknown) => this.#log.error({ error: messageOf(error) }, "repair failed"));
  }
}
