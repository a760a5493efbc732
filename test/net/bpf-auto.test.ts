/**
 * What `--engine auto` comes to: bpf where it loads, userspace elsewhere, and `status` says why; and the way from one
 * to the other over a daemon that was killed.
 *
 *     node1 (clusteripd) ══ 10.77.0.0/24 ══ client1          virtual IP 10.77.0.100
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { describeBpf } from "../support/bpf/describe-bpf.ts";
import { statusOf } from "../support/daemon/api.ts";
import { clusterip, type Daemon, type DaemonOptions, startDaemon } from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { clientProgram, projectRoot } from "../support/lab/paths.ts";
import { pings } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const ADDON = path.join(projectRoot, "native/build/Release/clusteripd_bpf.node");
const USERSPACE = { env: { CLUSTERIPD_AUTO_ENGINE: "userspace" } };

/** setpriv as systemd applies the unit's bounding set. */
function asUnit(name: string): string[] {
  const unit = readFileSync(path.join(projectRoot, "packaging/systemd", name), "utf8");
  const capabilities = /^CapabilityBoundingSet=(.*)$/m.exec(unit)?.[1]?.split(" ") ?? [];
  const set = capabilities.map((capability) => `+${capability.slice("CAP_".length).toLowerCase()}`);
  return ["setpriv", "--no-new-privs", `--bounding-set=-all,${set.join()}`];
}

describeBpf("bpf: the engine auto", { tools: ["ping", "setpriv"] }, () => {
  let lab: Lab;
  let node: Host;
  let before: string;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    before = await snapshot(node);
  });
  afterEach(async () => {
    await clusterip(lab, node, ["cleanup"]);
    expect(await snapshot(node)).toBe(before);
  });

  function start(options: Partial<DaemonOptions> = {}): Promise<Daemon> {
    return startDaemon(lab, node, { vips: [{ "total-nodes": 2, "local-node": [1, 2] }], ...options });
  }

  async function engineOf(daemon: Daemon): Promise<string | undefined> {
    await until(async () => expect(await pings(lab.client(), lab.vip)).toBe(true));
    return (await statusOf(daemon)).virtualIps[0]?.engine;
  }

  it("refuses the virtual IP for which an interface has no room any more, and says what has", async () => {
    const vips = Array.from({ length: 256 }, (_, index) => ({
      ...{ vip: `10.77.1.${index}`, clustermac: CLUSTER_MAC, "total-nodes": 2, "local-node": [1] },
    }));
    const daemon = await start({ vips });
    const one = ["add", lab.vip, "--nic", "eth0", "--total-nodes", "2", "--local-node", "1"];
    const refused = await clusterip(lab, node, one);
    expect(refused.status).not.toBe(0);
    expect(refused.stderr).toContain("there is no room for another virtual IP on eth0");
    expect(await clusterip(lab, node, [...one, "--engine", "userspace"])).toMatchObject({ status: 0 });
    expect((await statusOf(daemon)).virtualIps).toHaveLength(257);
    await daemon.kill("SIGTERM");
  });

  it("is bpf", async () => {
    const daemon = await start();
    expect(await engineOf(daemon)).toBe("bpf");
    expect((await statusOf(daemon)).engines).toEqual({
      userspace: { isAvailable: true },
      bpf: { isAvailable: true },
    });
    expect((await clusterip(lab, node, ["status"])).stdout).not.toContain("not available");
    await daemon.kill();
  });

  const hide = 'mount --make-rprivate / && mount --bind /dev/null "$0" && exec "$@"';
  for (const [what, under, why] of [
    ["CAP_SYS_ADMIN", ["setpriv", "--bounding-set=-sys_admin"], /it needs CAP_BPF, .*and CAP_SYS_ADMIN \(/],
    ["its addon", ["unshare", "--mount", "sh", "-c", hide, ADDON], /its addon cannot be loaded \(/],
  ] as const) {
    it(`is userspace without ${what}, and status says why`, async () => {
      const daemon = await start({ under });
      expect(await engineOf(daemon)).toBe("userspace");
      const { bpf } = (await statusOf(daemon)).engines;
      expect(bpf).toEqual({ isAvailable: false, whyNot: expect.stringMatching(why) });
      const { stdout } = await clusterip(lab, node, ["status"]);
      expect(stdout).toContain(`The engine 'bpf' is not available here: ${bpf.whyNot}.\n`);
      await daemon.kill();
    });
  }

  it("is bpf with the capabilities of the service, whose clean-up finds what a dead daemon left", async () => {
    const under = asUnit("clusteripd.service");
    let daemon = await start({ under });
    expect(await engineOf(daemon)).toBe("bpf");
    await daemon.kill("SIGKILL");
    daemon = await start({ under });
    expect(await engineOf(daemon)).toBe("bpf");
    await daemon.kill("SIGKILL");
    const cleanUp = [...asUnit("clusteripd-cleanup.service"), clientProgram, "--socket", daemon.socket];
    expect(await node.exec([...cleanUp, "cleanup", "--keep-state"])).toContain(
      "removed BPF programs on eth0\n",
    );
    expect(await snapshot(node)).toBe(before);
  });

  for (const [from, first, to, second] of [
    ["userspace", USERSPACE, "bpf", {}],
    ["bpf", {}, "userspace", USERSPACE],
  ] as const) {
    it(`from ${from} to ${to} over a kill -9: the buckets stay, and nothing of ${from}`, async () => {
      const fresh = await start(second);
      await clusterip(lab, node, ["nodes", lab.vip, "-2"]);
      const wanted = await snapshot(node);
      await fresh.kill();
      await clusterip(lab, node, ["cleanup"]);

      const dead = await start(first);
      expect(await engineOf(dead)).toBe(from);
      await clusterip(lab, node, ["nodes", lab.vip, "-2"]);
      await dead.kill("SIGKILL");
      const daemon = await start(second);
      const [virtualIp] = (await statusOf(daemon)).virtualIps;
      expect([virtualIp?.engine, virtualIp?.localNodes]).toEqual([to, [1]]);
      expect(withoutNumbers(await snapshot(node))).toBe(withoutNumbers(wanted));
      await daemon.kill();
    });
  }
});

/** The TUN device has another number each time. */
function withoutNumbers(state: string): string {
  return state.replaceAll(/\d+/g, "N").split("\n").sort().join("\n");
}
