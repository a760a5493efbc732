/** The lab's way with the daemon: started, refused, killed and started again. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { clusterip, startDaemon } from "../support/daemon/daemon.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { Lab } from "../support/lab/lab.ts";

describeNet("lab daemon", {}, () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
  });

  afterAll(() => lab.close());

  it("resolves when the daemon answers, and ends it with a signal", async () => {
    const daemon = await startDaemon(lab, lab.node(1), {
      vips: [{ "total-nodes": 3, "local-node": [1, 3] }],
    });
    expect(await clusterip(lab, lab.node(1), ["nodes", lab.vip])).toMatchObject({
      status: 0,
      stdout: "1,3\n",
    });
    expect(await daemon.kill("SIGTERM")).toEqual({ code: 0, signal: null });
    expect((await clusterip(lab, lab.node(1), ["status"])).status).toBe(3);
  });

  it("rejects with the daemon's own words when it refuses to start", async () => {
    const vips = [{ "total-nodes": 3, "local-node": [4] }];
    await expect(startDaemon(lab, lab.node(1), { vips })).rejects.toThrow(/local-node/);
  });

  it("starts again on the socket of a daemon that was killed", async () => {
    const vips = [{ "total-nodes": 2, "local-node": [1] }];
    const first = await startDaemon(lab, lab.node(1), { vips });
    expect(await first.kill("SIGKILL")).toEqual({ code: null, signal: "SIGKILL" });
    const second = await startDaemon(lab, lab.node(1), { vips });
    expect(second.running).toBe(true);
    await second.kill();
  });
});
