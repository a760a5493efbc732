/**
 * What the host lacks is waited for and told, at a start, a reload and a restart; and one virtual IP that cannot be
 * served keeps no other from being served or repaired.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { stringify } from "yaml";
import { add, statusOf } from "../support/daemon/api.ts";
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
import { daemonProgram } from "../support/lab/paths.ts";
import { addNic } from "../support/lab/second-nic.ts";
import { answersPing, pings } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const LOCAL: VirtualIpConfig = { "total-nodes": 4, "local-node": [1, 2, 3, 4] };
const LATER_VIP = "10.77.0.101";
const MAC = "01:00:5e:00:00:21";

describeNet("daemon: what is not there yet", { tools: ["ping"] }, () => {
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
  afterEach(async () => {
    await recover(lab, node);
    await node.tryExec(["ip", "link", "del", "late0"]);
  });

  const start = (vips: VirtualIpConfig[], env?: Record<string, string>): Promise<Daemon> =>
    startDaemon(lab, node, { vips, ...(env === undefined ? {} : { env }) });
  const problems = async (daemon: Daemon): Promise<string[]> =>
    (await statusOf(daemon)).problems.map(({ code, vip }) => `${code} ${vip}`);
  const answersSoon = (vip: string): Promise<unknown> =>
    until(async () => expect(await pings(client, vip, 2)).toBe(true));

  it("an interface that comes after the daemon", async () => {
    const daemon = await start([LOCAL, { ...LOCAL, vip: LATER_VIP, nic: "late0", clustermac: MAC }]);
    await answersPing(client, lab.vip);
    expect(await problems(daemon)).toEqual([`nic-missing ${LATER_VIP}`]);
    const status = await clusterip(lab, node, ["status", LATER_VIP]);
    expect(status.stdout).toContain("NOT SERVED: There is no interface late0 on this host");
    // Buckets are moved as if it were there.
    expect((await clusterip(lab, node, ["nodes", LATER_VIP, "-3"])).status).toBe(0);
    expect((await clusterip(lab, node, ["nodes", LATER_VIP])).stdout).toBe("1,2,4\n");

    await addNic(lab, node, { nic: "late0", mac: "02:77:00:00:03:01", address: "10.77.0.21/24" });
    await until(async () => expect(await problems(daemon)).toEqual([]));
    expect(await devicesOf(node, LATER_VIP)).not.toEqual([]);
    expect((await statusOf(daemon)).virtualIps).toMatchObject([
      { vip: lab.vip },
      { vip: LATER_VIP, nic: "late0", localNodes: [1, 2, 4], clusterMac: MAC },
    ]);
    expect((await statusOf(daemon)).virtualIps[1]).not.toHaveProperty("waitsBecause");
    await node.ip("link", "del", "late0");
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("an address that comes after the daemon, from which the cluster MAC is derived", async () => {
    await node.ip("addr", "del", `${node.address}/24`, "dev", "eth0");
    try {
      const daemon = await start([LOCAL]);
      expect(await problems(daemon)).toEqual([`network-missing ${lab.vip}`]);
      await node.ip("addr", "add", `${node.address}/24`, "broadcast", "+", "dev", "eth0");
      await answersSoon(lab.vip);
      await until(async () => expect(await problems(daemon)).toEqual([]));
      await daemon.kill();
    } finally {
      await node.tryExec(["ip", "addr", "add", `${node.address}/24`, "broadcast", "+", "dev", "eth0"]);
    }
  });

  it("a restart goes on waiting, with the buckets that were moved meanwhile", async () => {
    const vips = [{ ...LOCAL, vip: LATER_VIP, nic: "late0", clustermac: MAC }];
    const first = await start(vips);
    expect((await clusterip(lab, node, ["nodes", LATER_VIP, "-3"])).status).toBe(0);
    await first.kill("SIGKILL");
    const second = await start(vips);
    expect((await clusterip(lab, node, ["nodes", LATER_VIP])).stdout).toBe("1,2,4\n");
    expect(await problems(second)).toEqual([`nic-missing ${LATER_VIP}`]);
    expect((await clusterip(lab, node, ["del", LATER_VIP])).status).toBe(0);
    expect(await problems(second)).toEqual([]);
    await second.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("a reload waits, too; a request is refused, and leaves nothing that waits", async () => {
    const daemon = await start([LOCAL]);
    const wanted = [{ ...LOCAL }, { ...LOCAL, vip: LATER_VIP, nic: "late0" }];
    writeConfig(lab, node, wanted);
    daemon.signal("SIGHUP");
    await until(async () => expect(await problems(daemon)).toEqual([`nic-missing ${LATER_VIP}`]));
    await answersPing(client, lab.vip);
    await expect(add(daemon, { ...LOCAL, vip: "10.77.0.102", nic: "late0" })).rejects.toMatchObject({
      code: "CLUSTERIP_NO_NIC",
    });
    expect((await statusOf(daemon)).virtualIps.map(({ vip }) => vip)).toEqual([lab.vip, LATER_VIP]);
    // Back to what it was, by the file.
    writeConfig(lab, node, [LOCAL]);
    daemon.signal("SIGHUP");
    await until(async () => expect(await problems(daemon)).toEqual([]));
    await daemon.kill();
  });

  it("a virtual IP that this host refuses is told, and the others are served", async () => {
    await node.ip("link", "add", "late0", "type", "bridge");
    await node.ip("addr", "add", "10.99.9.1/24", "dev", "late0");
    const daemon = await start([
      { ...LOCAL, vip: "10.99.9.1", clustermac: MAC },
      { ...LOCAL, vip: "10.77.0.102", nic: "lo", clustermac: MAC },
      LOCAL,
    ]);
    await answersPing(client, lab.vip);
    expect(await problems(daemon)).toEqual(["not-served 10.99.9.1", "not-served 10.77.0.102"]);
    const sentences = (await statusOf(daemon)).problems.map(({ message }) => message).join();
    expect(sentences).toMatch(/10\.99\.9\.1 is already an address of late0.*lo is no Ethernet interface/);
    // What it refuses may be over one day.
    await node.ip("addr", "del", "10.99.9.1/24", "dev", "late0");
    await until(async () => expect(await problems(daemon)).toEqual(["not-served 10.77.0.102"]));
    await daemon.kill();
  });

  it("an address that the kernel refuses keeps no other from being served or repaired", async () => {
    // A stand-in for whatever makes one line of a batch fail, also halfway.
    const bin = path.join(lab.directory, "refusing");
    mkdirSync(bin, { recursive: true });
    const real = (await node.exec(["sh", "-c", "command -v ip"])).trim();
    const script = `#!/bin/sh
case " $* " in *" -batch "*) ;; *) exec ${real} "$@" ;; esac
while read -r line; do
  case $line in "address replace ${LATER_VIP}/"*) echo "RTNETLINK answers: No buffer space available" >&2; exit 2 ;; esac
  ${real} $line || exit 2
done
`;
    writeFileSync(path.join(bin, "ip"), script, { mode: 0o755 });
    const vips = [{ ...LOCAL, vip: LATER_VIP }, LOCAL, { ...LOCAL, vip: "10.77.0.102" }];
    const daemon = await start(vips, { PATH: `${bin}:${process.env["PATH"]}` });
    for (const vip of [lab.vip, "10.77.0.102"]) await answersPing(client, vip);
    expect(await problems(daemon)).toEqual([`not-served ${LATER_VIP}`]);
    expect((await statusOf(daemon)).problems[0]?.message).toContain("No buffer space available");

    for (const device of await devicesOf(node, lab.vip)) {
      await node.ip("addr", "del", `${lab.vip}/32`, "dev", device);
    }
    await answersSoon(lab.vip);
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("a repair that fails for one is done for the others, and told of that one", async () => {
    const bin = path.join(lab.directory, "refusing-later");
    mkdirSync(bin, { recursive: true });
    const real = (await node.exec(["sh", "-c", "command -v ip"])).trim();
    const armed = path.join(bin, "armed");
    const script = `#!/bin/sh
case " $* " in *" -batch "*) ;; *) exec ${real} "$@" ;; esac
while read -r line; do
  case $line in "address replace ${LATER_VIP}/"*) [ ! -e ${armed} ] || { echo "is made to fail" >&2; exit 2; } ;; esac
  ${real} $line || exit 2
done
`;
    writeFileSync(path.join(bin, "ip"), script, { mode: 0o755 });
    const daemon = await start([{ ...LOCAL, vip: LATER_VIP }, LOCAL], {
      PATH: `${bin}:${process.env["PATH"]}`,
    });
    await answersPing(client, LATER_VIP);
    writeFileSync(armed, "");
    for (const vip of [LATER_VIP, lab.vip]) {
      for (const device of await devicesOf(node, vip))
        await node.ip("addr", "del", `${vip}/32`, "dev", device);
    }
    await answersSoon(lab.vip);
    await until(async () => expect(await problems(daemon)).toContain(`repair-failed ${LATER_VIP}`));
    expect(await problems(daemon)).not.toContain(`repair-failed ${lab.vip}`);
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("--check says what is missing now, and refuses what cannot become right", async () => {
    const check = (vips: VirtualIpConfig[]) =>
      node.tryExec([daemonProgram, "--check", "--config", writeConfig(lab, node, vips)]);
    expect(await check([LOCAL])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/: good, 1 virtual IP\n$/),
      stderr: "",
    });
    const missing = await check([LOCAL, { ...LOCAL, vip: LATER_VIP, nic: "late0" }]);
    expect(missing).toMatchObject({ status: 0, stderr: "" });
    expect(missing.stdout).toMatch(
      /: good, 2 virtual IPs\nmissing now, and waited for: 10\.77\.0\.101: There is no interface late0 /,
    );
    const refused = await check([{ ...LOCAL, nic: "lo" }]);
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toMatch(/lo is no Ethernet interface.*\[CLUSTERIP_CONFIG\]\n$/);
    expect(await snapshot(node)).toBe(before);
  });

  it("a reload with a virtual IP that cannot become right changes nothing", async () => {
    const daemon = await start([LOCAL]);
    writeFileSync(
      daemon.configFile,
      stringify({
        "virtual-ips": [
          { ...LOCAL, vip: LATER_VIP, nic: "eth0" },
          { ...LOCAL, vip: lab.vip, nic: "lo", clustermac: MAC },
        ],
      }),
    );
    daemon.signal("SIGHUP");
    await until(() => expect(daemon.log()).toMatch(/reload refused, nothing changed: lo is no Ethernet/));
    expect((await statusOf(daemon)).virtualIps.map(({ vip }) => vip)).toEqual([lab.vip]);
    await answersPing(client, lab.vip);
    await daemon.kill();
  });
});
