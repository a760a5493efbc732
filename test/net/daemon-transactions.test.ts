/**
 * All or nothing: whichever call of `ip` or `nft` fails, and however (before, halfway, after), the request is refused
 * with a sentence, and host and status are what they were. A removal is never undone: it ends with nothing left.
 */
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { stringify } from "yaml";
import { add, settingsOf, statusOf } from "../support/daemon/api.ts";
import { clusterip, type Daemon, recover, startDaemon, writeConfig } from "../support/daemon/daemon.ts";
import {
  FailingTools,
  type FailureMode,
  failureModes,
  isAnotherFailure,
} from "../support/daemon/failing-tools.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot, sortedLines } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { daemonProgram } from "../support/lab/paths.ts";
import { answersPing } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const SECOND_VIP = "10.77.0.101";
const THIRD_VIP = "10.77.0.102";
const LOCAL = { nic: "eth0", "total-nodes": 2, "local-node": [1, 2] };
/**
 * With the other engine, once more, other calls come in between: which can fail matters there, and not how. A start makes
 * the same calls with both.
 */
const isOnceMore = process.env["CLUSTERIPD_AUTO_ENGINE"] !== undefined;
const modes = isOnceMore ? (["half"] as const) : failureModes;
/** No request needs so many calls. */
const MAX_CALLS = 40;

