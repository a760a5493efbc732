/**
 * A firewall that is loaded anew, with sets of 200,000 elements: our tables are back after each of them.
 *
 *     node1 (clusteripd, a large firewall)      client1: asks for the virtual IP all the time
 *       ╧════════════ 10.77.0.0/24 ══════════════╧
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { repairsOf } from "../support/daemon/api.ts";
import { type Daemon, startDaemon } from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { pidsOf } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { until } from "../support/wait.ts";

const ELEMENTS = 200_000;

describeNet("host: large firewalls", { tools: ["ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let daemon: Daemon;
  let firewall: string;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    firewall = path.join(lab.directoryOf(node), "firewall.nft");
    const elements = Array.from({ length: ELEMENTS }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    writeFileSync(
      firewall,
      `flush ruleset\ntable inet filter {\n set blocked {\n type ipv4_addr\n elements = { ${elements.join(", ")} }\n }\n}\n`,
    );
    const vip = { "total-nodes": 1, "local-node": [1], clustermac: CLUSTER_MAC };
    daemon = await startDaemon(lab, node, { vips: [vip] });
  });
  afterAll(() => lab.close());

  it("our tables are back after each, and no process of ours works on other people's elements", async () => {
    for (let reload = 1; reload <= 3; reload += 1) {
      const before = (await repairsOf(daemon))["nft"] ?? 0;
      await node.exec(["nft", "-f", firewall]);
      await until(async () => expect((await repairsOf(daemon))["nft"]).toBe(before + 1));
      expect(await node.exec(["nft", "list", "table", "arp", "clusteripd"])).toContain(CLUSTER_MAC);
    }
    // "nft monitor" kept a copy of everybody's rules, and was busy with the elements for seconds before it told of ours.
    // A status waits for no repair, so the look that follows one may still be under way.
    await until(async () => expect(await pidsOf(node, "nft")).toEqual([]));
  });
});
