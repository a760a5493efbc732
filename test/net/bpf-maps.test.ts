/**
 * The maps of engine "bpf": the table of virtual IPs at its worst, what is counted when virtual IPs and daemons come
 * and go, and maps of another version.
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { reasonCatalogue, reasonOf } from "../../src/core/verdict.ts";
import type { NativeBpfDataplane, Tally } from "../../src/native.ts";
import { describeBpf } from "../support/bpf/describe-bpf.ts";
import { type MapLayout, otherLayouts, programWith } from "../support/bpf/layouts.ts";
import { addressesOfOneHome, bucketFor, settingsFor, synTo } from "../support/bpf/maps.ts";
import type { Host } from "../support/lab/host.ts";
import { Lab } from "../support/lab/lab.ts";
import { supportProgram } from "../support/lab/paths.ts";
import { runChecked } from "../support/lab/processes.ts";
import { Random } from "../support/verdict/differential-frames.ts";
import { loadBpfTrial, type NativeBpfTrial } from "../support/verdict/native-trial.ts";

const LOOPBACK = 1;
const MAX_VIRTUAL_IPS = 256;
const CHANGES = 2000;
const SHOT = 2;

const testRun: NativeBpfTrial["testRun"] = (...args) => loadBpfTrial().addon.testRun(...args);

async function load(): Promise<NativeBpfDataplane> {
  const { addon, objectPath } = loadBpfTrial();
  const dataplane = new addon.BpfDataplane(objectPath);
  await dataplane.prepare(LOOPBACK);
  return dataplane;
}

/** Exactly these are found, each with its own settings. */
async function expectServed(
  dataplane: NativeBpfDataplane,
  served: ReadonlySet<number>,
  asked: readonly number[],
): Promise<void> {
  const wrong = asked.filter((address, index) => {
    const port = 1000 + index;
    const { reason, bucket } = testRun(dataplane, "tc", synTo(address, port));
    if (!served.has(address)) return reasonOf(reason) !== "other-address";
    return bucket !== bucketFor(address, port);
  });
  expect(wrong).toEqual([]);
  const listed = (await dataplane.virtualIps()).map(({ addressHost }) => addressHost);
  expect(listed.sort((a, b) => a - b)).toEqual([...served].sort((a, b) => a - b));
}

describeBpf("bpf: the table of virtual IPs", {}, () => {
  it("takes 256 that all belong into one place, and not one more", async () => {
    const dataplane = await load();
    const all = addressesOfOneHome(MAX_VIRTUAL_IPS + 50);
    const served = new Set(all.slice(0, MAX_VIRTUAL_IPS));
    for (const address of served) await dataplane.setVirtualIp(settingsFor(address));
    await expectServed(dataplane, served, all);
    const oneMore = all[MAX_VIRTUAL_IPS] ?? 0;
    await expect(dataplane.setVirtualIp(settingsFor(oneMore))).rejects.toThrow("No space left on device");
    // A known one has its place.
    await dataplane.setVirtualIp(settingsFor(all[MAX_VIRTUAL_IPS - 1] ?? 0));
    for (const address of all.filter((_, index) => index % 3 === 0)) {
      await dataplane.removeVirtualIp(address);
      served.delete(address);
    }
    await expectServed(dataplane, served, all);
    for (const address of all.slice(-50)) {
      await dataplane.setVirtualIp(settingsFor(address));
      served.add(address);
    }
    await expectServed(dataplane, served, all);
    for (const address of served) await dataplane.removeVirtualIp(address);
    await expectServed(dataplane, new Set(), all.slice(0, 20));
  });

  it(`finds what is there after each of ${CHANGES} changes`, async () => {
    const dataplane = await load();
    const random = new Random(20_261_120);
    const ofOneHome = addressesOfOneHome(40);
    // Their neighbours' homes are anywhere: chains run into each other.
    const pool: [number, ...number[]] = [0x0b000000];
    pool.push(...ofOneHome.flatMap((address) => [address, address + 1, address + 2]));
    const served = new Set<number>();
    for (let change = 1; change <= CHANGES; change += 1) {
      const address = random.pick(pool);
      if (served.delete(address)) {
        await dataplane.removeVirtualIp(address);
      } else {
        await dataplane.setVirtualIp(settingsFor(address));
        served.add(address);
      }
      if (change % 200 === 0) await expectServed(dataplane, served, pool);
    }
  });

  it("0.0.0.0 and 255.255.255.255 are addresses like others", async () => {
    const dataplane = await load();
    const special = [0, 0xffffffff];
    await expectServed(dataplane, new Set(), special);
    for (const address of special) await dataplane.setVirtualIp(settingsFor(address));
    await expectServed(dataplane, new Set(special), special);
    for (const address of special) await dataplane.removeVirtualIp(address);
    await expectServed(dataplane, new Set(), special);
  });
});

interface Counted {
  readonly isOtherLayout: boolean;
  readonly totals: readonly Tally[];
  readonly virtualIps: readonly { addressHost: number; local: number; foreign: number }[];
}

