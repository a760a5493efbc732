/**
 * A removal ends with nothing left, whatever else happens to the addresses meanwhile: others take the mark off them, put
 * their own in their place, or remove one while the daemon removes the rest.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { statusOf } from "../support/daemon/api.ts";
import {
  clusterip,
  type Daemon,
  recover,
  startDaemon,
  type VirtualIpConfig,
  writeConfig,
} from "../support/daemon/daemon.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { devicesOf, snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { answersPing, pings } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const LOCAL: VirtualIpConfig = { "total-nodes": 2, "local-node": [1, 2] };
const MARK = "metric 52467";

describeNet("daemon: removal", { tools: ["ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let client: Host;
  let before: string;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    client = lab.client();
    before = await snapshot(node);
  });
  afterAll(() => lab.close());
  afterEach(() => recover(lab, node));

  const start = (vips: VirtualIpConfig[] = [LOCAL], env?: Record<string, string>): Promise<Daemon> =>
    startDaemon(lab, node, { vips, ...(env === undefined ? {} : { env }) });
  const lines = async (): Promise<string[]> =>
    (await node.ip("-o", "addr", "show")).split("\n").filter((line) => line.includes(`${lab.vip}/32`));
  /** Somebody takes our mark off every address that we have for the virtual IP. */
  const unmark = async (): Promise<void> => {
    for (const device of await devicesOf(node, lab.vip)) {
      await node.ip("addr", "change", `${lab.vip}/32`, "dev", device, "metric", "7");
    }
  };
  const isMarked = async (): Promise<void> => {
    const found = await lines();
    expect(found).not.toEqual([]);
    for (const line of found) expect(line).toContain(MARK);
  };

  it("an address whose mark is taken off is marked again, and goes with the daemon", async () => {
    const daemon = await start();
    await unmark();
    await until(isMarked);
    await answersPing(client, lab.vip);
    await until(async () => expect((await statusOf(daemon)).problems).toEqual([]));
    expect(await daemon.kill()).toEqual({ code: 0, signal: null });
    expect(await snapshot(node)).toBe(before);
  });

  it("somebody's own address in the place of ours becomes ours", async () => {
    const daemon = await start();
    for (const device of await devicesOf(node, lab.vip)) {
      // In one step, so that ours cannot be put back in between.
      const change = `address del ${lab.vip}/32 dev ${device}\naddress add ${lab.vip}/32 dev ${device}\n`;
      await node.exec(["ip", "-batch", "-"], { input: change });
    }
    await until(isMarked);
    await until(async () => expect((await statusOf(daemon)).problems).toEqual([]));
    expect(await daemon.kill()).toEqual({ code: 0, signal: null });
    expect(await snapshot(node)).toBe(before);
  });

  it("kill -9, and the mark is taken off: a clean-up and a new start know it as ours all the same", async () => {
    await (await start()).kill("SIGKILL");
    await unmark();
    const second = await start();
    await isMarked();
    await second.kill("SIGKILL");
    await unmark();
    expect(await clusterip(lab, node, ["cleanup", "--keep-state"])).toMatchObject({ status: 0, stderr: "" });
    expect(await snapshot(node)).toBe(before);
  });

  it("an address of somebody else that its owner removes is needed all the same, and ours from then on", async () => {
    await node.ip("addr", "add", `${lab.vip}/32`, "dev", "eth0");
    const daemon = await start([{ ...LOCAL, clustermac: "01:00:5e:00:00:22" }]);
    await answersPing(client, lab.vip);
    await node.ip("addr", "del", `${lab.vip}/32`, "dev", "eth0");
    await until(async () => expect(await pings(client, lab.vip, 2)).toBe(true));
    await until(isMarked);
    expect(await daemon.kill()).toEqual({ code: 0, signal: null });
    expect(await snapshot(node)).toBe(before);
  });

  const MANY = Array.from({ length: 20 }, (_, index) => `10.77.0.${101 + index}`);

  /** An `ip` that removes one of the addresses itself, just when the daemon removes them all. */
  async function withMeddler(): Promise<Record<string, string>> {
    const bin = path.join(lab.directory, "meddling");
    mkdirSync(bin, { recursive: true });
    const real = (await node.exec(["sh", "-c", "command -v ip"])).trim();
    const script = `#!/bin/sh
case " $* " in *" -batch "*) ;; *) exec ${real} "$@" ;; esac
input=$(cat)
echo "$input" | sed -n 's/^address del ${MANY[7]}/&/p' | while read -r line; do ${real} $line; done
echo "$input" | ${real} "$@"
`;
    writeFileSync(path.join(bin, "ip"), script, { mode: 0o755 });
    return { PATH: `${bin}:${process.env["PATH"]}` };
  }

  it("SIGTERM while somebody removes one of twenty", async () => {
    const daemon = await start(
      MANY.map((vip) => ({ ...LOCAL, vip })),
      await withMeddler(),
    );
    await answersPing(client, MANY[19] ?? "");
    expect(await daemon.kill()).toEqual({ code: 0, signal: null });
    expect(await snapshot(node)).toBe(before);
  });

  it("a reload without twenty while somebody removes one of them", async () => {
    const daemon = await start([LOCAL, ...MANY.map((vip) => ({ ...LOCAL, vip }))], await withMeddler());
    const alone = await snapshotWith([LOCAL], daemon);
    expect(alone).not.toMatch(/10\.77\.0\.1[0-2][1-9]/);
    await answersPing(client, lab.vip);
    expect((await statusOf(daemon)).problems).toEqual([]);
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
  });

  async function snapshotWith(vips: VirtualIpConfig[], daemon: Daemon): Promise<string> {
    writeConfig(lab, node, vips);
    daemon.signal("SIGHUP");
    await until(async () => expect((await statusOf(daemon)).virtualIps).toHaveLength(vips.length));
    return snapshot(node);
  }

  it("SIGTERM while no address can be removed: what stays is silent, and a clean-up removes it", async () => {
    const bin = path.join(lab.directory, "stuck");
    mkdirSync(bin, { recursive: true });
    const real = (await node.exec(["sh", "-c", "command -v ip"])).trim();
    const script = `#!/bin/sh
case " $* " in *" -batch "*) ;; *) exec ${real} "$@" ;; esac
input=$(cat)
case $input in *"address del"*) echo "is made to fail" >&2; exit 2 ;; esac
echo "$input" | ${real} "$@"
`;
    writeFileSync(path.join(bin, "ip"), script, { mode: 0o755 });
    const daemon = await start([LOCAL], { PATH: `${bin}:${process.env["PATH"]}` });
    await answersPing(client, lab.vip);
    expect(await daemon.kill("SIGTERM")).toEqual({ code: 1, signal: null });
    expect(daemon.log()).toContain("cannot be removed: ");
    expect(await lines()).not.toEqual([]);
    expect(await snapshot(node)).toContain("table arp clusteripd");
    expect(await pings(client, lab.vip)).toBe(false);
    expect((await clusterip(lab, node, ["cleanup"])).status).toBe(0);
    expect(await snapshot(node)).toBe(before);
  });
});