describeNet("daemon: transactions", { tools: ["flock", "ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let tools: FailingTools;
  let daemon: Daemon;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    tools = new FailingTools(lab, node);
    daemon = await start([{ ...LOCAL, vip: lab.vip }]);
  });
  afterAll(() => lab.close());

  const start = (vips: { vip: string; "total-nodes": number; "local-node": number[] }[]): Promise<Daemon> =>
    startDaemon(lab, node, { vips, env: tools.env });

  /**
   * A round for the n-th call that fails, n = 1, 2, ..., until it needs fewer calls than that; and in each way that is
   * another one for that call.
   *
   * @param round resolves with the call that has failed, if one has
   */
  async function eachFailure(
    round: (mode: FailureMode, call: number) => Promise<string | undefined>,
  ): Promise<void> {
    const calls = new Map<number, string>();
    for (const mode of modes) {
      for (let call = 1; call < MAX_CALLS; call += 1) {
        const known = calls.get(call);
        if (known !== undefined && mode !== modes[0] && !isAnotherFailure(mode, known)) continue;
        const failed = await round(mode, call);
        if (failed === undefined) break;
        calls.set(call, failed);
      }
    }
  }

  /** @returns how many failures of each kind were a refusal */
  async function everyFailure(
    request: () => Promise<{ refusal: string | undefined }>,
    revert: () => Promise<void>,
  ): Promise<Record<string, number>> {
    const refusals: Record<string, number> = {};
    await eachFailure(async (mode, call) => {
      await tools.quiet();
      const before = { host: sortedLines(await snapshot(node)), status: await settingsOf(daemon) };
      tools.arm(call, mode);
      const { refusal } = await request();
      const failed = tools.disarm();
      if (failed === undefined) expect(refusal, "nothing failed, so nothing is refused").toBeUndefined();
      if (refusal === undefined) {
        // Or a look that failed after all was done, or that was made again: the request is in force as a whole.
        await revert();
        return failed;
      }
      refusals[mode] = (refusals[mode] ?? 0) + 1;
      expect(refusal, `call ${call}, ${mode}`).toMatch(/is made to fail|cannot|failed/);
      await tools.quiet();
      expect(sortedLines(await snapshot(node)), `call ${call}, ${mode}`).toBe(before.host);
      expect(await settingsOf(daemon), `call ${call}, ${mode}`).toEqual(before.status);
      await answersPing(lab.client(), lab.vip);
      return failed;
    });
    return refusals;
  }

  async function client(args: readonly string[]): Promise<{ refusal: string | undefined }> {
    const { status, stderr } = await clusterip(lab, node, args);
    if (status === 0) return { refusal: undefined };
    expect(status).toBe(1);
    expect(stderr).toMatch(/^clusterip: .*\[CLUSTERIP_[A-Z_]+\]\n$/s);
    return { refusal: stderr };
  }

  it("add", async () => {
    const args = ["add", SECOND_VIP, "--nic", "eth0", "--total-nodes", "2", "--local-node", "1"];
    const refusals = await everyFailure(
      () => client(args),
      async () => expect((await clusterip(lab, node, ["del", SECOND_VIP])).status).toBe(0),
    );
    console.log("add: refused", refusals);
    expect(refusals[modes[0]]).toBeGreaterThanOrEqual(2);
  });

  it("del: whichever call fails, nothing is left in the end", async () => {
    await tools.quiet();
    const without = { host: sortedLines(await snapshot(node)), vips: await vipsOf() };
    await eachFailure(async (mode, call) => {
      await add(daemon, { ...LOCAL, vip: SECOND_VIP });
      await tools.quiet();
      tools.arm(call, mode);
      const { refusal } = await client(["del", SECOND_VIP]);
      const failed = tools.disarm();
      // Not served any more, whatever is left.
      expect(await vipsOf(), `call ${call}, ${mode}`).toEqual(without.vips);
      if (refusal !== undefined) expect(refusal).toMatch(/is not served any more.*is made to fail/);
      await until(async () =>
        expect(sortedLines(await snapshot(node)), `call ${call}, ${mode}`).toBe(without.host),
      );
      await until(async () => expect((await statusOf(daemon)).problems).toEqual([]));
      await answersPing(lab.client(), lab.vip);
      return failed;
    });
  });

  async function vipsOf(): Promise<string[]> {
    return (await statusOf(daemon)).virtualIps.map(({ vip }) => vip);
  }

  it("SIGHUP with several changes", async () => {
    const before = [
      { ...LOCAL, vip: lab.vip },
      { ...LOCAL, vip: SECOND_VIP },
    ];
    const after = [
      { ...LOCAL, vip: lab.vip, "local-node": [1, 2], "total-nodes": 2 },
      { ...LOCAL, vip: SECOND_VIP, "hash-init": 7 },
      { ...LOCAL, vip: THIRD_VIP, "local-node": [2] },
    ];
    expect(await reload(before)).toEqual({ refusal: undefined });
    const refusals = await everyFailure(
      () => reload(after),
      async () => expect(await reload(before)).toEqual({ refusal: undefined }),
    );
    console.log("SIGHUP: refused", refusals);
    expect(refusals[modes[0]]).toBeGreaterThanOrEqual(2);
    expect(await reload([{ ...LOCAL, vip: lab.vip }])).toEqual({ refusal: undefined });
  });

  it("a host on which nothing works for a while is as before when it works again", async () => {
    await tools.quiet();
    const before = { host: sortedLines(await snapshot(node)), status: await settingsOf(daemon) };
    tools.arm(5, "before", true);
    const args = ["add", SECOND_VIP, "--nic", "eth0", "--total-nodes", "2", "--local-node", "1"];
    expect((await client(args)).refusal).toContain("is made to fail");
    expect(tools.disarm()).toBeDefined();
    await until(async () => expect(sortedLines(await snapshot(node))).toBe(before.host));
    await answersPing(lab.client(), lab.vip);
    await until(async () => expect((await settingsOf(daemon)) as object).toMatchObject({ problems: [] }));
  });

  if (isOnceMore) return;

  it("start", async () => {
    await daemon.kill();
    await recover(lab, node);
    const before = await snapshot(node);
    const config = writeConfig(lab, node, [
      { ...LOCAL, vip: lab.vip },
      { ...LOCAL, vip: SECOND_VIP },
    ]);
    // Not in the environment of the launcher: its own call of ip is not to be counted.
    const argv = [
      "env",
      `PATH=${tools.env.PATH}`,
      daemonProgram,
      "--config",
      config,
      "--socket",
      daemon.socket,
    ];
    let refused = 0;
    for (let call = 1; call < MAX_CALLS; call += 1) {
      tools.arm(call, "before");
      const child = node.spawn(argv);
      let said = "";
      child.child.stderr?.on("data", (text: Buffer) => {
        said += text.toString();
      });
      await until(() => {
        if (child.running) expect(said).toContain('"serving"');
      });
      if (child.running) {
        // What the host refused once is served when it is tried again.
        const failed = tools.disarm();
        await until(async () => expect((await statusOf(daemon)).problems).toEqual([]));
        for (const vip of [lab.vip, SECOND_VIP]) await answersPing(lab.client(), vip);
        expect(await child.kill("SIGTERM")).toEqual({ code: 0, signal: null });
        expect(await snapshot(node), `call ${call}`).toBe(before);
        if (failed === undefined) break;
        continue;
      }
      refused += 1;
      tools.disarm();
      expect(await child.exited).toEqual({ code: 1, signal: null });
      expect(said).toMatch(/^clusteripd: .*\[CLUSTERIP_(HOST|NO_TOOL)\]$/ms);
      expect(await snapshot(node), `call ${call}`).toBe(before);
    }
    console.log("start: refused", refused);
    // What a daemon needs to be one at all: the tools, its device, a first look.
    expect(refused).toBeGreaterThanOrEqual(3);
    expect(await snapshot(node)).toBe(before);
  });

  it("start after a kill -9: no address stays without its tables", async () => {
    await daemon.kill();
    await recover(lab, node);
    const vips = [{ ...LOCAL, vip: lab.vip }];
    // The address is wanted again, but more than that: tables and addresses change.
    const wanted = [...vips, { ...LOCAL, vip: SECOND_VIP }];
    let refused = 0;
    for (let call = 1; call < MAX_CALLS; call += 1) {
      await (await startDaemon(lab, node, { vips })).kill("SIGKILL");
      expect(await snapshot(node)).toContain(`inet ${lab.vip}/32`);
      tools.arm(call, "before");
      const config = writeConfig(lab, node, wanted);
      const argv = [daemonProgram, "--config", config, "--socket", daemon.socket];
      const child = node.spawn(["env", `PATH=${tools.env.PATH}`, ...argv], { stdio: "ignore" });
      await until(async () => {
        if (child.running) await statusOf({ socket: daemon.socket });
      });
      const hasEnded = !child.running;
      const failed = tools.disarm();
      const state = await snapshot(node);
      expect(
        /inet 10\.77\.0\.10[01]\/32/.test(state) && !state.includes("table arp clusteripd"),
        `call ${call}`,
      ).toBe(false);
      if (hasEnded) refused += 1;
      else await child.kill("SIGKILL");
      await recover(lab, node);
      if (failed === undefined) break;
    }
    expect(refused).toBeGreaterThanOrEqual(3);
  });

  /** Sends SIGHUP and waits for what the daemon says about it. */
  async function reload(vips: object[]): Promise<{ refusal: string | undefined }> {
    writeFileSync(daemon.configFile, stringify({ "virtual-ips": vips }));
    const seen = daemon.log().length;
    daemon.signal("SIGHUP");
    const said = await until(() => {
      const line = /.*("reloaded"|reload refused).*\n/.exec(daemon.log().slice(seen))?.[0];
      expect(line).toBeDefined();
      return line ?? "";
    });
    return { refusal: said.includes("reload refused") ? said : undefined };
  }
});
