/** What is saved for the next start of the daemon, and what that start makes of it. */
import { execFileSync } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClusterIpError } from "../../src/core/errors.ts";
import type { ServedVirtualIp } from "../../src/daemon/asked.ts";
import { restore } from "../../src/daemon/restore.ts";
import { forgetState, type SavedVirtualIp, StateFile, savedTraces } from "../../src/daemon/state-file.ts";
import { parseIpv4Address } from "../../src/model/address.ts";
import { toClusterMac } from "../../src/model/mac.ts";
import type { VirtualIp } from "../../src/model/virtual-ip.ts";
import { packageRoot } from "../../src/package.ts";
import { parseVirtualIp } from "../../src/settings/virtual-ip.ts";

const log = pino({ level: "silent" });
const MAC = toClusterMac("01:00:5e:00:00:01");

function served(over: Partial<ServedVirtualIp> = {}, localNode: readonly number[] = [1, 3]): ServedVirtualIp {
  const settings = parseVirtualIp({
    vip: "192.0.2.10",
    nic: "eth0",
    "total-nodes": 4,
    "local-node": localNode,
  });
  const { localBuckets } = settings;
  return {
    settings,
    origin: "request",
    engine: "userspace",
    clusterMac: MAC,
    localBuckets,
    isAdopted: false,
    ...over,
  };
}

