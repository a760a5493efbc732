/**
 * "A first configuration on real hosts" of README.md, typed in as it stands there.
 *
 *     node1 eth0 192.0.2.11 ══ br0 ══ client1 192.0.2.201       virtual IPs 192.0.2.10, .20, .21
 */

import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { type Daemon, socketOf, startDaemon, type VirtualIpConfig } from "../support/daemon/daemon.ts";
import { readmeBlocks, readmeCommands } from "../support/documents/readme.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { Lab } from "../support/lab/lab.ts";
import { clientProgram } from "../support/lab/paths.ts";

describeNet("the first configuration of README.md", { tools: [] }, () => {
  let lab: Lab;
  const daemons: Daemon[] = [];

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 2, network: "192.0.2" });
    const config = parse(readmeBlocks("yaml")[0] ?? "") as { "virtual-ips": VirtualIpConfig[] };
    for (const number of [1, 2]) {
      const vips = config["virtual-ips"].map((virtualIp) => ({ ...virtualIp, "local-node": [number] }));
      daemons.push(await startDaemon(lab, lab.node(number), { vips }));
    }
  });
  afterAll(() => lab.close());

  const commands = readmeCommands("#").filter(({ command }) => command.startsWith("clusterip "));

  it.each(commands)("$host# $command", async ({ host = "host1", command }) => {
    const node = lab.node(Number(host.replace("host", "")));
    const env = {
      CLUSTERIPD_SOCKET: socketOf(lab, node),
      PATH: `${path.dirname(clientProgram)}:${process.env["PATH"] ?? ""}`,
    };
    const result = await node.tryExec(["sh", "-c", command], { env });
    expect(result).toMatchObject({ status: 0, stderr: "" });
  });

  it("leaves what the commands say", async () => {
    const served = daemons.map(async ({ node, socket }) => {
      const { stdout } = await node.tryExec([clientProgram, "--socket", socket, "status", "--json"]);
      const { virtualIps } = JSON.parse(stdout) as { virtualIps: { vip: string; localNodes: number[] }[] };
      return virtualIps.map(({ vip, localNodes }) => `${vip} ${localNodes}`);
    });
    expect(await Promise.all(served)).toEqual([["192.0.2.10 ", "192.0.2.21 1"], ["192.0.2.10 1,2"]]);
  });
});
