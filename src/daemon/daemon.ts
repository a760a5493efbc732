/**
 * The daemon: the only owner of state. Every request that changes something is a transaction, one after the other,
 * and so is every repair. What only reads waits for neither (`read-model.ts`).
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { Mutex } from "../core/mutex.ts";
import type { EngineSet } from "../engine/engine-set.ts";
import type { WatchNft } from "../host/events.ts";
import { listLinks } from "../host/ip.ts";
import { checkRequirements } from "../host/requirements.ts";
import { listLinkRoutes } from "../host/routes.ts";
import { configureTun } from "../host/tun.ts";
import type { Address } from "../model/address.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { type Announcement, Announcer, type SendFrame } from "./announcer.ts";
import { type AskedVirtualIp, nothingAsked } from "./asked.ts";
import { BucketRequests, type TakeOptions } from "./bucket-requests.ts";
import { Claims } from "./claims.ts";
import { type FoundNetwork, findNetwork } from "./find-network.ts";
import { Health } from "./health.ts";
import { HostLock, LOCK_NAME, type LockDevice } from "./host-lock.ts";
import type { Log } from "./log.ts";
import { Looks } from "./looks.ts";
import { Ownership } from "./ownership.ts";
import { describeAll } from "./problem-text.ts";
import type { Problem } from "./problems.ts";
import { ReadModel } from "./read-model.ts";
import { Requests } from "./requests.ts";
import { makeResources, type Resources } from "./resources/resources.ts";
import { SavedChanges } from "./saved-changes.ts";
import { Serving } from "./serving.ts";
import type { StateFile } from "./state-file.ts";
import type { DaemonStatus, VirtualIpStatus } from "./status.ts";

/** What could not be removed at the end is tried so many times more: what kept it from going may be over by then. */
const STOP_RETRIES = 5;
const STOP_RETRY_MS = 200;

/** A command of a change has a time limit, and the kernel answers in microseconds; a machine that can do nothing else may take long. */
const MAX_CHANGE_S = 300;

/** After the ARP table had to be put back: neighbours may have heard the NIC's own MAC meanwhile. */
const CORRECTION: Announcement = { count: 3, intervalMs: 200 };

export interface DaemonParts {
  readonly engines: EngineSet;
  readonly state: StateFile;
  readonly sendFrame: SendFrame;
  readonly watchNft: WatchNft;
  readonly lockDevice: LockDevice;
  readonly log: Log;
}

export class Daemon {
  readonly #engines: EngineSet;
  readonly #log: Log;
  readonly #resources: Resources;
  readonly #ownership: Ownership;
  readonly #serving: Serving;
  readonly #changes: SavedChanges;
  readonly #requests: Requests;
  readonly #buckets: BucketRequests;
  readonly #health: Health;
  readonly #reads: ReadModel;
  readonly #announcer: Announcer;
  readonly #claims: Claims;
  readonly #looks: Looks;
  readonly #mutex = new Mutex();
  readonly #lockDevice: LockDevice;
  #lock: HostLock | undefined;
  #isStopping = false;

  constructor({ engines, state, sendFrame, watchNft, lockDevice, log }: DaemonParts) {
    this.#engines = engines;
    this.#lockDevice = lockDevice;
    this.#log = log;
    this.#announcer = new Announcer(sendFrame, log);
    this.#claims = new Claims(sendFrame, log);
    const ownership = new Ownership(state, log);
    const resources = makeResources(engines, ownership, log);
    const { links } = resources;
    const serving = new Serving(resources, ownership, log);
    const changes = new SavedChanges(serving, ownership, links, engines, log);
    const health = new Health(serving, resources.programs);
    const background = (task: () => Promise<void>): void => this.#background(task);
    const parts = { ownership, changes, links, engines, log };
    this.#requests = new Requests(parts);
    this.#buckets = new BucketRequests({ ...parts, serving, health, background });
    this.#reads = new ReadModel({ ownership, serving, resources, claims: this.#claims, engines });
    this.#ownership = ownership;
    this.#resources = resources;
    this.#serving = serving;
    this.#changes = changes;
    this.#health = health;
    const look = {
      repairTables: () => this.#announceIfRepaired(() => serving.repairTables()),
      repair: () => this.#repair(),
      isInPlace: () => serving.isInPlace(),
      isChanging: () => serving.isChanging,
      // What others claim is over by itself, some time after they have stopped: no reason to look more often.
      hasProblems: () => this.#reads.hostProblems.length > 0,
      background,
    };
    this.#looks = new Looks(look, watchNft, log);
  }

