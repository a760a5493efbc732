/** The service as it is installed, under a real systemd with all that the unit forbids; `machine` has the topology. */
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { DaemonStatus } from "../../src/daemon/status.ts";
import { describeNet } from "../lab/describe-net.ts";
import { projectRoot } from "../lab/paths.ts";
import { ProcessTable, runChecked } from "../lab/processes.ts";
import { until } from "../net/host-tools.ts";

const CONFIG = `virtual-ips:
  - { vip: 192.0.2.10, nic: eth0, total-nodes: 3, local-node: 1 }
`;
const CGROUPS = "/sys/fs/cgroup";

describeNet("service under systemd", { tools: ["systemd-analyze", "nsenter", "unshare"] }, () => {
  const processes = new ProcessTable();
  const directory = mkdtempSync(path.join(tmpdir(), "clusteripd-systemd-"));

  beforeAll(async () => {
    const install = [path.join(projectRoot, "scripts/install"), "--runtime", process.execPath];
    const root = path.join(directory, "root");
    await runChecked(install, { timeoutMs: 60_000, env: { DESTDIR: root } });
    writeFileSync(path.join(root, "etc/clusteripd/clusteripd.yaml"), CONFIG);
    processes.spawn([path.join(projectRoot, "test/pacemaker/machine"), directory]);
    await until(status, 20_000, 200);
  }, 90_000);

  afterAll(async () => {
    await processes.killAll();
    const name = path.basename(directory);
    for (const hierarchy of ["", "systemd", "devices", "unified"]) {
      await until(() => removeCgroup(path.join(CGROUPS, hierarchy, name)), 5000);
    }
    rmSync(directory, { recursive: true, force: true });
  });

  function inside(...argv: string[]): Promise<string> {
    const init = readFileSync(path.join(directory, "pid"), "utf8").trim();
    return runChecked(["nsenter", "-t", init, "-m", "-p", "-n", "-u", "-i", "--", ...argv]);
  }
  const property = async (name: string, unit = "clusteripd"): Promise<string> =>
    (await inside("systemctl", "show", "--property", name, "--value", unit)).trim();
  const status = async (): Promise<DaemonStatus> =>
    JSON.parse(await inside("/usr/local/sbin/clusterip", "status", "--json")) as DaemonStatus;
  const kill = async (): Promise<unknown> => inside("kill", "-KILL", await property("MainPID"));

  async function serves(): Promise<void> {
    const { engines, virtualIps, problems } = await status();
    expect(engines.bpf).toEqual({ isAvailable: true });
    expect(virtualIps.map(({ vip, engine }) => `${vip} ${engine}`)).toEqual(["192.0.2.10 bpf"]);
    expect(problems).toEqual([]);
    expect(await property("StatusText")).toBe("serving 192.0.2.10 (1)");
  }

  /** Nothing is left on the host, and `cleanup` finds no programs either. */
  async function isClean(): Promise<void> {
    expect(await inside("nft", "list", "ruleset")).toBe("");
    expect(await inside("ip", "-o", "address")).not.toContain("192.0.2.10/");
    expect(await inside("/usr/local/sbin/clusterip", "cleanup", "--keep-state")).toBe("nothing to remove\n");
  }

  it("serves with engine bpf, shut in as the unit says", async () => {
    await serves();
    const main = await inside("cat", `/proc/${await property("MainPID")}/status`);
    expect(main).toMatch(/^NoNewPrivs:\t1$/m);
    expect(main).toMatch(/^Seccomp:\t2$/m);
  });

  it("killed, it is started again and takes over what is there", async () => {
    const before = await property("MainPID");
    await kill();
    await until(async () => {
      expect(await property("MainPID")).not.toBe(before);
      expect(await property("ActiveState")).toBe("active");
      await serves();
    }, 10_000);
  });

  it("stopped, it leaves nothing", async () => {
    await inside("systemctl", "stop", "clusteripd");
    await isClean();
    await inside("systemctl", "reset-failed", "clusteripd");
    await inside("systemctl", "start", "clusteripd");
    await serves();
  });

  it("given up, its clean-up takes the programs of the dead daemon away", async () => {
    await until(
      async () => {
        if ((await property("ActiveState")) === "active") await kill();
        expect(await property("ActiveState")).toBe("failed");
      },
      20_000,
      100,
    );
    await until(async () => {
      expect(await property("ExecMainExitTimestamp", "clusteripd-cleanup")).not.toBe("");
      expect(await property("ActiveState", "clusteripd-cleanup")).toBe("inactive");
    }, 5000);
    await isClean();
  });
});

function removeCgroup(at: string): void {
  if (!existsSync(at)) return;
  for (const entry of readdirSync(at, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(path.join(at, entry.name));
  }
  rmdirSync(at);
}
