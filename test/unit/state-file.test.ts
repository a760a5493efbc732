/** What is saved for the next start of the daemon, and what that start makes of it. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ServedVirtualIp } from "../../src/daemon/resolve.ts";
import { restore } from "../../src/daemon/restore.ts";
import { forgetState, type SavedVirtualIp, StateFile } from "../../src/daemon/state-file.ts";
import { parseVirtualIp } from "../../src/settings/virtual-ip.ts";

const log = pino({ level: "silent" });
const MAC = "01:00:5e:00:00:01";

function served(over: Partial<ServedVirtualIp> = {}, localNode: readonly number[] = [1, 3]): ServedVirtualIp {
  const settings = parseVirtualIp({
    vip: "192.0.2.10",
    nic: "eth0",
    "total-nodes": 4,
    "local-node": localNode,
  });
  const { localNodes } = settings;
  return {
    settings,
    origin: "request",
    engine: "userspace",
    clusterMac: MAC,
    localNodes,
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
    new StateFile(socket, log).save([served({ localNodes: [2] })]);
    expect(new StateFile(socket, log).read()).toMatchObject([
      {
        settings: { vip: "192.0.2.10", nic: "eth0", totalNodes: 4, localNodes: [2], clusterMac: MAC },
        origin: "request",
        asked: [1, 3],
      },
    ]);
  });

  it("is written so that the resource agent finds a bucket without parsing JSON", () => {
    new StateFile(socket, log).save([served()]);
    const lines = readFileSync(path.join(directory, "control.state"), "utf8").split("\n");
    expect(lines[1]).toMatch(/^\{"vip":"192\.0\.2\.10","local-node":\[1,3\],/);
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
    expect(state.read()).toMatchObject([{ settings: { localNodes: [1] } }]);
    state.forgetReleases();
    expect(state.read()).toMatchObject([{ settings: { localNodes: [1, 3] } }]);
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

describe("a start", () => {
  const saved = (origin: "config" | "request", now: readonly number[], asked: readonly number[]) => {
    const { settings } = served({}, now);
    return { settings: { ...settings, clusterMac: MAC }, origin, asked } satisfies SavedVirtualIp;
  };
  const resolve = ({ settings, origin, asked }: SavedVirtualIp): ServedVirtualIp => ({
    ...served({ origin }, asked),
    localNodes: settings.localNodes,
  });
  const startWith = (configured: readonly ServedVirtualIp[], entries: readonly SavedVirtualIp[]) =>
    [
      ...restore(
        new Map(configured.map((entry) => [entry.settings.addressHost, entry])),
        entries,
        resolve,
        log,
      ).values(),
    ].map(({ localNodes, origin }) => [origin, localNodes.join()]);

  it("brings back what came by request", () => {
    expect(startWith([], [saved("request", [2, 3], [1])])).toEqual([["request", "2,3"]]);
  });

  it("leaves buckets where they were moved, when the configuration file asks for what it asked before", () => {
    const configured = served({ origin: "config" }, [1]);
    expect(startWith([configured], [saved("config", [2, 3], [1])])).toEqual([["config", "2,3"]]);
    // Another node has them, whatever MAC, interface or engine they would come back with here.
    const otherMac = served({ origin: "config", clusterMac: "01:00:5e:00:00:02" }, [1]);
    expect(startWith([otherMac], [saved("config", [2, 3], [1])])).toEqual([["config", "2,3"]]);
  });

  it("follows a configuration file that asks for something else", () => {
    const configured = served({ origin: "config" }, [4]);
    expect(startWith([configured], [saved("config", [2, 3], [1])])).toEqual([["config", "4"]]);
    const asBefore = served({ origin: "config" }, [1]);
    const otherHash = { ...asBefore, settings: { ...asBefore.settings, hashInit: 7 } };
    expect(startWith([otherHash], [saved("config", [2, 3], [1])])).toEqual([["config", "1"]]);
    expect(startWith([], [saved("config", [2, 3], [1])])).toEqual([]);
    expect(startWith([configured], [saved("request", [2], [2])])).toEqual([["config", "4"]]);
  });

  it("leaves out what no longer fits the host", () => {
    const failing = (): never => {
      throw new Error("no such interface");
    };
    expect([...restore(new Map(), [saved("request", [1], [1])], failing, log)]).toEqual([]);
  });
});
