/** What the daemon refuses to start on: early, with one clear sentence, and with nothing changed on the host. */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { statusOf } from "../support/daemon/api.ts";
import { clusterip, startDaemon, type VirtualIpConfig, writeConfig } from "../support/daemon/daemon.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { daemonProgram, projectRoot } from "../support/lab/paths.ts";
import type { ExecOptions } from "../support/lab/processes.ts";
import { answersPing } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const LOCAL: VirtualIpConfig = { "total-nodes": 2, "local-node": [1, 2] };

describeNet("daemon: refusals", { tools: ["unshare", "mount", "ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let socket: string;
  let before: string;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    socket = path.join(lab.directoryOf(node), "refused.sock");
  });
  afterAll(() => lab.close());
  beforeEach(async () => {
    before = await snapshot(node);
  });

  interface Refusal {
    code: string;
    /** what the sentence has to name */
    says: string | RegExp;
    vips?: VirtualIpConfig[];
    /** how to run the daemon's argv */
    wrap?: (argv: string[]) => string[];
    socket?: string;
    options?: ExecOptions;
    /** Default: that there is no control socket afterwards. */
    after?: () => Promise<void> | void;
  }

  async function isRefused(refusal: Refusal): Promise<void> {
    const config = writeConfig(lab, node, refusal.vips ?? [LOCAL]);
    const argv = [daemonProgram, "--config", config, "--socket", refusal.socket ?? socket];
    const { status, stdout, stderr } = await node.tryExec(
      refusal.wrap === undefined ? argv : refusal.wrap(argv),
      refusal.options,
    );
    expect({ status, stdout }, stderr).toEqual({ status: 1, stdout: "" });
    // One sentence in one line, with the code; no stack, no JSON.
    expect(stderr).toMatch(new RegExp(`^clusteripd: [^\n]*\\[${refusal.code}\\]\n$`));
    expect(stderr).toMatch(refusal.says);
    expect(await snapshot(node)).toBe(before);
    if (refusal.after === undefined) expect(existsSync(refusal.socket ?? socket)).toBe(false);
    else await refusal.after();
  }

  it("no root", async () => {
    // Where an ordinary user may make no socket either, as in /run: the missing capabilities are told all the same.
    const closed = path.join(lab.directory, "closed");
    mkdirSync(closed, { recursive: true });
    chmodSync(lab.directory, 0o755);
    await isRefused({
      code: "CLUSTERIP_NO_PRIVILEGE",
      says: /CAP_NET_ADMIN and CAP_NET_RAW .*root/,
      wrap: (argv) => ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...argv],
      socket: path.join(closed, "control.sock"),
    });
  });

  for (const [dropped, named] of [
    ["net_raw", /needs CAP_NET_RAW to/],
    ["net_admin", /needs CAP_NET_ADMIN to/],
  ] as const) {
    it(`the capability ${dropped} missing`, () =>
      isRefused({
        code: "CLUSTERIP_NO_PRIVILEGE",
        says: named,
        wrap: (argv) => ["setpriv", `--bounding-set=-${dropped}`, `--inh-caps=-${dropped}`, ...argv],
      }));
  }

  for (const [missing, packageName] of [
    ["nft", "nftables"],
    ["ip", "iproute2"],
  ] as const) {
    it(`${missing} not in PATH`, async () => {
      const bin = path.join(lab.directory, `without-${missing}`);
      mkdirSync(bin);
      const tools = { ip: "", nft: "", setpriv: "", env: "", node: process.execPath };
      for (const [tool, known] of Object.entries(tools)) {
        const file = known || (await node.exec(["sh", "-c", `command -v ${tool}`])).trim();
        if (tool !== missing) symlinkSync(file, path.join(bin, tool));
      }
      await isRefused({
        code: "CLUSTERIP_NO_TOOL",
        says: `'${missing}' is missing: install the package ${packageName}`,
        wrap: (argv) => [path.join(bin, "env"), `PATH=${bin}`, ...argv],
      });
    });
  }

  it("an nft that does not work", async () => {
    const bin = path.join(lab.directory, "broken");
    mkdirSync(bin);
    writeFileSync(path.join(bin, "nft"), "#!/bin/sh\necho 'protocol not supported' >&2\nexit 1\n", {
      mode: 0o755,
    });
    await isRefused({
      code: "CLUSTERIP_NO_TOOL",
      says: /'nft' does not work here: .*protocol not supported/,
      options: { env: { PATH: `${bin}:${process.env["PATH"]}` } },
    });
  });

  it("/dev/net/tun unusable", () =>
    isRefused({
      code: "CLUSTERIP_NO_TUN",
      says: /\/dev\/net\/tun cannot be opened .*modprobe tun/,
      wrap: (argv) => [
        ...[
          "unshare",
          "-m",
          "sh",
          "-c",
          'mount --make-rprivate / && mount -t tmpfs none /dev/net && exec "$@"',
          "sh",
        ],
        ...argv,
      ],
    }));

  it("a socket path that is a regular file: the file stays as it is", async () => {
    const file = path.join(lab.directoryOf(node), "precious.txt");
    writeFileSync(file, "not a socket\n", { mode: 0o640 });
    await isRefused({
      code: "CLUSTERIP_SOCKET",
      says: /precious\.txt cannot be made: a file of that name is there and is no socket/,
      socket: file,
      after: () => expect(readFileSync(file, "utf8")).toBe("not a socket\n"),
    });
  });

  it("a socket path that is a directory, or in none", async () => {
    await isRefused({
      code: "CLUSTERIP_SOCKET",
      says: "no socket",
      socket: lab.directoryOf(node),
      after: () => {},
    });
    await isRefused({
      code: "CLUSTERIP_SOCKET",
      says: "cannot be made",
      socket: "/proc/no/such/control.sock",
    });
  });

  /** A copy of the program without anything native. */
  function copyWithoutAddons(name: string): { directory: string; wrap: (argv: string[]) => string[] } {
    const copy = path.join(lab.directory, name);
    mkdirSync(path.join(copy, "native/build/Release"), { recursive: true });
    for (const part of ["bin", "dist/src"])
      cpSync(path.join(projectRoot, part), path.join(copy, part), { recursive: true });
    copyFileSync(path.join(projectRoot, "package.json"), path.join(copy, "package.json"));
    symlinkSync(path.join(projectRoot, "node_modules"), path.join(copy, "node_modules"));
    return {
      directory: path.join(copy, "native/build/Release"),
      wrap: (argv) => [path.join(copy, "bin/clusteripd"), ...argv.slice(1)],
    };
  }

  it("an engine that is not built, or that finds no libbpf: told, and not served", async () => {
    const { directory, wrap } = copyWithoutAddons("copy-without-bpf");
    const saysWhyNot = async (why: RegExp): Promise<void> => {
      const config = writeConfig(lab, node, [{ ...LOCAL, engine: "bpf" }]);
      const child = node.spawn(wrap([daemonProgram, "--config", config, "--socket", socket]), {
        stdio: "ignore",
      });
      await until(async () => {
        const [problem] = (await statusOf({ socket })).problems;
        expect(problem).toMatchObject({ code: "not-served", vip: lab.vip });
        expect(problem?.message).toMatch(why);
      });
      await child.kill("SIGTERM");
      expect(await snapshot(node)).toBe(before);
    };
    copyFileSync(
      path.join(projectRoot, "native/build/Release/clusteripd.node"),
      path.join(directory, "clusteripd.node"),
    );
    await saysWhyNot(/'bpf' is not available here: it was not built: .*clang and libbpf/);
    writeFileSync(path.join(directory, "clusterip.bpf.o"), "");
    writeFileSync(path.join(directory, "clusteripd_bpf.node"), "not an ELF file");
    await saysWhyNot(/its addon cannot be loaded/);
  });

  it("an addon that is not built, or cannot be loaded", async () => {
    const { directory, wrap } = copyWithoutAddons("copy");
    await isRefused({ code: "CLUSTERIP_ADDON_MISSING", says: /is not built.*npm run build/, wrap });
    writeFileSync(path.join(directory, "clusteripd.node"), "not an ELF file");
    await isRefused({ code: "CLUSTERIP_ADDON_MISSING", says: "cannot be loaded", wrap });
  });

  it("a stale socket is taken over", async () => {
    const stale = path.join(lab.directoryOf(node), "stale.sock");
    // A process that is killed leaves its socket behind.
    const program = `require("net").createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, "SIGKILL"))`;
    await node.tryExec([process.execPath, "-e", program]).catch(() => {});
    expect(existsSync(stale)).toBe(true);
    const daemon = await startDaemon(lab, node, { vips: [LOCAL], socket: stale });
    await answersPing(lab.client(), lab.vip);
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("the socket of somebody else who listens", async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    await isRefused({ code: "CLUSTERIP_ALREADY_RUNNING", says: socket, after: () => {} });
    await new Promise((resolve) => server.close(resolve));
  });

  it("a second daemon, on the same socket and on another one; the first goes on", async () => {
    const first = await startDaemon(lab, node, { vips: [LOCAL] });
    before = await snapshot(node);
    const vips = [{ ...LOCAL, vip: "10.77.0.101" }];
    const lives = async (): Promise<void> => {
      expect((await clusterip(lab, node, ["nodes", lab.vip])).stdout).toBe("1,2\n");
      await answersPing(lab.client(), lab.vip);
    };
    await isRefused({
      code: "CLUSTERIP_ALREADY_RUNNING",
      says: `answers on ${first.socket}`,
      vips,
      socket: first.socket,
      after: lives,
    });
    await isRefused({ code: "CLUSTERIP_ALREADY_RUNNING", says: "holds the device clusterip-lock", vips });
    await lives();
    await first.kill();
  });

  it("a daemon or clean-up of a version that held clusterip0 and no lock", async () => {
    await node.ip("tuntap", "add", "dev", "clusterip0", "mode", "tun");
    await node.ip("link", "set", "clusterip0", "up");
    before = await snapshot(node);
    await isRefused({ code: "CLUSTERIP_ALREADY_RUNNING", says: "holds the device clusterip0" });
    const cleanup = await clusterip(lab, node, ["cleanup"]);
    expect(cleanup).toMatchObject({ status: 1, stdout: "" });
    expect(cleanup.stderr).toContain("[CLUSTERIP_ALREADY_RUNNING]");
    expect(await snapshot(node)).toBe(before);
    await node.ip("link", "del", "clusterip0");
  });

  it("also a second daemon after somebody has removed the lock of the first", async () => {
    const first = await startDaemon(lab, node, { vips: [LOCAL] });
    const index = async (): Promise<string> =>
      (await node.ip("-o", "link", "show", "clusterip-lock")).split(":")[0] ?? "";
    const taken = await index();
    await node.ip("link", "del", "clusterip-lock");
    await until(async () => expect(await index()).not.toBe(taken));
    before = await snapshot(node);
    const vips = [{ ...LOCAL, vip: "10.77.0.101" }];
    await isRefused({ code: "CLUSTERIP_ALREADY_RUNNING", says: "holds the device clusterip-lock", vips });
    expect(await first.kill()).toEqual({ code: 0, signal: null });
    await expect(index()).rejects.toThrow();
  });

  it("of two daemons started at once on one socket, one serves and can be reached", async () => {
    for (let round = 0; round < 4; round += 1) {
      const config = writeConfig(lab, node, [LOCAL]);
      const both = [1, 2].map(() =>
        node.spawn([daemonProgram, "--config", config, "--socket", socket], { stdio: "ignore" }),
      );
      const ended = await Promise.race(
        both.map((child, index) => child.exited.then((exit) => ({ index, exit }))),
      );
      expect(ended.exit).toEqual({ code: 1, signal: null });
      const winner = both[1 - ended.index];
      const argv = [path.join(projectRoot, "bin/clusterip"), "--socket", socket, "nodes", lab.vip];
      // The other one may be starting still.
      await until(async () => {
        const client = await node.tryExec(argv);
        expect(client.stdout + client.stderr).toBe("1,2\n");
      });
      await winner?.kill("SIGTERM");
      expect(await snapshot(node)).toBe(before);
    }
  });
});