let directory = "";
let socket = "";

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "clusteripd-state-"));
  socket = path.join(directory, "control.sock");
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("the state file", () => {
  it("gives back what was saved, the cluster MAC as it was", () => {
    new StateFile(socket, log).save([served({ localBuckets: [2] })]);
    expect(new StateFile(socket, log).read()).toMatchObject([
      {
        settings: { address: "192.0.2.10", nic: "eth0", bucketCount: 4, localBuckets: [2], clusterMac: MAC },
        origin: "request",
        asked: [1, 3],
      },
    ]);
  });

  it("gives back what waits, with the buckets that were moved meanwhile, and whose an address is", () => {
    const { settings } = served();
    const why = new ClusterIpError("CLUSTERIP_NO_NIC", "There is no interface eth0.");
    const other = served({ isAdopted: true });
    const adopted = { ...other, settings: { ...other.settings, address: parseIpv4Address("192.0.2.11") } };
    const state = new StateFile(socket, log);
    state.save([adopted], [{ settings, origin: "config", localBuckets: [2], why }]);
    expect(state.read()).toMatchObject([
      { settings: { address: "192.0.2.11" }, isAdopted: true },
      {
        settings: { address: "192.0.2.10", localBuckets: [2] },
        origin: "config",
        asked: [1, 3],
        isWaiting: true,
      },
    ]);
    // None of the two is ours to remove: the second may be the host's own, which is why it waits.
    expect(savedTraces(socket).addresses).toEqual(new Map());
    state.save([served()]);
    expect(savedTraces(socket).addresses).toEqual(new Map([["192.0.2.10", "eth0"]]));
  });

  it("is written so that the resource agent finds a bucket without parsing JSON", () => {
    new StateFile(socket, log).save([served()]);
    const lines = readFileSync(path.join(directory, "control.state"), "utf8").split("\n");
    expect(lines[1]).toMatch(/^\{"vip":"192\.0\.2\.10","local-node":\[1,3\],/);
    // Another daemon may read it: the one before this one, or the one after.
    expect(lines[1]).toBe(
      `{"vip":"192.0.2.10","local-node":[1,3],"nic":"eth0","total-nodes":4,"hashmode":"sourceip-sourceport","clustermac":"${MAC}","hash-init":0,"engine":"auto","origin":"request","asked":[1,3],"adopted":false}`,
    );
  });

  it("says the buckets once more in words, for the agent, and reads them as nothing of its own", () => {
    const { settings } = served();
    const why = new ClusterIpError("CLUSTERIP_NO_NIC", "There is no interface eth0.");
    const waits = { ...settings, address: parseIpv4Address("192.0.2.11") };
    const state = new StateFile(socket, log);
    state.save(
      [served({ localBuckets: [] })],
      [{ settings: waits, origin: "config", localBuckets: [2, 4], why }],
    );
    const lines = readFileSync(state.path, "utf8").trimEnd().split("\n");
    expect(lines.slice(3)).toEqual([
      "buckets 192.0.2.10 4 sourceip-sourceport 0",
      "buckets 192.0.2.11 4 sourceip-sourceport 0 2 4",
    ]);
    const said: string[] = [];
    const telling = pino({}, { write: (line: string) => said.push(line) });
    expect(new StateFile(socket, telling).read()).toHaveLength(2);
    expect(said).toEqual([]);
  });

  describe("is read by the resource agent", () => {
    const agent = readFileSync(path.join(packageRoot(), "packaging/ocf/ClusterIP"), "utf8");
    const functions = ["is_saved", "is_same", "is_saved_by_earlier", "has"].map(
      (name) => new RegExp(`^${name}\\(\\) \\{\\n.*?^\\}\\n`, "ms").exec(agent)?.[0] ?? expect.fail(name),
    );
    const parameters = {
      ip: "192.0.2.10",
      CRM_meta_clone_max: "4",
      clusterip_hash: "sourceip-sourceport",
      hash_init: "0",
    };

    function isSaved(node: number, given: Partial<typeof parameters> = {}): boolean {
      const env = Object.fromEntries(
        Object.entries({ ...parameters, ...given }).map(([name, value]) => [`OCF_RESKEY_${name}`, value]),
      );
      const script = `STATE=$1 NODE=$2\n${functions.join("\n")}\nis_saved && echo yes || echo no`;
      const state = path.join(directory, "control.state");
      const said = execFileSync("sh", ["-c", script, "sh", state, String(node)], { env, encoding: "utf8" });
      return said === "yes\n";
    }

    const asNow = (): void => new StateFile(socket, log).save([served()]);
    const asBefore = (): void => {
      asNow();
      const file = path.join(directory, "control.state");
      const lines = readFileSync(file, "utf8").split("\n");
      writeFileSync(file, lines.filter((line) => !line.startsWith("buckets")).join("\n"));
    };

    it.each([
      ["of this version", asNow],
      ["of an earlier version, which had JSON alone", asBefore],
    ])("%s", (_, save) => {
      expect(isSaved(1)).toBe(false);
      save();
      expect([1, 2, 3, 4].map((node) => isSaved(node))).toEqual([true, false, true, false]);
      expect(isSaved(1, { ip: "192.0.2.1" })).toBe(false);
      expect(isSaved(1, { CRM_meta_clone_max: "5" })).toBe(false);
      expect(isSaved(1, { clusterip_hash: "sourceip" })).toBe(false);
      expect(isSaved(1, { hash_init: "7" })).toBe(false);
      // Not to be sure means yes.
      expect(isSaved(1, { CRM_meta_clone_max: "", hash_init: "0x0" })).toBe(true);
    });

    it("in words first, where both are there", () => {
      asNow();
      const file = path.join(directory, "control.state");
      writeFileSync(file, readFileSync(file, "utf8").replace(/0 1 3\n$/, "0 3\n"));
      expect([isSaved(1), isSaved(3)]).toEqual([false, true]);
    });
  });

  it("of another boot is not used", () => {
    new StateFile(socket, log, "one").save([served()]);
    expect(new StateFile(socket, log, "two").read()).toEqual([]);
    expect(new StateFile(socket, log, "one").read()).toHaveLength(1);
  });

  it("leaves out what was released while no daemon ran, until that is forgotten", () => {
    const state = new StateFile(socket, log);
    state.save([served()]);
    writeFileSync(path.join(directory, "control.released.192.0.2.10.3"), "");
    writeFileSync(path.join(directory, "control.released.192.0.2.11.1"), "");
    expect(state.read()).toMatchObject([{ settings: { localBuckets: [1] } }]);
    state.forgetReleases();
    expect(state.read()).toMatchObject([{ settings: { localBuckets: [1, 3] } }]);
    expect(readdirSync(directory)).toEqual(["control.state"]);
  });

  it("skips a damaged line and keeps the others", () => {
    const state = new StateFile(socket, log);
    state.save([served()]);
    writeFileSync(state.path, `${readFileSync(state.path, "utf8")}{"vip":\n`);
    expect(state.read()).toHaveLength(1);
    writeFileSync(state.path, "no JSON at all");
    expect(state.read()).toEqual([]);
  });

  it("refuses with a sentence where it cannot be written, and the old one stays", () => {
    const state = new StateFile(socket, log);
    state.save([served()]);
    const before = readFileSync(state.path, "utf8");
    // As a full disk does: the new file cannot be made.
    mkdirSync(`${state.path}.new`);
    mkdirSync(path.join(`${state.path}.new`, "in the way"));
    expect(() => state.save([])).toThrow(
      expect.objectContaining({
        code: "CLUSTERIP_STATE",
        message: expect.stringContaining("could not be saved"),
      }),
    );
    expect(readFileSync(state.path, "utf8")).toBe(before);
  });

  it("is forgotten with the releases beside it", () => {
    new StateFile(socket, log).save([served()]);
    writeFileSync(path.join(directory, "control.released.192.0.2.10.3"), "");
    expect(forgetState(socket)).toHaveLength(2);
    expect(readdirSync(directory)).toEqual([]);
    expect(forgetState(socket)).toEqual([]);
  });
});

const isRoot = process.geteuid?.() === 0;
const NOBODY = 65_534;

describe("the state file in a place where others may write", () => {
  it("is a new file: a link of that name is not followed", () => {
    const victim = path.join(directory, "victim");
    writeFileSync(victim, "precious");
    const state = new StateFile(socket, log);
    symlinkSync(victim, `${state.path}.new`);
    state.save([served()]);
    expect(readFileSync(victim, "utf8")).toBe("precious");
    expect(state.read()).toHaveLength(1);
  });

  it("has notes of the agent beside it that are not written through a link", () => {
    const agent = readFileSync(path.join(packageRoot(), "packaging/ocf/ClusterIP"), "utf8");
    const line =
      agent.split("\n").find((text) => text.includes('>"$RELEASED"')) ?? expect.fail("no note is written");
    const note = path.join(directory, "control.released.192.0.2.10.3");
    const write = (): string =>
      execFileSync("sh", ["-c", `log() { echo "$@"; }; RELEASED=$1; ${line}`, "sh", note], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
    const victim = path.join(directory, "victim");
    symlinkSync(victim, note);
    expect(write()).toContain("could not be written");
    expect(existsSync(victim)).toBe(false);
    writeFileSync(victim, "precious");
    write();
    expect(readFileSync(victim, "utf8")).toBe("precious");
    rmSync(note);
    expect(write()).toBe("");
    expect(write()).toBe("");
    expect(readFileSync(note, "utf8")).toBe("");
  });

  it("is not believed as a link, a FIFO, or larger than it can be", () => {
    const state = new StateFile(socket, log);
    state.save([served()]);
    const whole = readFileSync(state.path, "utf8");
    const elsewhere = path.join(directory, "elsewhere");
    renameSync(state.path, elsewhere);
    symlinkSync(elsewhere, state.path);
    expect(state.read()).toEqual([]);
    rmSync(state.path);
    // Nobody ever writes to it.
    execFileSync("mkfifo", [state.path]);
    expect(state.read()).toEqual([]);
    rmSync(state.path);
    writeFileSync(state.path, `${whole}${"\n".repeat(5_000_000)}`);
    expect(state.read()).toEqual([]);
  });

  it.skipIf(!isRoot)("is not believed when it is another user's, nor are the notes (needs root)", () => {
    const state = new StateFile(socket, log);
    state.save([served()]);
    const note = path.join(directory, "control.released.192.0.2.10.3");
    writeFileSync(note, "");
    chownSync(note, NOBODY, NOBODY);
    expect(state.read()).toMatchObject([{ settings: { localBuckets: [1, 3] } }]);
    chownSync(state.path, NOBODY, NOBODY);
    expect(state.read()).toEqual([]);
  });
});

describe("a start", () => {
  const saved = (origin: "config" | "request", now: readonly number[], asked: readonly number[]) => {
    const { settings } = served({}, now);
    return {
      ...{ settings: { ...settings, clusterMac: MAC }, origin, asked, isAdopted: false, isWaiting: false },
    } satisfies SavedVirtualIp;
  };
  const asks = (localBuckets: readonly number[], over: Partial<VirtualIp> = {}): VirtualIp => ({
    ...{ ...served({}, localBuckets).settings, ...over },
  });
  const startWith = (configured: readonly VirtualIp[], entries: readonly SavedVirtualIp[]) =>
    [...restore(configured, entries).values()].map(({ localBuckets, origin }) => [
      origin,
      localBuckets.join(),
    ]);

  it("brings back what came by request, with the buckets that it had and those that it began with", () => {
    expect(startWith([], [saved("request", [2, 3], [1])])).toEqual([["request", "2,3"]]);
    const [back] = restore([], [saved("request", [2, 3], [1])]).values();
    expect(back?.settings).toMatchObject({ localBuckets: [1], clusterMac: MAC });
  });

  it("knows what was served on the same interface, also where others had set its address", () => {
    const wasServed = (entry: SavedVirtualIp, configured: readonly VirtualIp[]) =>
      [...restore(configured, [entry]).values()].map((asked) => asked.wasServed === true);
    const entry = saved("config", [1], [1]);
    for (const isAdopted of [true, false]) {
      expect(wasServed({ ...entry, isAdopted }, [asks([1])])).toEqual([true]);
      expect(wasServed({ ...entry, isAdopted }, [asks([4])])).toEqual([true]);
    }
    expect(wasServed({ ...entry, origin: "request" }, [])).toEqual([true]);
    expect(wasServed(entry, [asks([1], { nic: "eth1" })])).toEqual([false]);
    expect(wasServed({ ...entry, isWaiting: true }, [asks([1])])).toEqual([false]);
  });

  it("leaves buckets where they were moved, when the configuration file asks for what it asked before", () => {
    expect(startWith([asks([1])], [saved("config", [2, 3], [1])])).toEqual([["config", "2,3"]]);
    // Another node has them, whatever MAC, interface or engine they would come back with here.
    const otherMac = asks([1], { clusterMac: toClusterMac("01:00:5e:00:00:02") });
    expect(startWith([otherMac], [saved("config", [2, 3], [1])])).toEqual([["config", "2,3"]]);
  });

  it("follows a configuration file that asks for something else", () => {
    expect(startWith([asks([4])], [saved("config", [2, 3], [1])])).toEqual([["config", "4"]]);
    expect(
      startWith(
        [asks([1], { hash: { family: "jhash", words: "sourceip-sourceport", seed: 7 } })],
        [saved("config", [2, 3], [1])],
      ),
    ).toEqual([["config", "1"]]);
    expect(startWith([], [saved("config", [2, 3], [1])])).toEqual([]);
    expect(startWith([asks([4])], [saved("request", [2], [2])])).toEqual([["config", "4"]]);
  });
});
