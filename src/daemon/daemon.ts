/**
 * The daemon: the only owner of state. Every request is a transaction, one after the other,
 * and so is every repair; what is served changes in `Serving` alone.
 */
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { changeNodes, type NodeSet, parseNodeChange } from "../core/node-set.ts";
import type { Engine } from "../engine/engine.ts";
import { type HostEvent, HostEvents } from "../host/events.ts";
import { checkRequirements } from "../host/requirements.ts";
import { configureTun } from "../host/tun.ts";
import type { VirtualIpSettings } from "../settings/virtual-ip.ts";
import type { Log } from "./log.ts";
import { Mutex } from "./mutex.ts";
import { differsOnlyInNodes, type Origin, resolveVirtualIp, type ServedVirtualIp } from "./resolve.ts";
import { Serving } from "./serving.ts";
import { type DaemonStatus, daemonStatus, type VirtualIpStatus, virtualIpStatus } from "./status.ts";

/** Events come in bursts: one look is enough for those of this time. */
const SETTLE_MS = 20;
/** A look without any event, should one have been missed. */
const POLL_MS = 10_000;
/** While something is wrong, look more often: not every remedy makes an event. */
const POLL_PROBLEM_MS = 1000;

export class Daemon {
  readonly #engine: Engine;
  readonly #log: Log;
  readonly #serving: Serving;
  readonly #mutex = new Mutex();
  readonly #events: HostEvents;
  readonly #startedAt = Date.now();
  #tablesPending = false;
  #repairTimer: NodeJS.Timeout | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(engine: Engine, log: Log) {
    this.#engine = engine;
    this.#log = log;
    this.#serving = new Serving(engine, log);
    this.#events = new HostEvents((event) => this.#onHostEvent(event));
  }

  /**
   * Checks the host, becomes its only daemon, takes over from a dead one and serves the
   * configuration. When it throws, everything it did is undone.
   */
  async start(configured: readonly VirtualIpSettings[]): Promise<void> {
    await this.#mutex.run(async () => {
      await checkRequirements();
      this.#engine.open();
      try {
        const next = await this.#resolveAll(configured, "config");
        if (this.#engine.device !== undefined) await configureTun(this.#engine.device);
        await this.#serving.sweep(next);
        await this.#serving.change(next);
      } catch (error) {
        this.#engine.close();
        throw error;
      }
    });
    this.#events.start();
    this.#schedulePoll();
    this.#log.info({ virtualIps: configured.map(({ vip }) => vip) }, "serving");
  }

  /** Removes everything that was set up; the daemon is of no use afterwards. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#events.stop();
    clearTimeout(this.#repairTimer);
    clearTimeout(this.#pollTimer);
    await this.#mutex.run(async () => {
      try {
        await this.#serving.change(new Map());
      } finally {
        this.#engine.close();
      }
    });
    this.#log.info("stopped; everything is removed");
  }

  add(settings: VirtualIpSettings): Promise<VirtualIpStatus> {
    return this.#transaction(async () => {
      if (this.#serving.current.has(settings.addressHost)) {
        throw new ClusterIpError(
          "CLUSTERIP_EXISTS",
          `${settings.vip} is served already: 'clusterip del ${settings.vip}' removes it, 'clusterip nodes ${settings.vip} +N' adds a bucket.`,
        );
      }
      const added = resolveVirtualIp(
        settings,
        "request",
        await this.#serving.lookAtLinks(),
        this.#engine.device,
      );
      await this.#serving.change(new Map(this.#serving.current).set(settings.addressHost, added));
      this.#log.info({ vip: settings.vip, nic: settings.nic, localNodes: settings.localNodes }, "added");
      return this.#statusOf(added);
    });
  }

  remove(addressHost: number): Promise<void> {
    return this.#transaction(async () => {
      const { settings } = this.#served(addressHost);
      const next = new Map(this.#serving.current);
      next.delete(addressHost);
      await this.#serving.change(next);
      this.#log.info({ vip: settings.vip }, "removed");
    });
  }

  /** The local buckets after the change `+N` or `-N`; it is in force when this resolves. */
  changeNodes(addressHost: number, change: string): Promise<NodeSet> {
    return this.#transaction(async () => {
      const { settings, localNodes } = this.#served(addressHost);
      const next = changeNodes(localNodes, parseNodeChange(change), settings.totalNodes);
      this.#serving.setLocal(addressHost, next);
      this.#log.info({ vip: settings.vip, change, localNodes: next }, "buckets moved");
      return next;
    });
  }

  /** Touches only what differs: buckets moved since, and virtual IPs added by hand, stay. */
  reload(configured: readonly VirtualIpSettings[]): Promise<void> {
    return this.#transaction(async () => {
      const current = this.#serving.current;
      const next = new Map([...current].filter(([, { origin }]) => origin === "request"));
      for (const [addressHost, wanted] of await this.#resolveAll(configured, "config")) {
        const served = current.get(addressHost);
        if (served !== undefined && differsOnlyInNodes(served, wanted)) {
          const isSameRequest = String(served.settings.localNodes) === String(wanted.settings.localNodes);
          next.set(addressHost, {
            ...wanted,
            isAdopted: served.isAdopted,
            localNodes: isSameRequest ? served.localNodes : wanted.localNodes,
          });
        } else {
          next.set(addressHost, wanted);
        }
      }
      await this.#serving.change(next);
      this.#log.info({ virtualIps: [...next.values()].map(({ settings }) => settings.vip) }, "reloaded");
    });
  }

  nodes(addressHost: number): NodeSet {
    return this.#served(addressHost).localNodes;
  }

  status(): DaemonStatus {
    return daemonStatus(this.#serving, this.#engine, this.#startedAt);
  }

  statusOf(addressHost: number): VirtualIpStatus {
    return this.#statusOf(this.#served(addressHost));
  }

  #statusOf(virtualIp: ServedVirtualIp): VirtualIpStatus {
    const served = this.#serving.current.get(virtualIp.settings.addressHost) ?? virtualIp;
    return virtualIpStatus(served, this.#engine);
  }

  #served(addressHost: number): ServedVirtualIp {
    const found = this.#serving.current.get(addressHost);
    if (found === undefined) {
      const served = [...this.#serving.current.values()].map(({ settings }) => settings.vip);
      throw new ClusterIpError(
        "CLUSTERIP_NOT_FOUND",
        `This virtual IP is not served here; ${served.length === 0 ? "there is none" : `there is ${served.join(", ")}`}.`,
      );
    }
    return found;
  }

  async #resolveAll(
    configured: readonly VirtualIpSettings[],
    origin: Origin,
  ): Promise<Map<number, ServedVirtualIp>> {
    const links = await this.#serving.lookAtLinks();
    return new Map(
      configured.map((settings) => [
        settings.addressHost,
        resolveVirtualIp(settings, origin, links, this.#engine.device),
      ]),
    );
  }

  #transaction<T>(task: () => Promise<T>): Promise<T> {
    return this.#mutex.run(async () => {
      if (this.#isStopping) throw new ClusterIpError("CLUSTERIP_STOPPING", "The daemon is stopping.");
      return task();
    });
  }

  /** Our tables come back at once; everything else when the burst of events is over. */
  #onHostEvent(event: HostEvent): void {
    if (this.#isStopping) return;
    if (event === "nft") {
      if (this.#tablesPending) return;
      this.#tablesPending = true;
      this.#background(async () => {
        this.#tablesPending = false;
        await this.#serving.repairTables();
      });
      return;
    }
    this.#repairTimer ??= setTimeout(() => {
      this.#repairTimer = undefined;
      this.#background(() => this.#serving.repair());
    }, SETTLE_MS);
  }

  #schedulePoll(): void {
    const delay = this.#serving.problems.length === 0 ? POLL_MS : POLL_PROBLEM_MS;
    this.#pollTimer = setTimeout(() => {
      this.#background(() => this.#serving.repair()).finally(() => {
        if (!this.#isStopping) this.#schedulePoll();
      });
    }, delay);
  }

  async #background(task: () => Promise<void>): Promise<void> {
    await this.#mutex
      .run(async () => {
        if (!this.#isStopping) await task();
      })
      .catch((error: unknown) => this.#log.error({ error: messageOf(error) }, "repair failed"));
  }
}
