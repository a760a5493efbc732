/** What the service manager is told, and that a stuck packet path stops the signs of life. */
import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ServiceManager } from "../../src/daemon/sd-notify.ts";

const log = pino({ level: "silent" });
let sent: string[] = [];
const send = (path: string, text: string): void => {
  sent.push(`${path} ${text}`);
};

beforeEach(() => {
  sent = [];
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

it("says nothing without a service manager", () => {
  const manager = new ServiceManager(send, log, {});
  manager.ready("serving");
  manager.startWatchdog(
    async () => undefined,
    () => "serving",
  );
  manager.stopping();
  expect(sent).toEqual([]);
});

it("says ready, reloading and stopping", () => {
  const manager = new ServiceManager(send, log, { NOTIFY_SOCKET: "@here" });
  manager.ready("serving 192.0.2.1 (1)");
  manager.reloading();
  manager.stopping();
  expect(sent[0]).toBe("@here READY=1\nSTATUS=serving 192.0.2.1 (1)");
  expect(sent[1]).toMatch(/^@here RELOADING=1\nMONOTONIC_USEC=\d+\n/);
  expect(sent[2]).toMatch(/^@here STOPPING=1\n/);
});

it("sends three signs of life in the time of the watchdog, as long as the packet path moves", async () => {
  const manager = new ServiceManager(send, log, {
    NOTIFY_SOCKET: "/run/notify",
    WATCHDOG_USEC: "9000000",
    WATCHDOG_PID: String(process.pid),
  });
  let why: string | undefined;
  manager.startWatchdog(
    async () => why,
    () => "serving",
  );
  await vi.advanceTimersByTimeAsync(9000);
  expect(sent).toHaveLength(4);
  expect(sent[3]).toBe("/run/notify WATCHDOG=1\nSTATUS=serving");
  why = "the packet path does not answer";
  await vi.advanceTimersByTimeAsync(9000);
  expect(sent).toHaveLength(4);
  manager.stopWatchdog();
});

it("a watchdog for another process is none of ours", () => {
  const environment = { NOTIFY_SOCKET: "/run/notify", WATCHDOG_USEC: "9000000", WATCHDOG_PID: "1" };
  new ServiceManager(send, log, environment).startWatchdog(
    async () => undefined,
    () => "serving",
  );
  expect(sent).toEqual([]);
});
