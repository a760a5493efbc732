/** Announces virtual IPs by gratuitous ARP, in the background of everything else. */
import { type ArpOperation, arpOperations, gratuitousArp } from "../core/arp.ts";
import { messageOf } from "../core/errors.ts";
import type { Link } from "../host/ip.ts";
import { type Address, ipv4Host } from "../model/address.ts";
import type { NativeAddon } from "../native.ts";
import type { ServedVirtualIp } from "./asked.ts";
import type { Log } from "./log.ts";

export interface Announcement {
  /** how many times; each time a request and a reply: some neighbours accept only one of the two */
  readonly count: number;
  readonly intervalMs: number;
}

interface Running {
  left: number;
  intervalMs: number;
  timer: NodeJS.Timeout | undefined;
  /** resolved when the last one is sent */
  readonly done: Promise<void>;
  readonly finish: () => void;
}

export type SendFrame = NativeAddon["sendFrame"];

export class Announcer {
  readonly #send: SendFrame;
  readonly #log: Log;
  readonly #running = new Map<Address, Running>();

  constructor(send: SendFrame, log: Log) {
    this.#send = send;
    this.#log = log;
  }

  /**
   * Sends the first announcement now and the others by and by; resolves after the last. The
   * several instances of a clone that start at once share one run instead of adding to it.
   *
   * @param look the virtual IP and its interface as they are at each turn; undefined ends the run
   */
  announce(
    address: Address,
    { count, intervalMs }: Announcement,
    look: () => { readonly virtualIp: ServedVirtualIp; readonly link: Link } | undefined,
  ): Promise<void> {
    const known = this.#running.get(address);
    if (known !== undefined) {
      known.left = Math.max(known.left, count);
      known.intervalMs = intervalMs;
      return known.done;
    }
    let finish = (): void => {};
    const done = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const run: Running = { left: count, intervalMs, timer: undefined, done, finish };
    this.#running.set(address, run);
    const turn = (): void => {
      const found = look();
      if (found === undefined || run.left <= 0) {
        this.#end(address);
        return;
      }
      run.left -= 1;
      this.#sendBoth(found.virtualIp, found.link);
      if (run.left <= 0) this.#end(address);
      else run.timer = setTimeout(turn, run.intervalMs);
    };
    turn();
    return done;
  }

  stop(): void {
    for (const address of [...this.#running.keys()]) this.#end(address);
  }

  #end(address: Address): void {
    const run = this.#running.get(address);
    if (run === undefined) return;
    clearTimeout(run.timer);
    this.#running.delete(address);
    run.finish();
  }

  #sendBoth({ settings, clusterMac }: ServedVirtualIp, link: Link): void {
    for (const operation of Object.keys(arpOperations) as ArpOperation[]) {
      try {
        this.#send(link.ifindex, gratuitousArp(operation, ipv4Host(settings.address), clusterMac, link.mac));
      } catch (error) {
        // The interface may be down this moment: the address is served nonetheless.
        this.#log.warn(
          { vip: settings.address, nic: link.name, error: messageOf(error) },
          "the address could not be announced",
        );
      }
    }
  }
}
