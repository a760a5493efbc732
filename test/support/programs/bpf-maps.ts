/**
 * What bpf-maps.test.ts does on a host of the lab: bpf-maps COMMAND IFINDEX. Each command is a process of
 * its own that takes over the maps on the interface, as a daemon does that starts again, and prints JSON.
 *
 *     fill [clsact]   virtual IPs of one home, attached; some are judged and some of those removed again
 *     count           totals and virtual IPs
 *     attach          the same, and programs of this version in place
 *     churn           others come and go around the kept virtual IP for a while
 *     judge           frames to the kept virtual IP meanwhile; what became of them, and how often
 *     removed         detached after somebody else has removed the programs; what that failed with
 *     vanished        asked and detached after the interface has gone; what that failed with
 */
import { execFileSync } from "node:child_process";
import { xdpModes } from "../../../src/native.ts";
import { addressesOfOneHome, bucketFor, settingsFor, synTo } from "../bpf/maps.ts";
import { loadBpfTrial } from "../verdict/native-trial.ts";

const BUSY_MS = 2000;
const VIRTUAL_IPS = 40;
/** Not the first of its home: others come and go in front of it and behind it. */
const KEPT = 20;

const [, , command = "", ifindexText = "", clsact = ""] = process.argv;
const ifindex = Number(ifindexText);
const { addon, objectPath } = loadBpfTrial();
const dataplane = new addon.BpfDataplane(objectPath);
const isOtherLayout = await dataplane.prepare(ifindex);
const addresses = addressesOfOneHome(2 * VIRTUAL_IPS);
const kept = addresses[KEPT] ?? 0;

async function attach(): Promise<void> {
  await dataplane.attach(ifindex, xdpModes.indexOf("native"), clsact === "clsact");
}

async function count(): Promise<unknown> {
  const virtualIps: { addressHost: number; local: number; foreign: number }[] = [];
  for (const { addressHost } of await dataplane.virtualIps()) {
    const { local, foreign } = await dataplane.virtualIpCounters(addressHost);
    const framesOf = (tallies: typeof local): number => tallies.reduce((sum, { frames }) => sum + frames, 0);
    virtualIps.push({ addressHost, local: framesOf(local), foreign: framesOf(foreign) });
  }
  virtualIps.sort((a, b) => a.addressHost - b.addressHost);
  return { isOtherLayout, totals: await dataplane.nicCounters(), virtualIps };
}

async function fill(): Promise<unknown> {
  for (const address of addresses.slice(0, VIRTUAL_IPS)) await dataplane.setVirtualIp(settingsFor(address));
  await attach();
  for (const address of addresses.slice(0, VIRTUAL_IPS)) {
    for (let port = 1; port <= 20; port += 1) addon.testRun(dataplane, "tc", synTo(address, port));
  }
  const before = await count();
  for (const address of addresses.slice(0, 5)) await dataplane.removeVirtualIp(address);
  const removed = await count();
  // A slot that counted for another one.
  for (const address of addresses.slice(VIRTUAL_IPS, VIRTUAL_IPS + 2)) {
    await dataplane.setVirtualIp(settingsFor(address));
  }
  return { before, removed, after: await count() };
}

async function churn(): Promise<unknown> {
  const others = addresses.filter((address) => address !== kept);
  const isThere = new Set((await dataplane.virtualIps()).map(({ addressHost }) => addressHost));
  let changes = 0;
  for (const end = Date.now() + BUSY_MS; Date.now() < end; changes += 1) {
    const address = others[(changes * 7) % others.length] ?? 0;
    if (isThere.delete(address)) await dataplane.removeVirtualIp(address);
    else await dataplane.setVirtualIp(settingsFor(address));
    if (!isThere.has(address) && changes % 2 === 0) {
      await dataplane.setVirtualIp(settingsFor(address));
      isThere.add(address);
    }
  }
  return { changes };
}

/** A frame of another node's bucket: it is dropped if the virtual IP is found, and left alone if not. */
function judge(): unknown {
  let port = 1;
  while ([1, 3].includes(bucketFor(kept, port))) port += 1;
  const frame = synTo(kept, port);
  const actions: Record<string, number> = {};
  for (const end = Date.now() + BUSY_MS; Date.now() < end; ) {
    const action = actionOn(frame);
    actions[action] = (actions[action] ?? 0) + 1;
  }
  return actions;
}

/** The test run also reads the counters of all virtual IPs, and one of them may just go. */
function actionOn(frame: Buffer): number | string {
  try {
    return addon.testRun(dataplane, "tc", frame).action;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "unknown";
    throw error;
  }
}

/** The code of the error, undefined when there is none. */
async function failureOf(act: () => Promise<unknown>): Promise<unknown> {
  try {
    await act();
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}

const run = (command: string): unknown => execFileSync("sh", ["-ec", command]);

async function removed(): Promise<unknown> {
  await dataplane.setVirtualIp(settingsFor(kept));
  await attach();
  run("tc qdisc del dev eth0 clsact && ip link set dev eth0 xdpdrv off");
  const isJudging = await dataplane.isJudging();
  return { isJudging, detach: (await failureOf(() => dataplane.detach())) ?? "done" };
}

/** The test's interface of its own. */
async function vanished(): Promise<unknown> {
  await dataplane.setVirtualIp(settingsFor(kept));
  await attach();
  run("ip link del vanish0");
  return {
    isJudging: (await failureOf(() => dataplane.isJudging())) ?? "answered",
    detach: (await failureOf(() => dataplane.detach())) ?? "done",
  };
}

const commands: Readonly<Record<string, () => unknown>> = {
  fill,
  count,
  churn,
  judge,
  removed,
  vanished,
  attach: async () => {
    await attach();
    return count();
  },
};
console.log(JSON.stringify(await commands[command]?.()));
