/** The service manager's notification protocol, sd_notify(3); without a service manager nothing happens. */
import { messageOf } from "../core/errors.ts";
import type { NativeAddon } from "../native.ts";
import type { Log } from "./log.ts";

export interface NotifyEnvironment {
  readonly NOTIFY_SOCKET?: string | undefined;
  readonly WATCHDOG_USEC?: string | undefined;
  readonly WATCHDOG_PID?: string | undefined;
}

/** Signs of life are sent this many times in the time after which the service manager acts. */
const SIGNS_PER_TIMEOUT = 3;

export class ServiceManager {
  readonly #send: NativeAddon["sendDatagram"];
  readonly #log: Log;
  readonly #socket: string;
  readonly #watchdogMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    send: NativeAddon["sendDatagram"],
    log: Log,
    environment: NotifyEnvironment = process.env as NotifyEnvironment,
  ) {
    this.#send = send;
    this.#log = log;
    this.#socket = environment.NOTIFY_SOCKET ?? "";
    const isForUs =
      environment.WATCHDOG_PID === undefined || environment.WATCHDOG_PID === String(process.pid);
    const usec = Number(environment.WATCHDOG_USEC ?? 0);
    this.#watchdogMs = this.#socket !== "" && isForUs && usec > 0 ? usec / 1000 : undefined;
  }

  ready(status: string): void {
    this.#notify(`READY=1\nSTATUS=${status}`);
  }

  /** Followed by `ready` when it is over, whatever came of it. */
  reloading(): void {
    // MONOTONIC_USEC is for Type=notify-reload (systemd 253 and later).
    this.#notify(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}\nSTATUS=reloading`);
  }

  stopping(): void {
    this.#notify("STOPPING=1\nSTATUS=removing everything from the host");
  }

  /**
   * Sends signs of life as long as `whyStuck` finds nothing. A packet path that does not move
   * gets none, and the service manager then kills and restarts the daemon.
   */
  startWatchdog(whyStuck: () => Promise<string | undefined>, status: () => string): void {
    if (this.#watchdogMs === undefined) return;
    let isAsking = false;
    const beat = async (): Promise<void> => {
      // A packet path that does not answer is asked once, and not once more with every beat.
      if (isAsking) return;
      isAsking = true;
      const why = await whyStuck().finally(() => {
        isAsking = false;
      });
      if (why === undefined) this.#notify(`WATCHDOG=1\nSTATUS=${status()}`);
      else this.#log.error({ why }, "no sign of life for the service manager");
    };
    void beat();
    this.#timer = setInterval(() => void beat(), this.#watchdogMs / SIGNS_PER_TIMEOUT);
  }

  stopWatchdog(): void {
    clearInterval(this.#timer);
  }

  #notify(text: string): void {
    if (this.#socket === "") return;
    try {
      this.#send(this.#socket, text);
    } catch (error) {
      this.#log.warn({ error: messageOf(error) }, "the service manager could not be told");
    }
  }
}