  /**
   * Checks the host, becomes its only daemon, takes over from a dead one and serves the configuration and what was
   * saved, as far as the host has what it takes; the rest waits. When it throws, everything it did is undone.
   */
  async start(configured: readonly VirtualIp[]): Promise<void> {
    await this.#mutex.run(async () => {
      await checkRequirements();
      this.#lock = await HostLock.take(this.#lockDevice);
      if (this.#lock === undefined) {
        throw new ClusterIpError(
          "CLUSTERIP_ALREADY_RUNNING",
          `Another clusteripd serves this host: it holds the device ${LOCK_NAME}. Stop it first; 'clusterip cleanup' holds it for a moment, too.`,
        );
      }
      try {
        await this.#engines.open();
        await configureTun(this.#engines.device);
        await this.#changes.start(configured);
      } catch (error) {
        await this.#engines.close();
        await this.#lock.release();
        throw error;
      }
    });
    this.#followClaims();
    this.#looks.start();
    this.#log.info({ virtualIps: this.#ownership.all.map(({ settings }) => settings.address) }, "serving");
  }

  /** Removes everything that was set up but the saved state; the daemon is of no use afterwards. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#looks.stop();
    this.#announcer.stop();
    this.#claims.stop();
    let left: readonly Problem[] = [];
    await this.#mutex.run(async () => {
      const nothingServed = { ...this.#ownership.now, served: nothingAsked.served };
      left = await this.#serving.withdraw(nothingServed);
      for (let again = 0; left.length > 0 && again < STOP_RETRIES; again += 1) {
        await sleep(STOP_RETRY_MS);
        left = await this.#serving.withdraw(nothingServed);
      }
      await this.#engines.close();
      await this.#lock?.release();
    });
    if (left.length > 0) throw new ClusterIpError("CLUSTERIP_HOST", describeAll(left));
    this.#log.info("stopped; everything is removed");
  }

  /** {@link Requests.add} */
  add(settings: VirtualIp): Promise<VirtualIpStatus> {
    return this.#transaction(async () => {
      await this.#requests.add(settings);
      return this.#reads.statusOf(settings.address);
    });
  }

  /** {@link Requests.remove} */
  remove(address: Address): Promise<AskedVirtualIp> {
    return this.#transaction(() => this.#requests.remove(address));
  }

  /** {@link Requests.changeBuckets} */
  changeBuckets(address: Address, change: string): Promise<BucketSet> {
    return this.#transaction(() => this.#requests.changeBuckets(address, change));
  }

  /** {@link Requests.reload} */
  reload(configured: readonly VirtualIp[]): Promise<void> {
    return this.#transaction(() => this.#requests.reload(configured));
  }

  /** {@link BucketRequests.take} */
  takeBucket(settings: VirtualIp, bucket: number, options: TakeOptions): Promise<BucketSet> {
    return this.#transaction(() => this.#buckets.take(settings, bucket, options));
  }

  /** {@link BucketRequests.release} */
  releaseBucket(address: Address, bucket: number, wanted?: VirtualIp): Promise<BucketSet> {
    return this.#transaction(() => this.#buckets.release(address, bucket, wanted));
  }

  /** {@link BucketRequests.check} */
  checkBucket(address: Address, bucket: number, wanted?: VirtualIp): Promise<void> {
    return this.#buckets.check(address, bucket, wanted);
  }

  /** As it was in force last; waits for nothing. */
  async status(): Promise<DaemonStatus> {
    this.#requireRunning();
    return this.#reads.status();
  }

  async statusOf(address: Address): Promise<VirtualIpStatus> {
    this.#requireRunning();
    return this.#reads.statusOf(address);
  }

  buckets(address: Address): BucketSet {
    return this.#reads.buckets(address);
  }

  /** Of a virtual IP that is served or waits. */
  settingsOf(address: Address): VirtualIp | undefined {
    return this.#ownership.find(address)?.settings;
  }

  /** {@link ReadModel.summary} */
  summary(): string {
    return this.#reads.summary();
  }

  /** Why the daemon should be restarted, for the watchdog; undefined when its packet paths move and its changes end. */
  async whyStuck(): Promise<string | undefined> {
    const seconds = Math.floor(this.#mutex.heldMs / 1000);
    if (seconds >= MAX_CHANGE_S) return `A change or a repair has not ended for ${seconds} s.`;
    return this.#health.whyStuck();
  }

  /**
   * Where a virtual IP would be served that names no interface, and the prefix length of its network there.
   *
   * @throws CLUSTERIP_NO_NETWORK
   */
  async findNetwork(address: Address, nic?: string): Promise<FoundNetwork> {
    return findNetwork(address, await listLinks(), listLinkRoutes(), nic);
  }

  /**
   * The first is sent when this resolves; `allSent` resolves after the last and never rejects, so that nobody has to wait.
   *
   * @throws CLUSTERIP_NOT_FOUND; for one that waits its own code
   */
  async announce(address: Address, announcement: Announcement): Promise<{ readonly allSent: Promise<void> }> {
    this.#ownership.requireServed(address);
    const allSent = this.#announcer.announce(address, announcement, () => {
      const virtualIp = this.#ownership.served.get(address);
      const link = virtualIp === undefined ? undefined : this.#resources.links.of(virtualIp.settings.nic);
      return virtualIp === undefined || link === undefined ? undefined : { virtualIp, link };
    });
    return { allSent };
  }

  async #repair(): Promise<void> {
    await this.#announceIfRepaired(async () => {
      await this.#serving.repair();
      await this.#changes.serveWaiting();
    });
    this.#followClaims();
    void this.#claims.look();
    // Last: where it fails, everything else has been put back.
    if ((await this.#lock?.keep(this.#resources.links.known)) === true) {
      this.#log.warn(`${LOCK_NAME} was removed by somebody else; put back`);
    }
  }

  /** A word to the neighbours when the ARP table had to be put back. */
  async #announceIfRepaired(act: () => Promise<void>): Promise<void> {
    const { repairs } = this.#resources;
    const before = repairs.records.nft;
    await act();
    if (repairs.records.nft === before) return;
    for (const address of this.#ownership.served.keys()) void this.announce(address, CORRECTION);
  }

  /** A virtual IP that has come into service is asked for on the LAN; it is served meanwhile. */
  #followClaims(): void {
    this.#claims.follow(this.#ownership.served, this.#resources.links.known);
  }

  #requireRunning(): void {
    if (this.#isStopping) throw new ClusterIpError("CLUSTERIP_STOPPING", "The daemon is stopping.");
  }

  #transaction<T>(task: () => Promise<T>): Promise<T> {
    return this.#mutex.run(async () => {
      this.#requireRunning();
      try {
        return await task();
      } finally {
        this.#followClaims();
      }
    });
  }

  #background(task: () => Promise<void>): void {
    this.#mutex
      .run(async () => {
        if (!this.#isStopping) await task();
      })
      .catch((error: unknown) => this.#log.error({ error: messageOf(error) }, "repair failed"));
  }
}