describeBpf("bpf: maps that are taken over", { tools: ["tc", "clang"] }, () => {
  let lab: Lab;
  let node: Host;
  let ifindex: number;

  beforeEach(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    ifindex = await indexOf("eth0");
  });
  afterEach(() => lab.close());

  async function indexOf(device: string): Promise<number> {
    const [link] = JSON.parse(await node.ip("-json", "link", "show", device)) as { ifindex: number }[];
    return link?.ifindex ?? 0;
  }

  async function run<T>(command: string, ...options: string[]): Promise<T> {
    const output = await node.exec([
      process.execPath,
      supportProgram("bpf-maps"),
      command,
      String(ifindex),
      ...options,
    ]);
    return JSON.parse(output) as T;
  }

  const withBucket = ({ totals }: Counted): unknown =>
    (["local-bucket", "foreign-bucket"] as const).map((reason) => totals[reasonCatalogue[reason].number]);

  for (const way of ["tcx", "clsact"]) {
    it(`the totals lose nothing with a virtual IP or a daemon (${way})`, async () => {
      const { before, removed, after } = await run<{ before: Counted; removed: Counted; after: Counted }>(
        "fill",
        way,
      );
      expect(before.virtualIps).toHaveLength(40);
      expect(before.virtualIps.map(({ local, foreign }) => local + foreign)).toEqual(Array(40).fill(20));
      const sumOf = (name: "local" | "foreign"): number =>
        before.virtualIps.reduce((sum, virtualIp) => sum + virtualIp[name], 0);
      expect(withBucket(before)).toEqual([
        { frames: sumOf("local"), bytes: 60 * sumOf("local") },
        { frames: sumOf("foreign"), bytes: 60 * sumOf("foreign") },
      ]);
      expect(removed.virtualIps).toHaveLength(35);
      expect(withBucket(removed)).toEqual(withBucket(before));
      expect(withBucket(after)).toEqual(withBucket(before));
      const fresh = after.virtualIps.filter(({ local, foreign }) => local + foreign === 0);
      expect(fresh).toHaveLength(2);
      const adopted = await run<Counted>("count");
      expect(adopted.virtualIps).toEqual(after.virtualIps);
      expect(withBucket(adopted)).toEqual(withBucket(after));
      if (way !== "clsact") return;
      // The XDP program alone knows the maps too.
      await node.exec(["tc", "qdisc", "del", "dev", "eth0", "clsact"]);
      expect((await run<Counted>("count")).virtualIps).toEqual(after.virtualIps);
    });
  }

  it("programs that somebody else has removed are no error when they shall go", async () => {
    expect(await run("removed", "clsact")).toEqual({ isJudging: false, detach: "done" });
  });

  for (const way of ["tcx", "clsact"]) {
    it(`an interface that has gone is told apart from programs that have (${way})`, async () => {
      await node.ip("link", "add", "vanish0", "type", "veth", "peer", "name", "vanish1");
      ifindex = await indexOf("vanish0");
      expect(await run("vanished", way)).toEqual({ isJudging: "ENODEV", detach: "done" });
    });
  }

  it("one that stays is found at any moment while others come and go", async () => {
    await run("fill");
    const [{ changes }, actions] = await Promise.all([
      run<{ changes: number }>("churn"),
      run<Record<string, number>>("judge"),
    ]);
    expect(changes).toBeGreaterThan(500);
    const { [SHOT]: dropped = 0, unknown: _, ...others } = actions;
    expect(others).toEqual({});
    expect(dropped).toBeGreaterThan(100);
  });

  it.each(Object.keys(otherLayouts))("maps of %s are not read, and the program is replaced", async (name) => {
    const object = await compileWith(otherLayouts[name] ?? []);
    await node.exec(["tc", "qdisc", "add", "dev", "eth0", "clsact"]);
    const filter = ["handle", "0xc1", "bpf", "da", "obj", object, "sec", "tc"];
    await node.exec(["tc", "filter", "add", "dev", "eth0", "ingress", "prio", "1", ...filter]);
    const programs = (): Promise<string> => node.exec(["tc", "filter", "show", "dev", "eth0", "ingress"]);
    const old = await programs();
    expect(old).toContain("clusterip_tc");
    expect(await run<Counted>("count")).toMatchObject({ isOtherLayout: true, virtualIps: [] });
    await run("attach", "clsact");
    expect(await run<Counted>("count")).toMatchObject({ isOtherLayout: false });
    const replaced = await programs();
    expect(replaced).toContain("clusterip_tc");
    expect(replaced).not.toBe(old);
  });

  /** A program of ours by its name, with other maps. */
  async function compileWith(maps: readonly MapLayout[]): Promise<string> {
    const source = path.join(lab.directoryOf(node), "old.c");
    const object = path.join(lab.directoryOf(node), "old.o");
    writeFileSync(source, programWith(maps));
    await runChecked(["clang", "-g", "-O2", "-target", "bpf", "-c", source, "-o", object]);
    return object;
  }
});
