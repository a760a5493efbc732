/** What is in force, what readers are told of it, and what is saved. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type Asked, nothingAsked, type ServedVirtualIp, withAsked } from "../../src/daemon/asked.ts";
import { Ownership } from "../../src/daemon/ownership.ts";
import { StateFile } from "../../src/daemon/state-file.ts";
import { toClusterMac } from "../../src/model/mac.ts";
import { parseVirtualIp } from "../../src/settings/virtual-ip.ts";

const log = pino({ level: "silent" });

function serving(vip: string): ServedVirtualIp {
  const settings = parseVirtualIp({ vip, nic: "eth0", "total-nodes": 2, "local-node": [1] });
  const { localBuckets } = settings;
  const clusterMac = toClusterMac("01:00:5e:00:00:01");
  return { settings, origin: "request", engine: "userspace", clusterMac, localBuckets, isAdopted: false };
}

const one = withAsked(nothingAsked, serving("192.0.2.10"));
const two = withAsked(one, serving("192.0.2.11"));

let directory = "";
let state: StateFile;
let ownership: Ownership;

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "clusteripd-ownership-"));
  state = new StateFile(path.join(directory, "control.sock"), log);
  ownership = new Ownership(state, log);
  ownership.set(one);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** What readers are told in the middle of a change that ends in this way, and at its end. */
async function toldOf(change: () => Promise<void>): Promise<{ during: Asked; atEnd: Asked | undefined }> {
  let during: Asked = nothingAsked;
  let atEnd: Asked | undefined;
  const whenTold = (): void => {
    atEnd = ownership.told;
  };
  await ownership
    .untold(async () => {
      await change();
      during = ownership.told;
    }, whenTold)
    .catch(() => {});
  return { during, atEnd };
}

it("is told at once where no change is under way", () => {
  expect(ownership.told).toBe(one);
});

it("is told when the change is over, not when the first part of it is in force", async () => {
  const { during, atEnd } = await toldOf(async () => ownership.set(two));
  expect([during, atEnd, ownership.told]).toEqual([one, two, two]);
});

it("of a change that fails it is told what is in force then", async () => {
  const failing = async (): Promise<void> => {
    ownership.set(two);
    ownership.set(one);
    throw new Error("refused");
  };
  expect((await toldOf(failing)).atEnd).toBe(one);
  ownership.set(two);
  expect(ownership.told).toBe(two);
});

it("a note of a release that cannot be removed keeps nothing from being served", () => {
  state.forgetReleases = () => {
    throw new Error("EPERM");
  };
  ownership.saveAtStart();
  expect(state.read().map(({ settings }) => settings.address)).toEqual(["192.0.2.10"]);
});

it("is saved again only where it is not what is saved: after a repair, or when a bridge was changed", () => {
  const saved = (): readonly string[] => state.read().map(({ settings }) => settings.address);
  ownership.save(one);
  ownership.set(two);
  ownership.saveIfChanged();
  expect(saved()).toEqual(["192.0.2.10", "192.0.2.11"]);
  rmSync(path.join(directory, "control.state"));
  ownership.saveIfChanged();
  expect(saved()).toEqual([]);
  ownership.bridges = new Map([["br0", 1]]);
  ownership.saveIfChanged();
  expect(saved()).toEqual(["192.0.2.10", "192.0.2.11"]);
});
