/**
 * "A first configuration on real hosts" of README.md, typed in as it stands there.
 *
 *     node1 eth0 192.0.2.11 ══ br0 ══ client1 192.0.2.201       virtual IPs 192.0.2.10, .20, .21
 */

import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { parse } from "yaml";
import { type Daemon, socketOf, startDaemon, type VirtualIpConfig } from "../lab/daemon.ts";
import { describeNet } from "../lab/describe-net.ts";
import { Lab } from "../lab/lab.ts";
import { clientProgram } from "../lab/paths.ts";
import { readmeBlocks, readmeCommands } from "../readme.ts";

describeNet("the first configuration of README.md", { tools: [] }, () => {
  let lab: Lab;
  let daemon: Daemon;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1, network: "192.0.2" });
    const config = parse(readmeBlocks("yaml")[0] ?? "") as { "virtual-ips": VirtualIpConfig[] };
    daemon = await startDaemon(lab, lab.node(1), { vips: config["virtual-ips"] });
  });
  afterAll(() => lab.close());

  const commands = readmeCommands("#").filter((command) => command.startsWith("clusterip "));

  it.each(commands)("# %s", async (command) => {
    const env = {
      CLUSTERIPD_SOCKET: socketOf(lab, lab.node(1)),
      PATH: `${path.dirname(clientProgram)}:${process.env["PATH"] ?? ""}`,
    };
    const result = await lab.node(1).tryExec(["sh", "-c", command], { env });
    expect(result).toMatchObject({ status: 0, stderr: "" });
  });

  it("leaves what the commands say", async () => {
    expect(daemon.running).toBe(true);
    const { stdout } = await lab
      .node(1)
      .tryExec([clientProgram, "--socket", daemon.socket, "status", "--json"]);
    const { virtualIps } = JSON.parse(stdout) as { virtualIps: { vip: string; localNodes: number[] }[] };
    expect(virtualIps.map(({ vip, localNodes }) => ({ vip, localNodes }))).toEqual([
      { vip: "192.0.2.10", localNodes: [1] },
      { vip: "192.0.2.21", localNodes: [1] },
    ]);
  });
});
