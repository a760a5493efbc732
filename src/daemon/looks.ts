/** When the daemon looks at the host: after events, at intervals, and sooner while something is wrong. */
import { messageOf } from "../core/errors.ts";
import { type HostEvent, HostEvents, type WatchNft } from "../host/events.ts";
import type { Log } from "./log.ts";

/** Events come in bursts: one look is enough for those of this time. */
const SETTLE_MS = 20;
/** A look without any event: not everything that keeps clients away makes one, and a monitor has to know within 10 s. */
const POLL_MS = 5000;
/** While something is wrong, look more often: not every remedy makes an event. */
const POLL_PROBLEM_MS = 1000;
/** Programs in the kernel can be taken away and sysctls changed without an event: a call each an interface tells. */
const WATCH_MS = 250;

/** What a look does; each part runs between two transactions. */
export interface Look {
  /** The nft tables alone, which come back first. */
  readonly repairTables: () => Promise<void>;
  readonly repair: () => Promise<void>;
  /** Whether what changes without an event is as it must be; cheap. */
  readonly isInPlace: () => Promise<boolean>;
  /** Nothing is in place between the steps of a change, which is no reason to look. */
  readonly isChanging: () => boolean;
  readonly hasProblems: () => boolean;
  /** runs a task behind the transaction at hand; its failure is told */
  readonly background: (task: () => Promise<void>) => void;
}

export class Looks {
  readonly #look: Look;
  readonly #events: HostEvents;
  readonly #log: Log;
  #tablesPending = false;
  #repairPending = false;
  #isWatching = false;
  #isStopped = false;
  #settleTimer: NodeJS.Timeout | undefined;
  #pollTimer: NodeJS.Timeout | undefined;
  #watchTimer: NodeJS.Timeout | undefined;

  constructor(look: Look, watchNft: WatchNft, log: Log) {
    this.#look = look;
    this.#log = log;
    this.#events = new HostEvents(watchNft, (event) => this.#onHostEvent(event));
  }

  start(): void {
    this.#events.start();
    this.#schedulePoll();
    this.#watchTimer = setInterval(() => void this.#watch(), WATCH_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#events.stop();
    clearTimeout(this.#settleTimer);
    clearTimeout(this.#pollTimer);
    clearInterval(this.#watchTimer);
  }

  /** Our tables come back at once; everything else when the burst of events is over. */
  #onHostEvent(event: HostEvent): void {
    if (this.#isStopped) return;
    if (event === "nft") {
      if (this.#tablesPending) return;
      this.#tablesPending = true;
      this.#look.background(async () => {
        this.#tablesPending = false;
        await this.#soonAgainIfFailed(this.#look.repairTables);
      });
      return;
    }
    this.#settleTimer ??= setTimeout(() => {
      this.#settleTimer = undefined;
      this.#repairSoon();
    }, SETTLE_MS);
  }

  async #watch(): Promise<void> {
    if (this.#isWatching || this.#look.isChanging()) return;
    this.#isWatching = true;
    try {
      if (!(await this.#look.isInPlace())) this.#repairSoon();
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, "the host could not be looked at");
    } finally {
      this.#isWatching = false;
    }
  }

  /** One repair waits at most, however many events come while another runs: requests wait behind it. */
  #repairSoon(): void {
    if (this.#repairPending || this.#isStopped) return;
    this.#repairPending = true;
    this.#look.background(async () => {
      this.#repairPending = false;
      await this.#soonAgainIfFailed(this.#look.repair);
      this.#schedulePoll();
    });
  }

  async #soonAgainIfFailed(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.#schedulePoll(POLL_PROBLEM_MS);
      throw error;
    }
  }

  #schedulePoll(delay = this.#look.hasProblems() ? POLL_PROBLEM_MS : POLL_MS): void {
    clearTimeout(this.#pollTimer);
    if (!this.#isStopped) this.#pollTimer = setTimeout(() => this.#repairSoon(), delay);
  }
}
