/** Another engine or interface in the configuration, while clients go on: a moment's silence, and never two answers. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { EngineName } from "../../src/model/virtual-ip.ts";
import { describeBpf } from "../support/bpf/describe-bpf.ts";
import { statusOf } from "../support/daemon/api.ts";
import { type Daemon, startDaemon, type VirtualIpConfig, writeConfig } from "../support/daemon/daemon.ts";
import { envWithNft } from "../support/daemon/failing-tools.ts";
import { Lab } from "../support/lab/lab.ts";
import { addNic } from "../support/lab/second-nic.ts";
import { duplicateRequests, type NodeServer, startServer } from "../support/traffic/traffic.ts";
import { UdpProber } from "../support/traffic/udp-prober.ts";
import { until } from "../support/wait.ts";

const CHANGES = 20;
const UDP_PORT = 7101;
const INTERVAL_MS = 1;
/** Between two changes, so that every one finds requests on their way. */
const PAUSE_MS = 40;

describeBpf("reload under load", {}, () => {
  let lab: Lab;
  let daemon: Daemon;
  let server: NodeServer;
  let load: UdpProber;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    await addNic(lab, lab.node(1), { nic: "eth1", mac: "02:00:00:00:00:e1", address: "10.77.0.22/24" });
    server = await startServer(lab, lab.node(1), { udp: [UDP_PORT] });
    daemon = await startDaemon(lab, lab.node(1), { vips: [served({ engine: "userspace" })] });
    load = await UdpProber.start(lab.client(), lab.vip, UDP_PORT);
  });
  afterAll(() => lab.close());

  it(`userspace and bpf, ${CHANGES} times to and fro`, async () => {
    await changeUnderLoad("engine", [served({ engine: "bpf" }), served({ engine: "userspace" })]);
  });

  it(`bpf on two interfaces of one LAN, ${CHANGES} times to and fro`, async () => {
    const [first, second] = [served({ engine: "bpf" }), served({ engine: "bpf", nic: "eth1" })];
    await changeTo(first);
    await changeUnderLoad("nic", [second, first]);
  });

  it(`bpf on one and userspace on the other, ${CHANGES} times to and fro`, async () => {
    const [first, second] = [served({ engine: "bpf" }), served({ engine: "userspace", nic: "eth1" })];
    await changeTo(first);
    await changeUnderLoad("both", [second, first]);
  });

  it("kill -9, and one of two virtual IPs started again on the other interface", async () => {
    const stays = served({ engine: "bpf", vip: "10.77.0.101" });
    await daemon.kill("SIGTERM");
    // It takes a while to set the address and what follows.
    const env = await envWithNft(lab, lab.node(1), "sleep 0.2");
    for (const [name, engine] of [
      ["killed-1", "bpf"],
      ["killed-2", "userspace"],
    ] as const) {
      daemon = await startDaemon(lab, lab.node(1), { vips: [stays, served({ engine: "bpf" })] });
      await underLoad(name, async () => {
        await daemon.kill("SIGKILL");
        const vips = [stays, served({ engine, nic: "eth1" })];
        daemon = await startDaemon(lab, lab.node(1), { vips, env });
        await answersAgain(name);
      });
      await daemon.kill("SIGTERM");
    }
  });

  function served(options: { engine: EngineName; nic?: string; vip?: string }): VirtualIpConfig {
    return { "total-nodes": 1, "local-node": [1], nic: "eth0", ...options };
  }

  async function changeUnderLoad(what: string, configurations: readonly VirtualIpConfig[]): Promise<void> {
    const sentBefore = load.sent;
    await underLoad(what, async () => {
      for (let change = 0; change < CHANGES; change += 1) {
        const configuration = configurations[change % configurations.length];
        if (configuration === undefined) continue;
        await changeTo(configuration);
        await answersAgain(JSON.stringify(configuration));
        await sleep(PAUSE_MS);
      }
    });
    expect(load.sent - sentBefore).toBeGreaterThan(CHANGES * PAUSE_MS * 0.2);
  }

  /** Sends all the time while it acts; nothing was answered twice. */
  async function underLoad(name: string, act: () => Promise<void>): Promise<void> {
    const ticker = setInterval(
      () => load.send(`${name}-${load.sent}`, lab.client().address, 41_000),
      INTERVAL_MS,
    );
    try {
      await act();
    } finally {
      clearInterval(ticker);
    }
    await sleep(PAUSE_MS);
    expect(duplicateRequests([server], "udp")).toEqual([]);
  }

  async function answersAgain(what: string): Promise<void> {
    const answered = load.replies.size;
    await until(() => expect(load.replies.size, what).toBeGreaterThan(answered));
  }

  async function changeTo(configuration: VirtualIpConfig): Promise<void> {
    writeConfig(lab, lab.node(1), [configuration]);
    daemon.signal("SIGHUP");
    await until(async () => {
      const { virtualIps } = await statusOf(daemon);
      const [{ engine, nic } = {}] = virtualIps;
      expect({ engine, nic }).toEqual({ engine: configuration["engine"], nic: configuration["nic"] });
    });
  }
});
