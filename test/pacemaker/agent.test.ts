/** The resource agent alone, in the manner of ocft: what Pacemaker may ask, in any order, on a host that is not well. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { clusterip, type Daemon, socketOf, startDaemon } from "../support/daemon/daemon.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { Lab } from "../support/lab/lab.ts";
import { clientProgram, projectRoot } from "../support/lab/paths.ts";
import { type ExecResult, run, runChecked } from "../support/lab/processes.ts";
import { pings } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";
import { capture } from "../support/wire/capture.ts";

const AGENT = path.join(projectRoot, "packaging/ocf/ClusterIP");
const ocf = {
  success: 0,
  generic: 1,
  args: 2,
  unimplemented: 3,
  installed: 5,
  configured: 6,
  notRunning: 7,
} as const;

type Environment = Record<string, string>;

/** Those of one action, its shell and the subshells among them. */
const MOST_PROCESSES = { start: 3, monitor: 3, stop: 4 } as const;

describeNet("resource agent", { tools: ["ocf-tester", "curl", "perl", "ping", "tcpdump"] }, () => {
  let lab: Lab;
  let daemon: Daemon;

  const start = (): Promise<Daemon> => startDaemon(lab, lab.node(1), { vips: [] });
  const nodes = async (): Promise<string> =>
    (await clusterip(lab, lab.node(1), ["nodes", lab.vip])).stdout.trim();

  function agent(action: string, extra: Environment = {}): Promise<ExecResult> {
    return lab.node(1).tryExec([AGENT, action], { env: environment(extra) });
  }

  function environment(extra: Environment = {}): Environment {
    return {
      OCF_ROOT: "/usr/lib/ocf",
      OCF_RESOURCE_INSTANCE: "vip:0",
      OCF_RESKEY_ip: lab.vip,
      OCF_RESKEY_socket: socketOf(lab, lab.node(1)),
      OCF_RESKEY_restart_wait: "1",
      OCF_RESKEY_CRM_meta_clone: "0",
      OCF_RESKEY_CRM_meta_clone_max: "3",
      OCF_RESKEY_CRM_meta_globally_unique: "true",
      OCF_RESKEY_CRM_meta_interval: "10000",
      PATH: `${path.join(projectRoot, "bin")}:${process.env["PATH"]}`,
      ...extra,
    };
  }

  const instance = (number: number): Environment => ({ OCF_RESKEY_CRM_meta_clone: String(number) });
  const all = [0, 1, 2].map(instance);
  const statusOf = async (action: string, extra?: Environment): Promise<number> =>
    (await agent(action, extra)).status;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    daemon = await start();
  });
  afterEach(async () => {
    if (daemon.running) await daemon.kill("SIGTERM");
    await clusterip(lab, lab.node(1), ["cleanup"]);
  });

  it("passes ocf-tester", async () => {
    const options = Object.entries({
      ip: lab.vip,
      socket: daemon.socket,
      CRM_meta_clone: "0",
      CRM_meta_clone_max: "3",
      CRM_meta_globally_unique: "true",
    }).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    const tester = ["ocf-tester", "-n", "vip", ...options, AGENT];
    const { status, stdout } = await lab.node(1).tryExec(tester);
    expect(stdout).toContain("passed all tests");
    expect(status).toBe(0);
  });

  it("start, monitor and stop, each of them twice", async () => {
    expect(await statusOf("monitor")).toBe(ocf.notRunning);
    for (let round = 0; round < 2; round += 1) expect(await statusOf("start")).toBe(ocf.success);
    for (let round = 0; round < 2; round += 1) expect(await statusOf("monitor")).toBe(ocf.success);
    expect(await statusOf("monitor", instance(1))).toBe(ocf.notRunning);
    for (let round = 0; round < 2; round += 1) expect(await statusOf("stop")).toBe(ocf.success);
    expect(await statusOf("monitor")).toBe(ocf.notRunning);
  });

  it("an action is made of few processes: a bucket is nobody's until they have all run", async () => {
    const counts: Record<string, number> = {};
    for (const action of ["start", "monitor", "stop"]) {
      // In a PID namespace of its own: the next number tells how many processes there have been.
      const count = '"$@" >&2 || exit; true & echo $!';
      const argv = ["unshare", "--pid", "--fork", "sh", "-c", count, "sh", AGENT, action];
      const { status, stdout } = await lab.node(1).tryExec(argv, { env: environment() });
      expect(status, action).toBe(ocf.success);
      counts[action] = Number(stdout) - 2;
    }
    console.log("processes of an action", counts);
    for (const [action, most] of Object.entries(MOST_PROCESSES)) {
      expect(counts[action], action).toBeGreaterThan(0);
      expect(counts[action], action).toBeLessThanOrEqual(most);
    }
  });

  it("all instances of a clone start at once, and stop at once", async () => {
    const instances = Array.from({ length: 8 }, (_, number) => ({
      ...instance(number),
      OCF_RESKEY_CRM_meta_clone_max: "8",
    }));
    expect(await Promise.all(instances.map((extra) => statusOf("start", extra)))).toEqual(Array(8).fill(0));
    expect(await nodes()).toBe("1,2,3,4,5,6,7,8");
    expect(await Promise.all(instances.map((extra) => statusOf("monitor", extra)))).toEqual(Array(8).fill(0));
    expect(await Promise.all(instances.map((extra) => statusOf("stop", extra)))).toEqual(Array(8).fill(0));
    // With the last bucket goes the address.
    const addresses = (): Promise<string> => lab.node(1).ip("addr", "show");
    await until(async () => expect(await addresses()).not.toContain(lab.vip));
  });

  it("announces the address with the cluster MAC, from the MAC of the interface", async () => {
    const captured = await capture(lab, lab.switch, "arp");
    const extra = { OCF_RESKEY_arp_count: "2", OCF_RESKEY_arp_interval: "50", OCF_RESKEY_arp_bg: "false" };
    expect(await agent("start", extra)).toMatchObject({ status: ocf.success });
    const file = await captured.stop();
    const text = await lab.node(1).exec(["tcpdump", "-e", "-n", "-r", file]);
    const frames = text
      .split("\n")
      .filter((line) => line.includes(`${lab.node(1).mac} > ff:ff:ff:ff:ff:ff`))
      // Probes (RFC 5227) ask whether somebody else has the address.
      .filter((line) => !line.includes("tell 0.0.0.0"));
    expect(frames.filter((line) => line.includes(`Request who-has ${lab.vip}`))).toHaveLength(2);
    const mac = JSON.parse(
      (await clusterip(lab, lab.node(1), ["status", lab.vip, "--json"])).stdout,
    ).clusterMac;
    expect(frames.filter((line) => line.includes(`Reply ${lab.vip} is-at ${mac}`))).toHaveLength(2);
  });

  it("refuses what cannot work, with what to write instead", async () => {
    const refused: readonly (readonly [Environment, number, RegExp])[] = [
      [{ OCF_RESKEY_CRM_meta_globally_unique: "false" }, ocf.configured, /globally-unique=true/],
      [{ OCF_RESKEY_CRM_meta_clone: "", OCF_RESKEY_CRM_meta_clone_max: "" }, ocf.configured, /clone NAME/],
      [{ OCF_RESKEY_CRM_meta_clone_max: "1" }, ocf.configured, /clone-max=2 to clone-max=16/],
      [{ OCF_RESKEY_CRM_meta_clone_max: "17" }, ocf.configured, /clone-max=2 to clone-max=16/],
      [{ OCF_RESKEY_clusterip_hash: "destip" }, ocf.configured, /sourceip-sourceport/],
      [{ OCF_RESKEY_ip: "" }, ocf.configured, /ip=ADDRESS/],
      [{ OCF_RESKEY_mac: "02:00:00:00:00:01" }, ocf.configured, /unicast/],
      [{ OCF_RESKEY_cidr_netmask: "33" }, ocf.configured, /cidr-netmask/],
      [{ OCF_RESKEY_broadcast: "10.77.0" }, ocf.configured, /broadcast/],
      [{ OCF_RESKEY_hash_init: "x" }, ocf.configured, /hash-init/],
      [{ OCF_RESKEY_engine: "magic" }, ocf.configured, /engine/],
      [{ OCF_RESKEY_arp_count: "08" }, ocf.configured, /arp_count/],
      // Good on a node that has them.
      [{ OCF_RESKEY_nic: "e/th0" }, ocf.args, /interface name/],
      [{ OCF_RESKEY_nic: 'e"th"0' }, ocf.args, /no interface e"th"0/],
      [{ OCF_RESKEY_nic: "eth9" }, ocf.args, /no interface eth9/],
      [{ OCF_RESKEY_nic: "lo" }, ocf.args, /no Ethernet/],
      [{ OCF_RESKEY_ip: "203.0.113.1" }, ocf.args, /No network of any interface holds/],
      [{ OCF_RESKEY_ip: "203.0.113.1", OCF_RESKEY_nic: "eth0" }, ocf.args, /No network of eth0/],
    ];
    for (const [extra, status, sentence] of refused) {
      const result = await agent("start", extra);
      expect([result.status, result.stderr], JSON.stringify(extra)).toEqual([
        status,
        expect.stringMatching(sentence),
      ]);
      // A probe bans no node, a monitor finds nothing, and a stop is done: nothing can run with these.
      expect(await statusOf("monitor", { ...extra, OCF_RESKEY_CRM_meta_interval: "0" })).toBe(ocf.notRunning);
      expect(await statusOf("monitor", extra), JSON.stringify(extra)).toBe(ocf.notRunning);
      expect(await statusOf("stop", extra), JSON.stringify(extra)).toBe(ocf.success);
    }
    expect(await statusOf("promote")).toBe(ocf.unimplemented);
  });

  it("cidr_netmask means a route to the clients where the interface has no address of the network", async () => {
    const node = lab.node(1);
    const given = { OCF_RESKEY_nic: "eth0", OCF_RESKEY_cidr_netmask: "24" };
    const routes = (): Promise<string> => node.ip("route", "show", "dev", "eth0");
    const own = `${node.address}/24`;
    await node.ip("address", "flush", "dev", "eth0");
    try {
      for (const extra of all) {
        expect(await agent("start", { ...given, ...extra })).toMatchObject({ status: ocf.success });
      }
      expect(await routes()).toContain("10.77.0.0/24 scope link metric 52467");
      expect(await pings(lab.client(), lab.vip)).toBe(true);
      // The kernel forgets the routes of an interface that goes down.
      await node.linkDown();
      await node.linkUp();
      await until(async () => expect(await routes()).toContain("metric 52467"));
      await until(async () => expect(await pings(lab.client(), lab.vip)).toBe(true));
      // Not needed any more.
      await node.ip("address", "add", own, "dev", "eth0");
      await until(async () => expect(await routes()).not.toContain("metric 52467"));
      await node.ip("address", "del", own, "dev", "eth0");
      await until(async () => expect(await routes()).toContain("metric 52467"));
      await daemon.kill("SIGKILL");
      await clusterip(lab, node, ["cleanup", "--keep-state"]);
      expect(await routes()).toBe("");
      daemon = await start();
      expect(await routes()).toContain("metric 52467");
      for (const extra of all) expect(await statusOf("stop", { ...given, ...extra })).toBe(ocf.success);
      await until(async () => expect(await routes()).toBe(""));
    } finally {
      await node.ip("address", "add", own, "brd", "+", "dev", "eth0");
    }
  });

  it("a second resource with other settings for the address is refused", async () => {
    expect(await statusOf("start")).toBe(ocf.success);
    const other = await agent("start", { ...instance(1), OCF_RESKEY_clusterip_hash: "sourceip" });
    expect(other.status).toBe(ocf.args);
    expect(other.stderr).toContain("hashmode sourceip-sourceport, not sourceip");
  });

  it("another resource's bucket is not running by the probe of this one, and not taken away by its stop", async () => {
    const given = { OCF_RESKEY_nic: "eth0" };
    expect(await statusOf("start", given)).toBe(ocf.success);
    const mac = JSON.parse(
      (await clusterip(lab, lab.node(1), ["status", lab.vip, "--json"])).stdout,
    ).clusterMac;
    const same = { ...given, OCF_RESKEY_mac: mac.toUpperCase(), OCF_RESKEY_engine: "auto" };
    const others: readonly Environment[] = [
      { OCF_RESKEY_CRM_meta_clone_max: "4" },
      { OCF_RESKEY_clusterip_hash: "sourceip" },
      { OCF_RESKEY_hash_init: "7" },
      { OCF_RESKEY_nic: "eth1" },
      { OCF_RESKEY_mac: "01:00:5e:00:00:20" },
    ];
    const check = async (checked = others): Promise<void> => {
      for (const extra of checked) {
        const text = JSON.stringify(extra);
        expect(await statusOf("monitor", { ...extra, OCF_RESKEY_CRM_meta_interval: "0" }), text).toBe(
          ocf.notRunning,
        );
        expect(await statusOf("stop", extra), text).toBe(ocf.success);
      }
    };
    await check();
    expect(await nodes()).toBe("1");
    expect(await statusOf("monitor", same)).toBe(ocf.success);
    // Nor do they say so, or leave a note that takes it away, while no daemon answers.
    await daemon.kill("SIGKILL");
    await check(others.slice(0, 3));
    daemon = await start();
    expect(await nodes()).toBe("1");
    expect(await statusOf("stop", same)).toBe(ocf.success);
    expect(await statusOf("monitor", same)).toBe(ocf.notRunning);
  });

  it("a start says success only when frames are answered here, and gives the bucket up otherwise", async () => {
    try {
      await lab.node(1).linkDown();
      const first = await agent("start");
      expect([first.status, first.stderr]).toEqual([ocf.generic, expect.stringContaining("eth0 is down")]);
      expect(await statusOf("monitor")).toBe(ocf.notRunning);
      expect(await lab.node(1).ip("addr", "show", "dev", "eth0")).not.toContain(`${lab.vip}/`);
      await lab.node(1).linkUp();
      await until(async () => expect(await statusOf("start")).toBe(ocf.success));
      await lab.node(1).linkDown();
      await until(async () => expect(await statusOf("monitor")).toBe(ocf.generic));
      // The second bucket of an address that is served already, and the same one asked for again.
      for (const extra of [instance(1), instance(0)])
        expect(await statusOf("start", extra)).toBe(ocf.generic);
      expect(await statusOf("monitor")).toBe(ocf.notRunning);
    } finally {
      await lab.node(1).linkUp();
    }
  });

  it("monitor finds the interface down, and well again", async () => {
    expect(await statusOf("start")).toBe(ocf.success);
    await lab.node(1).linkDown();
    await until(async () =>
      expect(await agent("monitor")).toMatchObject({
        status: ocf.generic,
        stderr: expect.stringContaining("eth0 is down"),
      }),
    );
    expect(await statusOf("stop")).toBe(ocf.success);
    await lab.node(1).linkUp();
    expect(await statusOf("start")).toBe(ocf.success);
    await until(async () => expect(await statusOf("monitor")).toBe(ocf.success));
  });

  it("the address removed and nft flushed by hand: put back before the next monitor", async () => {
    expect(await statusOf("start")).toBe(ocf.success);
    await lab.node(1).ip("addr", "del", `${lab.vip}/32`, "dev", "lo");
    await lab.node(1).exec(["nft", "flush", "ruleset"]);
    await until(async () => expect(await lab.node(1).ip("addr", "show", "dev", "lo")).toContain(lab.vip));
    await until(async () => expect(await lab.node(1).exec(["nft", "list", "ruleset"])).toContain("drop"));
    expect(await statusOf("monitor")).toBe(ocf.success);
  });

  it("a packet path that does not move is not running", async () => {
    expect(await statusOf("start")).toBe(ocf.success);
    daemon.signal("SIGSTOP");
    const asked = agent("monitor");
    expect((await asked).status).toBe(ocf.generic);
    daemon.signal("SIGCONT");
  });

  it("daemon killed and not restarted: monitor fails, stop succeeds and leaves nothing that comes back", async () => {
    expect(await statusOf("start")).toBe(ocf.success);
    expect(await statusOf("start", instance(2))).toBe(ocf.success);
    await daemon.kill("SIGKILL");
    expect(await statusOf("monitor")).toBe(ocf.generic);
    // This node never had instance 1: no daemon can bring it back.
    expect(await statusOf("monitor", instance(1))).toBe(ocf.notRunning);
    expect(await statusOf("stop", instance(1))).toBe(ocf.success);
    expect(await statusOf("stop")).toBe(ocf.success);
    expect(await lab.node(1).exec(["nft", "list", "ruleset"])).toBe("");
    daemon = await start();
    expect(await nodes()).toBe("3");
    expect(await statusOf("monitor")).toBe(ocf.notRunning);
    expect(await statusOf("monitor", instance(2))).toBe(ocf.success);
    expect(readdirSync(lab.directoryOf(lab.node(1))).filter((name) => name.includes("released"))).toEqual([]);
  });

  const startWithBpf = async (): Promise<void> => {
    for (const extra of all) {
      expect(await agent("start", { ...extra, OCF_RESKEY_engine: "bpf" })).toMatchObject({ status: 0 });
    }
  };

  it("engine bpf: the node of a killed daemon answers until the stop, and not after it", async () => {
    await startWithBpf();
    await daemon.kill("SIGKILL");
    expect(await statusOf("monitor")).toBe(ocf.generic);
    expect(await pings(lab.client(), lab.vip)).toBe(true);
    expect(await statusOf("stop")).toBe(ocf.success);
    expect(await pings(lab.client(), lab.vip)).toBe(false);
    for (const extra of all) expect(await statusOf("stop", extra)).toBe(ocf.success);
  });

  it("engine bpf: a daemon killed over the stop itself, with the release saved and not in force", async () => {
    await startWithBpf();
    await daemon.kill("SIGKILL");
    const state = daemon.socket.replace(/sock$/, "state");
    writeFileSync(state, readFileSync(state, "utf8").replace('"local-node":[1,2,3]', '"local-node":[2,3]'));
    rmSync(daemon.socket);
    const dying = createServer((connection) => {
      connection.once("data", () => {
        connection.destroy();
        dying.close();
      });
    }).listen(daemon.socket);
    expect(await statusOf("stop")).toBe(ocf.success);
    expect(await pings(lab.client(), lab.vip)).toBe(false);
    for (const extra of all) expect(await statusOf("stop", extra)).toBe(ocf.success);
  });

  it("a daemon stopped in order leaves nothing that answers: a stop waits for nobody, and nothing comes back", async () => {
    for (const extra of all.slice(0, 2)) expect(await statusOf("start", extra)).toBe(ocf.success);
    await daemon.kill("SIGTERM");
    // Longer than the test may take: to wait would fail it.
    const patient = { OCF_RESKEY_restart_wait: "1000" };
    expect(await statusOf("stop", patient)).toBe(ocf.success);
    daemon = await start();
    expect(await nodes()).toBe("2");
    expect(await statusOf("monitor")).toBe(ocf.notRunning);
    expect(await statusOf("monitor", instance(1))).toBe(ocf.success);
  });

  it("start without a daemon says what to do", async () => {
    await daemon.kill("SIGTERM");
    const result = await agent("start");
    expect([result.status, result.stderr]).toEqual([
      ocf.generic,
      expect.stringContaining("is clusteripd.service running"),
    ]);
  });

  it.each(["SIGTERM", "SIGKILL"] as const)("a restart by %s keeps the buckets", async (signal) => {
    expect(await statusOf("start")).toBe(ocf.success);
    expect(await statusOf("start", instance(2))).toBe(ocf.success);
    await daemon.kill(signal);
    const waiting = agent("monitor", { OCF_RESKEY_restart_wait: "10" });
    daemon = await start();
    expect((await waiting).status).toBe(ocf.success);
    expect(await nodes()).toBe("1,3");
  });

  it("a full disk beside the socket refuses the change and changes nothing", async () => {
    const directory = path.join(lab.directory, "small");
    await runChecked(["mkdir", "-p", directory]);
    await runChecked(["mount", "-t", "tmpfs", "-o", "size=32k,mode=755", "tmpfs", directory]);
    try {
      await daemon.kill("SIGTERM");
      const socket = path.join(directory, "control.sock");
      daemon = await startDaemon(lab, lab.node(1), { vips: [], socket });
      const extra = { OCF_RESKEY_socket: socket };
      expect(await statusOf("start", extra)).toBe(ocf.success);
      await run(["dd", "if=/dev/zero", `of=${directory}/fill`, "bs=4k", "count=100"]);
      const refused = await agent("start", { ...extra, ...instance(1) });
      expect([refused.status, refused.stderr]).toEqual([
        ocf.generic,
        expect.stringContaining("could not be saved for the next start"),
      ]);
      const asked = await lab.node(1).exec([clientProgram, "--socket", socket, "nodes", lab.vip]);
      expect(asked).toBe("1\n");
      await runChecked(["rm", path.join(directory, "fill")]);
      expect(await statusOf("start", { ...extra, ...instance(1) })).toBe(ocf.success);
      await daemon.kill("SIGTERM");
    } finally {
      await run(["umount", "--lazy", directory]);
    }
  });

  it("asks by curl where there is no perl", async () => {
    const tools = path.join(lab.directory, "tools");
    const without = [
      "mkdir -p $0",
      "cd /usr/bin && for f in *; do [ $f = perl ] || ln -sf /usr/bin/$f $0/$f; done",
    ].join("; ");
    if (!existsSync(tools)) await lab.node(1).exec(["sh", "-c", without, tools]);
    // ocf-shellfuncs appends the usual directories: the agent's own copy must not.
    const functions = path.join(lab.directory, "ocf");
    await lab
      .node(1)
      .exec(["sh", "-c", `mkdir -p ${functions}; cp -r /usr/lib/ocf/lib/heartbeat/. ${functions}`]);
    writeFileSync(
      path.join(functions, "ocf-shellfuncs"),
      `. /usr/lib/ocf/lib/heartbeat/ocf-shellfuncs\nPATH=${tools}\n`,
    );
    const extra = { OCF_FUNCTIONS_DIR: functions };
    expect(await statusOf("start", extra)).toBe(ocf.success);
    expect(await statusOf("monitor", extra)).toBe(ocf.success);
    expect(await statusOf("stop", extra)).toBe(ocf.success);
    expect(await statusOf("monitor", extra)).toBe(ocf.notRunning);
  });
});
