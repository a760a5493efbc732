/**
 * Never a window: while a client asks for the virtual IP without a pause, the node starts, adds, deletes, is killed,
 * restarts and stops, and no ARP message on the LAN ever claims the virtual IP for another MAC.
 *
 *     node1 (clusteripd)      client1: asks every 2 ms
 *       ╧═══════ switch (tcpdump sees every frame) ═══════╧
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { add, del } from "../support/daemon/api.ts";
import { clusterip, startDaemon } from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { Lab } from "../support/lab/lab.ts";
import { run, type TrackedProcess } from "../support/lab/processes.ts";
import { sendFrames } from "../support/traffic/traffic.ts";
import { capture } from "../support/wire/capture.ts";
import { arpRequest } from "../support/wire/frames.ts";

const ROUNDS = 12;

describeNet("host: never a window", { tools: ["arping", "ping"] }, () => {
  let lab: Lab;
  let node: Host;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
  });
  afterAll(() => lab.close());

  it(`${ROUNDS} times start, del, add, kill -9, restart and stop`, async () => {
    const recording = await capture(lab, lab.switch, "arp");
    const asking = new Asking(lab);
    const settings = { "total-nodes": 2, "local-node": [1] };
    for (let round = 0; round < ROUNDS; round += 1) {
      const first = await startDaemon(lab, node, { vips: [settings] });
      await del(first, lab.vip);
      await add(first, { vip: lab.vip, nic: "eth0", ...settings });
      // The node's own requests with source VIP are ARP messages too.
      await node.tryExec(["ping", "-q", "-c", "1", "-W", "0.2", "-I", lab.vip, `10.77.0.${120 + round}`], {
        timeoutMs: 5000,
      });
      if (round % 2 === 0) {
        await first.kill("SIGKILL");
        if (round % 4 === 0) await clusterip(lab, node, ["cleanup"]);
        const second = await startDaemon(lab, node, { vips: [settings] });
        await second.kill("SIGTERM");
      } else {
        await node.exec(["ip", "addr", "flush", "to", `${lab.vip}/32`]);
        await first.kill("SIGTERM");
      }
    }
    await asking.stop();
    const file = await recording.stop();

    const claims = await macsClaiming(file, lab.vip);
    const total = [...claims.values()].reduce((a, b) => a + b, 0);
    console.log(`ARP messages with sender ${lab.vip}: ${total}`);
    expect([...claims.keys()]).toEqual([CLUSTER_MAC]);
    // Something was answered while all that went on, and unanswered requests show that the address went away.
    expect(total).toBeGreaterThan(ROUNDS * 20);
    expect(await count(file, `arp[6:2] == 1 and ether src ${lab.client().mac}`)).toBeGreaterThan(total);
    expect(await count(file, `ether src ${CLUSTER_MAC}`)).toBe(0);
  });

  it("would see a window if there were one", async () => {
    const recording = await capture(lab, lab.switch, "arp");
    await node.ip("addr", "add", `${lab.vip}/32`, "dev", "eth0");
    await lab.client().tryExec(["arping", "-q", "-c", "1", "-w", "1", "-I", "eth0", lab.vip]);
    await node.ip("addr", "del", `${lab.vip}/32`, "dev", "eth0");
    expect([...(await macsClaiming(await recording.stop(), lab.vip)).keys()]).toEqual([node.mac]);
  });
});

/** A client that asks who has the virtual IP, without a pause: by arping, and every 2 ms with requests of its own. */
class Asking {
  readonly #arping: TrackedProcess;
  readonly #flood: Promise<void>;
  #isOver = false;

  constructor(lab: Lab) {
    const client = lab.client();
    this.#arping = client.spawn(["arping", "-q", "-b", "-I", "eth0", lab.vip], { stdio: "ignore" });
    this.#flood = this.#ask(client, arpRequest(client, lab.vip));
  }

  async #ask(client: Host, request: Uint8Array): Promise<void> {
    const second = new Array<Uint8Array>(500).fill(request);
    while (!this.#isOver) await sendFrames(client, second, { intervalUs: 2000 });
  }

  async stop(): Promise<void> {
    expect(this.#arping.running).toBe(true);
    this.#isOver = true;
    await this.#flood;
    await this.#arping.kill("SIGKILL");
  }
}

/** The sender MACs of the ARP messages with the given sender address, and how many there are of each. */
async function macsClaiming(file: string, address: string): Promise<Map<string, number>> {
  const sender = address.split(".").reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const { stdout } = await run(["tcpdump", "-n", "-x", "-r", file, `arp[14:4] == ${sender}`], {
    timeoutMs: 60_000,
  });
  const macs = new Map<string, number>();
  // The first line of the dump: hardware, protocol, lengths, operation, then the sender's MAC.
  for (const [, hex = ""] of stdout.matchAll(/0x0000: {2}((?:[0-9a-f]{4} ?){8})/g)) {
    const mac = hex
      .replaceAll(" ", "")
      .slice(16, 28)
      .replace(/(..)(?!$)/g, "$1:");
    macs.set(mac, (macs.get(mac) ?? 0) + 1);
  }
  return macs;
}

async function count(file: string, filter: string): Promise<number> {
  const { stdout } = await run(["tcpdump", "-n", "-r", file, filter]);
  return stdout.split("\n").filter((line) => line !== "").length;
}
