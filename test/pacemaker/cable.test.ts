/** A cable pulled from the interface that clients use while corosync has another: Pacemaker sees it by the monitor alone. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeNet } from "../support/lab/describe-net.ts";
import { NODES, PacemakerCluster, SERVICE_SOURCES, SERVICE_VIP } from "../support/pacemaker/cluster.ts";
import { configuration } from "../support/pacemaker/events.ts";
import { Pings } from "../support/pacemaker/pings.ts";

const TOTAL = 3;
const LIMIT_MS = 300_000;
/** Shorter than what is documented, which a test would wait for. */
const FAILURE_TIMEOUT_S = 15;

describeNet("pacemaker, a cable", { tools: ["corosync", "pacemakerd", "crm", "ping", "perl"] }, () => {
  let cluster: PacemakerCluster;

  beforeAll(async () => {
    cluster = await PacemakerCluster.up();
    cluster.vip = SERVICE_VIP;
    const parameters = `ip=${SERVICE_VIP} cidr_netmask=24 nic=eth1`;
    await cluster.configure(configuration(TOTAL, { parameters, failureTimeout: FAILURE_TIMEOUT_S }));
    await cluster.level(NODES, TOTAL);
  }, LIMIT_MS);
  afterAll(() => cluster?.downNow(), LIMIT_MS);

  it(
    "its buckets go elsewhere, stay answered while it is out, and come back without a hand",
    async () => {
      const pings = new Pings((argv) => cluster.insideClient(argv), SERVICE_SOURCES, SERVICE_VIP);
      await sleep(1000);
      const outMs = Date.now();
      await cluster.command(["cable", "3", "out"]);
      const pulledMs = Date.now();
      await cluster.level([1, 2], TOTAL);
      await pings.answered();
      // Once at least Pacemaker forgets the failure and tries again.
      await sleep(2 * FAILURE_TIMEOUT_S * 1000);
      const inMs = Date.now();
      await cluster.command(["cable", "3", "in"]);
      await cluster.level(NODES, TOTAL);
      const backMs = Date.now();
      await pings.answered();
      await sleep(1000);
      const record = await pings.stop();
      const outages = record.outages(outMs, inMs, TOTAL);
      const first = outages.filter(({ fromMs }) => fromMs < pulledMs + 1000);
      const moved = Math.max(...first.map(({ fromMs, toMs }) => toMs - fromMs)) / 1000;
      const later = outages.filter((outage) => !first.includes(outage));
      const longest = Math.max(0, ...later.map(({ fromMs, toMs }) => toMs - fromMs)) / 1000;
      process.stdout.write(
        `cable out: ${moved.toFixed(2)} s unanswered; tried again meanwhile: ${later.length} gaps, the longest ` +
          `${longest.toFixed(2)} s; back ${((backMs - inMs) / 1000).toFixed(1)} s after the cable\n`,
      );
      expect(first.length).toBeGreaterThan(0);
      expect(record.count(0, Number.MAX_SAFE_INTEGER).doubled).toBe(0);
    },
    LIMIT_MS,
  );
});
