/** The XDP program of a dead daemon, where its successor has less than it: no addon, or no privilege to look. */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeBpf } from "../support/bpf/describe-bpf.ts";
import { otherLayouts, programWith } from "../support/bpf/layouts.ts";
import { recover, startDaemon } from "../support/daemon/daemon.ts";
import type { Host } from "../support/lab/host.ts";
import { Lab } from "../support/lab/lab.ts";
import { projectRoot } from "../support/lab/paths.ts";
import { runChecked } from "../support/lab/processes.ts";
import { answersPing } from "../support/traffic/ask.ts";

describeBpf("programs that a dead daemon left", { tools: ["tc", "clang"] }, () => {
  let lab: Lab;
  let node: Host;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
  });
  afterAll(() => lab.close());
  afterEach(() => recover(lab, node));

  /** Left by a daemon that had bucket 2 of 2 alone, and was killed. */
  async function leave(): Promise<void> {
    const vips = [{ "total-nodes": 2, "local-node": [2], engine: "bpf" }];
    const dead = await startDaemon(lab, node, { vips, env: { CLUSTERIPD_XDP: "native" } });
    await dead.kill("SIGKILL");
    expect(await xdpOf()).toBe("clusterip_xdp");
  }

  async function xdpOf(): Promise<string | undefined> {
    const [link] = JSON.parse(await node.exec(["ip", "-json", "link", "show", "dev", "eth0"])) as {
      xdp?: { prog: { name: string } };
    }[];
    return link?.xdp?.prog.name;
  }

  it("without the addon: goes by its name, or own frames would be dropped as foreign ones", async () => {
    await leave();
    const script = `
      const { listLinks } = await import(process.argv[1] + "/dist/src/host/ip.js");
      const { removeStalePrograms } = await import(process.argv[1] + "/dist/src/daemon/resources/stale-programs.js");
      for (const link of await listLinks()) {
        const unknown = async () => ({ outcome: "unknown", why: "it is not built" });
        console.log(link.name, (await removeStalePrograms(link, unknown)).outcome);
      }`;
    const node20 = [process.execPath, "--input-type=module", "--eval", script, projectRoot];
    expect((await node.exec(node20)).trim().split("\n").sort()).toEqual(["eth0 removed", "lo none"]);
    expect(await xdpOf()).toBeUndefined();
  });

  it("without CAP_SYS_ADMIN nobody can tell whose it is, and the log says so", async () => {
    await leave();
    const under = ["setpriv", "--bounding-set", "-sys_admin"];
    const vips = [{ "total-nodes": 2, "local-node": [1, 2], engine: "auto" }];
    const daemon = await startDaemon(lab, node, { vips, under });
    expect(daemon.log()).toMatch(
      /"nic":"eth0","msg":"the XDP program on eth0 may be a dead clusteripd's or not: /,
    );
    await daemon.kill("SIGTERM");
    await node.exec(["ip", "link", "set", "dev", "eth0", "xdp", "off"]);
  });

  it("of another layout: replaced, and the log says that nothing is taken over", async () => {
    const source = path.join(lab.directoryOf(node), "other-layout.c");
    const object = path.join(lab.directoryOf(node), "other-layout.o");
    writeFileSync(source, programWith(otherLayouts["the layout without a number"] ?? []));
    await runChecked(["clang", "-g", "-O2", "-target", "bpf", "-c", source, "-o", object]);
    await node.exec(["tc", "qdisc", "add", "dev", "eth0", "clsact"]);
    const filter = ["handle", "0xc1", "bpf", "da", "obj", object, "sec", "tc"];
    await node.exec(["tc", "filter", "add", "dev", "eth0", "ingress", "prio", "1", ...filter]);
    const vips = [{ "total-nodes": 2, "local-node": [1, 2], engine: "bpf" }];
    const daemon = await startDaemon(lab, node, { vips, env: { CLUSTERIPD_CLSACT: "1" } });
    expect(daemon.log()).toMatch(
      /"nic":"eth0","msg":"replaces the programs of another version of clusteripd, .*nothing is taken over/,
    );
    await answersPing(lab.client(), lab.vip);
  });

  it("with both it is adopted", async () => {
    await leave();
    const vips = [{ "total-nodes": 2, "local-node": [1, 2], engine: "bpf" }];
    const daemon = await startDaemon(lab, node, { vips, env: { CLUSTERIPD_XDP: "native" } });
    expect(await xdpOf()).toBe("clusterip_xdp");
    expect(daemon.log()).not.toContain("of another version");
    await answersPing(lab.client(), lab.vip);
  });
});
