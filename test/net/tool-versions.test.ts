/**
 * Tools that are particular about their standard input: nft 1.0.9 (Ubuntu 24.04) takes a file or a FIFO, and no socket,
 * which is what Node.js gives a child. Nobody promises that `ip` will always take one.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { add, del, settingsOf } from "../support/daemon/api.ts";
import { clusterip, startDaemon } from "../support/daemon/daemon.ts";
import { envWithNft } from "../support/daemon/failing-tools.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { answersPing } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

/** As filename_is_useable() of nft does it, whatever is read. */
const ONLY_FILES = `case " $* " in *" - "*)
  if [ ! -f /dev/stdin ] && [ ! -p /dev/stdin ]; then echo 'Error: Not a regular file: "/dev/stdin"' >&2; exit 1; fi
esac`;

const LOCAL = { "total-nodes": 2, "local-node": [1, 2] };
const OTHER = "10.77.0.101";

describeNet("tools that take only a file or a FIFO as input", { tools: ["ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let env: Record<string, string>;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    env = await envWithNft(lab, node, ONLY_FILES, ["nft", "ip"]);
  });
  afterAll(() => lab.close());

  it("the stand-ins refuse a socket", async () => {
    const feed = `require("child_process").spawn("nft", ["-f", "-"], { stdio: ["pipe", 2, 2] }).on("exit", process.exit)`;
    const { status, stderr } = await node.tryExec([process.execPath, "-e", feed], { env });
    expect({ status, stderr }).toEqual({ status: 1, stderr: 'Error: Not a regular file: "/dev/stdin"\n' });
  });

  for (const engine of ["auto", "userspace"] as const) {
    it(`serve, add, repair, delete, clean up with engine ${engine}`, async () => {
      const before = await snapshot(node);
      const daemon = await startDaemon(lab, node, { vips: [{ ...LOCAL, engine }], env });
      await answersPing(lab.client(), lab.vip);
      await add(daemon, { vip: OTHER, nic: "eth0", ...LOCAL, engine });
      await answersPing(lab.client(), OTHER);
      await node.exec(["nft", "flush", "ruleset"]);
      await node.ip("address", "flush", "to", `${lab.vip}/32`);
      await until(() => node.exec(["nft", "list", "table", "arp", "clusteripd"]));
      await until(async () => expect(await node.ip("address")).toContain(`${lab.vip}/32`));
      await answersPing(lab.client(), lab.vip);
      await del(daemon, OTHER);
      expect(await settingsOf(daemon)).toMatchObject({ virtualIps: [{ vip: lab.vip }], problems: [] });
      await daemon.kill("SIGKILL");
      const { status, stdout } = await clusterip(lab, node, ["cleanup"], { env });
      expect({ status, stdout }).toMatchObject({
        status: 0,
        stdout: expect.stringContaining(`removed address ${lab.vip}/32`),
      });
      expect(await snapshot(node)).toBe(before);
    });
  }
});
