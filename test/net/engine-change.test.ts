/** Another engine in the configuration, while clients go on: silence for a moment, and never two answers. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Daemon, startDaemon, type VirtualIpConfig, writeConfig } from "../lab/daemon.ts";
import { Lab } from "../lab/lab.ts";
import { duplicateRequests, type NodeServer, startServer } from "../lab/traffic.ts";
import { describeBpf } from "./describe-bpf.ts";
import { statusOf, until } from "./host-tools.ts";
import { UdpProber } from "./udp-prober.ts";

const CHANGES = 20;
const UDP_PORT = 7101;
const INTERVAL_MS = 1;
/** In which the new engine has to answer. */
const PAUSE_MS = 60;

describeBpf("another engine by reload", {}, () => {
  let lab: Lab;
  let daemon: Daemon;
  let server: NodeServer;
  let load: UdpProber;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    server = await startServer(lab, lab.node(1), { udp: [UDP_PORT] });
    daemon = await startDaemon(lab, lab.node(1), { vips: [served("userspace")] });
    load = await UdpProber.start(lab.client(), lab.vip, UDP_PORT);
  });
  afterAll(() => lab.close());

  it(`${CHANGES} times to and fro: nothing is answered twice, and both engines answer`, async () => {
    let answered = 0;
    const ticker = setInterval(
      () => load.send(`load-${load.sent}`, lab.client().address, 41_000),
      INTERVAL_MS,
    );
    for (let change = 1; change <= CHANGES; change += 1) {
      const engine = change % 2 === 1 ? "bpf" : "userspace";
      await changeTo(engine);
      answered = load.replies.size;
      await sleep(PAUSE_MS);
      expect(load.replies.size, `answers by ${engine}`).toBeGreaterThan(answered);
    }
    clearInterval(ticker);
    await sleep(PAUSE_MS);
    expect(duplicateRequests([server], "udp")).toEqual([]);
    expect(load.sent).toBeGreaterThan(CHANGES * PAUSE_MS * 0.2);
  });

  function served(engine: "userspace" | "bpf"): VirtualIpConfig {
    return { "total-nodes": 1, "local-node": [1], engine };
  }

  async function changeTo(engine: "userspace" | "bpf"): Promise<void> {
    writeConfig(lab, lab.node(1), [served(engine)]);
    daemon.signal("SIGHUP");
    await until(async () => {
      const { virtualIps } = await statusOf(daemon);
      expect(virtualIps.map((virtualIp) => virtualIp.engine)).toEqual([engine]);
    }, 5000);
  }
});
