/**
 * scripts/install on a machine with a root file system to throw away: installed there as README.md says, started by a
 * real systemd with all that the unit forbids, reloaded, killed, and uninstalled; `machine` has the topology.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { StatusBody } from "../../src/api/contract.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { projectRoot } from "../support/lab/paths.ts";
import { type ExecResult, ProcessTable, run, runChecked } from "../support/lab/processes.ts";
import { until } from "../support/wait.ts";

const VIRTUAL_IP = "vip: 192.0.2.10, nic: eth0, total-nodes: 3";
const CONFIG = `virtual-ips:\n  - { ${VIRTUAL_IP}, local-node: 1 }\n`;
const CONFIG_FILE = "/etc/clusteripd/clusteripd.yaml";
/** Where a Node.js that is too old stands first in PATH. */
const OLD_NODE = "/opt/old-node";
const CGROUPS = "/sys/fs/cgroup";

describeNet("service under systemd", { tools: ["systemd-analyze", "nsenter", "unshare"] }, () => {
  const processes = new ProcessTable();
  const directory = mkdtempSync(path.join(tmpdir(), "clusteripd-systemd-"));
  const installer = path.join(projectRoot, "scripts/install");
  let filesBefore: string;

  beforeAll(async () => {
    processes.spawn([path.join(projectRoot, "test/support/pacemaker/machine"), directory, projectRoot], {
      stdio: "ignore",
    });
    await until(() => inside("systemctl", "show", "--property", "Version"), 100);
    await makeOldNode();
    filesBefore = await files();
  });

  afterAll(async () => {
    await processes.killAll();
    const name = path.basename(directory);
    for (const hierarchy of ["", "systemd", "devices", "unified"]) {
      await until(() => removeCgroup(path.join(CGROUPS, hierarchy, name)));
    }
    rmSync(directory, { recursive: true, force: true });
  });

  /** A command that has to succeed in the machine. */
  function inside(...argv: string[]): Promise<string> {
    return runChecked(enter(argv));
  }
  function enter(argv: readonly string[]): string[] {
    const init = readFileSync(path.join(directory, "pid"), "utf8").trim();
    return ["nsenter", "-t", init, "-m", "-p", "-n", "-u", "-i", "--", ...argv];
  }
  async function writeConfig(text: string): Promise<void> {
    await runChecked(enter(["sh", "-c", `cat >${CONFIG_FILE}`]), { input: text });
  }

  /** A Node.js that says of itself that it is one of version 18, as Debian 12 has it. */
  async function makeOldNode(): Promise<void> {
    const program = `#!/bin/sh\nexec ${process.execPath} --require ${OLD_NODE}/version.cjs "$@"\n`;
    const version = `const versions = { ...process.versions, node: "18.20.4" };
Object.defineProperties(process, { versions: { value: versions }, execPath: { value: "${OLD_NODE}/node" } });\n`;
    await inside("mkdir", OLD_NODE);
    for (const [name, text] of Object.entries({ node: program, "version.cjs": version })) {
      await runChecked(enter(["tee", `${OLD_NODE}/${name}`]), { input: text });
    }
    await inside("chmod", "755", `${OLD_NODE}/node`);
  }

  /** Of the directories that an installation writes to. */
  function files(): Promise<string> {
    const places = ["/usr/local", "/usr/lib/ocf", "/etc", "/usr/sbin", "/usr/bin"];
    return inside("sh", "-c", `find ${places.join(" ")} ! -type d 2>/dev/null | sort`);
  }
  const install = (...args: string[]): Promise<ExecResult> =>
    run(enter(["env", `PATH=${OLD_NODE}:${process.env["PATH"]}`, installer, ...args]), {
      timeoutMs: 300_000,
    });

  const property = async (name: string, unit = "clusteripd"): Promise<string> =>
    (await inside("systemctl", "show", "--property", name, "--value", unit)).trim();
  const status = async (): Promise<StatusBody> =>
    JSON.parse(await inside("/usr/local/sbin/clusterip", "status", "--json")) as StatusBody;
  const kill = async (): Promise<unknown> => inside("kill", "-KILL", await property("MainPID"));

  async function serves(): Promise<void> {
    const { engines, virtualIps, problems } = await status();
    expect(engines.bpf).toEqual({ isAvailable: true });
    expect(virtualIps.map(({ vip, engine }) => `${vip} ${engine}`)).toEqual(["192.0.2.10 bpf"]);
    expect(problems).toEqual([]);
    expect(await property("StatusText")).toBe("serving 192.0.2.10 (1)");
  }

  async function start(): Promise<void> {
    // Whatever came before does not count; systemd may have forgotten the unit.
    await run(enter(["systemctl", "reset-failed", "clusteripd"]));
    await inside("systemctl", "start", "clusteripd");
    await serves();
  }

  /** Nothing is left on the host, and `cleanup` finds no programs either. */
  async function isClean(): Promise<void> {
    expect(await inside("nft", "list", "ruleset")).toBe("");
    expect(await inside("ip", "-o", "address")).not.toContain("192.0.2.10/");
    expect(await inside("/usr/local/sbin/clusterip", "cleanup", "--keep-state")).toBe("nothing to remove\n");
  }

  it("installs, with a Node.js in PATH that is too old", async () => {
    const { status: exit, stdout, stderr } = await install();
    expect({ exit, stdout }, stderr).toEqual({ exit: 0, stdout: "" });
    expect(stderr).toBe(`install: done; 'systemctl enable --now clusteripd' starts it with ${CONFIG_FILE}\n`);
    expect(await inside("/usr/local/sbin/clusterip", "--version")).toMatch(/^\d+\.\d+\.\d+\n$/);
    await writeConfig(CONFIG);
    await inside("systemctl", "enable", "--now", "clusteripd");
    await until(status, 200);
  });

  it("a Node.js that is too old is refused in one sentence", async () => {
    for (const program of ["clusterip", "clusteripd"]) {
      const argv = [`${OLD_NODE}/node`, `/usr/local/lib/clusteripd/bin/${program}`, "--version"];
      expect(await run(enter(argv))).toEqual({
        status: 1,
        stdout: "",
        stderr: `${program}: Node.js 20 or later is needed; this is ${process.version}, ${OLD_NODE}/node.\n`,
      });
    }
  });

  it("serves with engine bpf, shut in as the unit says", async () => {
    await serves();
    const main = await inside("cat", `/proc/${await property("MainPID")}/status`);
    expect(main).toMatch(/^NoNewPrivs:\t1$/m);
    expect(main).toMatch(/^Seccomp:\t2$/m);
  });

  it("reloads", async () => {
    await writeConfig(CONFIG.replace("local-node: 1", "local-node: [1, 3]"));
    await inside("systemctl", "reload", "clusteripd");
    expect(await property("StatusText")).toBe("serving 192.0.2.10 (1,3)");
    expect(await property("ActiveState")).toBe("active");
    await writeConfig(CONFIG);
    await inside("systemctl", "reload", "clusteripd");
    await serves();
  });

  it("a reload with a file that is refused fails, says why, and changes nothing", async () => {
    await writeConfig(CONFIG.replace("local-node: 1", "local-node: 4"));
    expect(await run(enter(["systemctl", "reload", "clusteripd"]))).toMatchObject({ status: 1, stdout: "" });
    const refused = await run(enter(["/usr/local/sbin/clusterip", "reload"]));
    expect(refused).toMatchObject({ status: 1, stdout: "" });
    expect(refused.stderr).toMatch(
      /^clusterip: \/etc\/clusteripd\/clusteripd\.yaml:2: virtual-ips\[0\]\.local-node: .*\[CLUSTERIP_CONFIG\]\n$/,
    );
    expect(await property("ActiveState")).toBe("active");
    expect(await property("ExecReload")).toContain("status=1");
    await serves();
    await writeConfig(CONFIG);
    await inside("systemctl", "reload", "clusteripd");
    expect(await inside("/usr/local/sbin/clusterip", "reload")).toBe("reloaded\n");
    await serves();
  });

  it("a start with a file that is refused fails, and says why", async () => {
    await inside("systemctl", "stop", "clusteripd");
    await writeConfig("virtual-ips: 7\n");
    expect((await run(enter(["systemctl", "start", "clusteripd"]))).status).toBe(1);
    await isClean();
    await writeConfig(CONFIG);
    await start();
  });

  it("killed, it is started again and takes over what is there", async () => {
    const before = await property("MainPID");
    await kill();
    await until(async () => {
      expect(await property("MainPID")).not.toBe(before);
      expect(await property("ActiveState")).toBe("active");
      await serves();
    });
  });

  it("stopped, it leaves nothing", async () => {
    await inside("systemctl", "stop", "clusteripd");
    await isClean();
    await start();
  });

  it("given up, its clean-up takes the programs of the dead daemon away", async () => {
    await until(async () => {
      if ((await property("ActiveState")) === "active") await kill();
      expect(await property("ActiveState")).toBe("failed");
    }, 100);
    await until(async () => {
      expect(await property("ExecMainExitTimestamp", "clusteripd-cleanup")).not.toBe("");
      expect(await property("ActiveState", "clusteripd-cleanup")).toBe("inactive");
    });
    await isClean();
  });

  it("uninstalled while it serves, it leaves nothing but its configuration", async () => {
    await start();
    const { status: exit, stderr } = await install("--uninstall");
    expect(exit, stderr).toBe(0);
    expect(stderr).toContain(`install: removed; ${CONFIG_FILE} is left\n`);
    expect(await inside("nft", "list", "ruleset")).toBe("");
    expect(await inside("ip", "-o", "address")).not.toContain("192.0.2.10/");
    expect(await files()).toBe(
      [...filesBefore.split("\n"), CONFIG_FILE].sort().join("\n").trimStart().concat("\n"),
    );
    expect(await run(enter(["systemctl", "cat", "clusteripd"]))).toMatchObject({ status: 1, stdout: "" });
  });

  it("uninstalled after a crash, nobody answers any more", async () => {
    expect((await install("--prefix", "/opt/clusteripd", "--runtime", process.execPath)).status).toBe(0);
    const program = "/opt/clusteripd/sbin";
    await inside(
      "sh",
      "-c",
      `${program}/clusteripd --config ${CONFIG_FILE} >/run/log 2>&1 & echo $! >/run/pid`,
    );
    await until(() => inside(`${program}/clusterip`, "status"), 200);
    await inside("sh", "-c", "kill -KILL $(cat /run/pid)");
    expect(await inside("ip", "-o", "address")).toContain("192.0.2.10/");
    const { stderr } = await install("--uninstall", "--prefix", "/opt/clusteripd");
    expect(stderr).toContain("removed address 192.0.2.10/32 on lo\n");
    expect(await inside("nft", "list", "ruleset")).toBe("");
    expect(await inside("find", "/opt/clusteripd", "!", "-type", "d")).toBe("");
  });
});

function removeCgroup(at: string): void {
  if (!existsSync(at)) return;
  for (const entry of readdirSync(at, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(path.join(at, entry.name));
  }
  rmdirSync(at);
}
