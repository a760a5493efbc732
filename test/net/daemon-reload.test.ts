/** SIGHUP touches only what changed. */
import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { call } from "../../src/api/client.ts";
import type { VirtualIpBody } from "../../src/api/contract.ts";
import { paths } from "../../src/api/contract.ts";
import { add, settingsOf, statusOf } from "../support/daemon/api.ts";
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
import { snapshot, watchHost } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { answersPing, pings } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const SECOND_VIP = "10.77.0.101";
const REQUESTED_VIP = "10.77.0.102";

describeNet("daemon: SIGHUP", { tools: ["ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let daemon: Daemon;
  const first: VirtualIpConfig = { "total-nodes": 4, "local-node": [1, 2] };
  const second: VirtualIpConfig = { "total-nodes": 1, "local-node": [1], vip: SECOND_VIP };

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    daemon = await startDaemon(lab, node, { vips: [first, second] });
  });
  afterEach(() => recover(lab, node));

  async function reload(configure: () => void, expected: string): Promise<string> {
    configure();
    const seen = daemon.log().length;
    daemon.signal("SIGHUP");
    await until(() => expect(daemon.log().slice(seen)).toContain(expected));
    return daemon.log().slice(seen);
  }
  const reloadWith = (vips: VirtualIpConfig[]): Promise<string> =>
    reload(() => writeConfig(lab, node, vips), '"reloaded"');

  async function virtualIp(vip: string): Promise<VirtualIpBody> {
    return (await call(daemon.socket, "GET", paths.virtualIp(vip))) as VirtualIpBody;
  }
  const frames = ({ buckets }: VirtualIpBody): number =>
    buckets.reduce((sum, { local, foreign }) => sum + local.frames + foreign.frames, 0);

  it("an unchanged file changes nothing: no event on the host, counters and moved buckets stay", async () => {
    expect((await clusterip(lab, node, ["nodes", lab.vip, "+4"])).status).toBe(0);
    for (const vip of [lab.vip, SECOND_VIP]) await pings(lab.client(), vip);
    const counted = [frames(await virtualIp(lab.vip)), frames(await virtualIp(SECOND_VIP))];
    expect(Math.min(...counted)).toBeGreaterThan(0);
    const before = { host: await snapshot(node), status: await settingsOf(daemon) };
    const monitor = watchHost(node);
    await sleep(100);
    await reloadWith([first, second]);
    await sleep(200);
    expect(monitor.events()).toBe("");
    expect({ host: await snapshot(node), status: await settingsOf(daemon) }).toEqual(before);
    expect((await virtualIp(lab.vip)).localNodes).toEqual([1, 2, 4]);
    expect([frames(await virtualIp(lab.vip)), frames(await virtualIp(SECOND_VIP))]).toEqual(counted);
    await monitor.stop();
  });

  it("local-node changed in the file moves the buckets and keeps the counters", async () => {
    await pings(lab.client(), lab.vip);
    const counted = frames(await virtualIp(lab.vip));
    await reloadWith([{ ...first, "local-node": [3] }, second]);
    expect((await virtualIp(lab.vip)).localNodes).toEqual([3]);
    expect(frames(await virtualIp(lab.vip))).toBe(counted);
  });

  it("another total-nodes is served anew; the other virtual IP does not notice", async () => {
    await answersPing(lab.client(), SECOND_VIP);
    const counted = frames(await virtualIp(SECOND_VIP));
    await reloadWith([{ ...first, "total-nodes": 1, "local-node": [1] }, second]);
    expect(await virtualIp(lab.vip)).toMatchObject({ totalNodes: 1, localNodes: [1] });
    expect(frames(await virtualIp(SECOND_VIP))).toBe(counted);
    await answersPing(lab.client(), lab.vip);
  });

  it("buckets given away do not come back with another cluster MAC, by reload or restart", async () => {
    expect((await clusterip(lab, node, ["nodes", lab.vip, "-2"])).status).toBe(0);
    const [one, other] = ["4d:e2:58:37:f1:f2", "4d:e2:58:37:f1:f3"];
    await reloadWith([{ ...first, clustermac: one }, second]);
    expect(await virtualIp(lab.vip)).toMatchObject({ clusterMac: one, localNodes: [1] });
    await daemon.kill("SIGKILL");
    daemon = await startDaemon(lab, node, { vips: [{ ...first, clustermac: other }, second] });
    expect(await virtualIp(lab.vip)).toMatchObject({ clusterMac: other, localNodes: [1] });
    // They are asked for now.
    await reloadWith([{ ...first, clustermac: other, "local-node": [2, 3] }, second]);
    expect((await virtualIp(lab.vip)).localNodes).toEqual([2, 3]);
  });

  it("a virtual IP removed from the file goes, one added comes, one added by request stays", async () => {
    await add(daemon, { vip: REQUESTED_VIP, nic: "eth0", "total-nodes": 1, "local-node": 1 });
    await reloadWith([second]);
    expect((await statusOf(daemon)).virtualIps.map(({ vip }) => vip).sort()).toEqual([
      SECOND_VIP,
      REQUESTED_VIP,
    ]);
    expect(await snapshot(node)).not.toContain(`${lab.vip}/32`);
    expect(await pings(lab.client(), lab.vip)).toBe(false);
    await reloadWith([{ ...first, "total-nodes": 1, "local-node": [1] }]);
    expect((await statusOf(daemon)).virtualIps.map(({ vip }) => vip).sort()).toEqual([
      lab.vip,
      REQUESTED_VIP,
    ]);
    for (const vip of [lab.vip, REQUESTED_VIP]) await answersPing(lab.client(), vip);
  });

  it("a broken file changes nothing and is logged with line and path; POST /v1/reload says the same", async () => {
    const before = { host: await snapshot(node), status: await settingsOf(daemon) };
    const broken =
      "virtual-ips:\n  - vip: 10.77.0.100\n    nic: eth0\n    total-nodes: 99\n    local-node: 1\n";
    const where = `${daemon.configFile}:4: virtual-ips[0].total-nodes: `;
    const log = await reload(() => writeFileSync(daemon.configFile, broken), "reload refused");
    expect(log).toContain(where);
    expect(log).toContain('"code":"CLUSTERIP_CONFIG"');
    await expect(call(daemon.socket, "POST", paths.reload)).rejects.toThrow(where);
    const missing = await reload(() => writeConfig(lab, node, [{ ...first, nic: "nic9" }]), "reload refused");
    expect(missing).toContain('"code":"CLUSTERIP_NO_NIC"');
    expect({ host: await snapshot(node), status: await settingsOf(daemon) }).toEqual(before);
    expect(daemon.running).toBe(true);
  });

  it("a burst of SIGHUPs ends with what the file says last", async () => {
    for (let nodes = 1; nodes <= 4; nodes += 1) {
      writeConfig(lab, node, [{ ...first, "local-node": [nodes] }]);
      daemon.signal("SIGHUP");
    }
    await until(async () => expect((await virtualIp(lab.vip)).localNodes).toEqual([4]));
    expect((await statusOf(daemon)).virtualIps).toHaveLength(1);
  });
});
