/**
 * What keeps clients away while everything else is as it should be: mended where that is the daemon's to do, otherwise
 * told in status and by a monitor that fails.
 *
 *     node1 (clusteripd)                       client1
 *     eth0 .11   (or a bridge with eth0 in it) eth0 .201
 *       ╧═════════════ 10.77.0.0/24 ═════════════╧        virtual IP 10.77.0.100
 */
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { call } from "../../src/api/client.ts";
import { paths } from "../../src/api/contract.ts";
import { statusOf } from "../support/daemon/api.ts";
import {
  clusterip,
  type Daemon,
  recover,
  startDaemon,
  type VirtualIpConfig,
} from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import { envWithNft } from "../support/daemon/failing-tools.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { answersPing, pings } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const LOCAL: VirtualIpConfig = { "total-nodes": 2, "local-node": [1, 2], clustermac: CLUSTER_MAC };

describeNet("host: reach", { tools: ["ping"] }, () => {
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

  const start = (vip: VirtualIpConfig = LOCAL): Promise<Daemon> => startDaemon(lab, node, { vips: [vip] });
  const codes = async (daemon: Daemon): Promise<string[]> =>
    (await statusOf(daemon)).problems.map(({ code }) => code);
  const monitor = (daemon: Daemon): Promise<unknown> => call(daemon.socket, "GET", paths.bucket(lab.vip, 1));

  /** The problem is told and the monitor fails, until it is over. */
  async function expectProblem(daemon: Daemon, code: string, end: () => Promise<unknown>): Promise<void> {
    await until(async () => expect(await codes(daemon)).toContain(code));
    await expect(monitor(daemon)).rejects.toMatchObject({ code: "CLUSTERIP_BROKEN" });
    await end();
    await until(async () => expect(await codes(daemon)).toEqual([]));
    await monitor(daemon);
    await until(async () => expect(await pings(client, lab.vip, 2)).toBe(true));
  }

  async function deleteLocalRoutes(): Promise<void> {
    const routes = await node.ip("-4", "route", "show", "table", "local");
    for (const line of routes.split("\n").filter((route) => route.startsWith(`local ${lab.vip} `))) {
      await node.ip("route", "del", ...line.trim().split(/\s+/), "table", "local");
    }
  }

  it("the local route is deleted: put back", async () => {
    const daemon = await start();
    await answersPing(client, lab.vip);
    await deleteLocalRoutes();
    await until(async () => expect(await pings(client, lab.vip, 2)).toBe(true));
    await until(async () => expect((await statusOf(daemon)).repairs.reach.count).toBe(1));
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("the local route is put back for an address that goes at that moment: the route goes, too", async () => {
    const armed = path.join(lab.directoryOf(node), "armed");
    // Its last look at the address was before, and the daemon ends before another one.
    const first = `case "$*" in "-4 route replace local "*)
      [ ! -e ${armed} ] || { rm ${armed}; PATH=\${PATH#*:} ip address del ${lab.vip}/32 dev lo; kill -TERM $PPID; } ;;
    esac`;
    const env = await envWithNft(lab, node, first, ["ip"]);
    const daemon = await startDaemon(lab, node, { vips: [LOCAL], env });
    await answersPing(client, lab.vip);
    writeFileSync(armed, "");
    await deleteLocalRoutes();
    await daemon.process.exited;
    expect(existsSync(armed)).toBe(false);
    expect(await node.ip("-4", "route", "show", "table", "local")).not.toContain(lab.vip);
    expect(await snapshot(node)).toBe(before);
  });

  it("ARP is switched off on the link, or answered by nobody", async () => {
    const daemon = await start();
    await answersPing(client, lab.vip);
    await node.ip("link", "set", "eth0", "arp", "off");
    await expectProblem(daemon, "arp-off", () => node.ip("link", "set", "eth0", "arp", "on"));
    await node.setSysctl("net/ipv4/conf/all/arp_ignore", 8);
    await expectProblem(daemon, "arp-off", () => node.setSysctl("net/ipv4/conf/all/arp_ignore", 0));
    await daemon.kill();
  });

  it("the interface is enslaved", async () => {
    const daemon = await start();
    await node.ip("link", "add", "brx", "up", "type", "bridge");
    try {
      await node.ip("link", "set", "eth0", "master", "brx");
      await expectProblem(daemon, "nic-enslaved", () => node.ip("link", "set", "eth0", "nomaster"));
    } finally {
      await node.ip("link", "del", "brx");
    }
    await daemon.kill();
  });

  it("no route leads back to any client", async () => {
    await node.ip("addr", "del", `${node.address}/24`, "dev", "eth0");
    try {
      const daemon = await start();
      await expectProblem(daemon, "no-way-back", () =>
        node.ip("addr", "add", `${node.address}/24`, "broadcast", "+", "dev", "eth0"),
      );
      await daemon.kill();
    } finally {
      await node.tryExec(["ip", "addr", "add", `${node.address}/24`, "broadcast", "+", "dev", "eth0"]);
    }
  });

  it("a rule leaves the address without a way back, or hides that it is local", async () => {
    const daemon = await start();
    await answersPing(client, lab.vip);
    await node.ip("rule", "add", "from", lab.vip, "prohibit");
    await expectProblem(daemon, "no-way-back", () => node.ip("rule", "del", "from", lab.vip, "prohibit"));
    // The table of local addresses is asked after a rule that sends what arrives elsewhere.
    await node.ip("rule", "add", "pref", "5", "lookup", "local");
    await node.ip("rule", "add", "pref", "1", "to", lab.vip, "blackhole");
    await node.ip("rule", "del", "pref", "0");
    await expectProblem(daemon, "no-local-route", () =>
      node.ip("rule", "del", "pref", "1", "to", lab.vip, "blackhole"),
    );
    await node.ip("rule", "add", "pref", "0", "lookup", "local");
    await node.ip("rule", "del", "pref", "5");
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("a firewall drops what clients ask, and nothing leaves: told, but no reason to move buckets", async () => {
    const daemon = await start();
    await answersPing(client, lab.vip);
    await node.exec([
      "nft",
      "add table ip fire; add chain ip fire in { type filter hook input priority 0; }",
    ]);
    await node.exec(["nft", `add rule ip fire in ip daddr ${lab.vip} drop`]);
    const asking = client.spawn(["ping", "-q", "-i", "0.5", lab.vip], { stdio: "ignore" });
    await until(async () => expect(await codes(daemon)).toEqual(["unanswered"]));
    await monitor(daemon);
    await node.exec(["nft", "delete table ip fire"]);
    await until(async () => expect(await codes(daemon)).toEqual([]));
    await asking.kill("SIGKILL");
    await daemon.kill();
  });

  for (const end of ["SIGTERM", "kill -9 and a clean-up"] as const) {
    it(`a bridge that looks for multicast listeners; after ${end} it has what it had`, async () => {
      const option = ["mcast_snooping", "1", "mcast_querier", "1", "mcast_query_response_interval", "100"];
      await node.ip("link", "add", "brx", "up", "type", "bridge", "forward_delay", "0", ...option);
      await node.ip("link", "set", "eth0", "master", "brx");
      await node.ip("addr", "del", `${node.address}/24`, "dev", "eth0");
      await node.ip("addr", "add", `${node.address}/24`, "broadcast", "+", "dev", "brx");
      try {
        const isRouter = async (): Promise<string | undefined> =>
          /mcast_router (\d)/.exec(await node.ip("-d", "link", "show", "brx"))?.[1];
        expect(await isRouter()).toBe("1");
        const daemon = await start({ ...LOCAL, nic: "brx" });
        await until(async () => expect(await isRouter()).toBe("2"));
        // From the first query on, the bridge knows that nobody here has asked for such frames.
        for (let second = 0; second < 4; second += 1) await answersPing(client, lab.vip);
        await until(async () => expect(await codes(daemon)).toEqual([]));
        if (end === "SIGTERM") {
          expect(await daemon.kill()).toEqual({ code: 0, signal: null });
        } else {
          await daemon.kill("SIGKILL");
          expect((await clusterip(lab, node, ["cleanup"])).stdout).toContain(
            "mcast_router of the bridge brx",
          );
        }
        expect(await isRouter()).toBe("1");
      } finally {
        await node.ip("link", "del", "brx");
        await node.tryExec(["ip", "addr", "add", `${node.address}/24`, "broadcast", "+", "dev", "eth0"]);
      }
    });
  }
});
