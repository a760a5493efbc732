/**
 * Reading does not wait: while a change or a repair hangs in a tool of the host, status and lists say what was in force
 * last, and the change goes on when the tool does.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { call } from "../../src/api/client.ts";
import { paths } from "../../src/api/contract.ts";
import { add, del, statusOf } from "../support/daemon/api.ts";
import { clusterip, type Daemon, startDaemon, writeConfig } from "../support/daemon/daemon.ts";
import { envWithNft } from "../support/daemon/failing-tools.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { Lab } from "../support/lab/lab.ts";
import { answersPing } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const SECOND_VIP = "10.77.0.101";
const LOCAL = { nic: "eth0", "total-nodes": 2, "local-node": [1, 2], engine: "userspace" };

describeNet("daemon: reads beside a change", { tools: ["ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let daemon: Daemon;
  let gate = "";
  let waiter = "";

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    gate = path.join(lab.directoryOf(node), "gate");
    waiter = path.join(lab.directoryOf(node), "waiter");
    // What the gate names waits as long as it is there; the daemon ends it after ten seconds.
    const first = `case " $* " in
*" monitor "*) ;;
*) while [ "$(cat ${gate} 2>/dev/null)" = "\${0##*/}" ]; do echo $$ >${waiter}; sleep 0.05; done ;;
esac`;
    const env = await envWithNft(lab, node, first, ["nft", "ip"]);
    daemon = await startDaemon(lab, node, { vips: [{ ...LOCAL, vip: lab.vip }], env });
  });
  afterAll(async () => {
    open();
    await lab.close();
  });
  beforeEach(async () => {
    if ((await vipsOf()).includes(SECOND_VIP)) await del(daemon, SECOND_VIP);
    expect(await vipsOf()).toEqual([lab.vip]);
    // Frames, so that a status that lost its counters would be seen.
    await answersPing(lab.client(), lab.vip);
  });

  const open = (): void => rmSync(gate, { force: true });
  const vipsOf = async (): Promise<string[]> => (await statusOf(daemon)).virtualIps.map(({ vip }) => vip);

  /** Lets the tool hang in what `begin` starts, reads meanwhile, and lets it go on. */
  async function readWhileHanging<T>(
    tool: "nft" | "ip",
    begin: () => Promise<unknown>,
    read: () => Promise<T>,
  ): Promise<T> {
    rmSync(waiter, { force: true });
    writeFileSync(gate, tool);
    let isOver = false;
    const change = begin().finally(() => {
      isOver = true;
    });
    // Awaited below, whatever the reading comes to.
    change.catch(() => {});
    try {
      const pid = await until(() => Number(readFileSync(waiter, "utf8").trim() || expect.fail()));
      const answer = await read();
      expect(isOver, "the answer came before the end of the change").toBe(false);
      // Throws where the daemon has ended it meanwhile.
      process.kill(pid, 0);
      return answer;
    } finally {
      open();
      await change;
    }
  }

  const reload = (): Promise<unknown> => call(daemon.socket, "POST", paths.reload);

  async function counted(vip: string): Promise<number> {
    const status = (await statusOf(daemon)).virtualIps.find((v) => v.vip === vip);
    return (status?.buckets ?? []).reduce((sum, { local }) => sum + local.frames, 0);
  }

  const addSecond = (): Promise<unknown> =>
    add(daemon, { ...LOCAL, vip: SECOND_VIP, "local-node": [1], engine: "auto" });

  it.each(["nft", "ip"] as const)("add that hangs in %s: what is served is told at once", async (tool) => {
    const get = (path: string): Promise<unknown> => call(daemon.socket, "GET", path);
    const [vips, list, one, buckets, other] = await readWhileHanging(tool, addSecond, () =>
      Promise.all([
        vipsOf(),
        get(paths.virtualIps),
        get(paths.virtualIp(lab.vip)),
        get(paths.buckets(lab.vip)),
        get(paths.virtualIp(SECOND_VIP)).catch((error: unknown) => error),
      ]),
    );
    expect(vips).toEqual([lab.vip]);
    expect(list).toMatchObject([{ vip: lab.vip }]);
    expect(one).toMatchObject({ vip: lab.vip });
    expect(buckets).toEqual({ nodes: [1, 2] });
    expect(other).toMatchObject({ code: "CLUSTERIP_NOT_FOUND" });
    expect(await vipsOf()).toEqual([lab.vip, SECOND_VIP]);
  });

  it("clusterip status answers beside a change", async () => {
    const status = (): Promise<{ status: number | null }> => clusterip(lab, node, ["status"]);
    expect(await readWhileHanging("nft", addSecond, status)).toMatchObject({ status: 0 });
  });

  it("a reload that has taken the virtual IP from its engine: it is told with the counters that it had", async () => {
    const before = await counted(lab.vip);
    expect(before).toBeGreaterThan(0);
    writeConfig(lab, node, [{ ...LOCAL, vip: lab.vip, "hash-init": 7 }]);
    const during = await readWhileHanging("nft", reload, async () => ({
      frames: await counted(lab.vip),
      seed: (await statusOf(daemon)).virtualIps[0]?.hashInit,
    }));
    expect(during).toEqual({ frames: before, seed: 0 });
    expect((await statusOf(daemon)).virtualIps[0]?.hashInit).toBe(7);
    writeConfig(lab, node, [{ ...LOCAL, vip: lab.vip }]);
    await reload();
  });

  it("del that hangs: it is told as it was until it is removed", async () => {
    await addSecond();
    const served = [lab.vip, SECOND_VIP];
    expect(await readWhileHanging("ip", () => del(daemon, SECOND_VIP), vipsOf)).toEqual(served);
    expect(await vipsOf()).toEqual([lab.vip]);
  });

  it("a repair that hangs: the repairs that are done are told", async () => {
    const repairs = async (): Promise<number> => (await statusOf(daemon)).repairs.nft.count;
    const before = await repairs();
    const flush = async (): Promise<void> => {
      // Not the stand-in.
      await node.exec(["nft", "delete", "table", "arp", "clusteripd"]);
      await until(async () => expect(await repairs()).toBeGreaterThan(before));
    };
    expect(await readWhileHanging("nft", flush, repairs)).toBe(before);
    expect(await repairs()).toBeGreaterThan(before);
    await answersPing(lab.client(), lab.vip);
  });
});
