/** What an ordinary user, or another network namespace, may do to the place of the control socket. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { recover, startDaemon, type VirtualIpConfig, writeConfig } from "../support/daemon/daemon.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { clientProgram, daemonProgram } from "../support/lab/paths.ts";
import { answersPing } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const LOCAL: VirtualIpConfig = { "total-nodes": 2, "local-node": [1, 2] };
const NOBODY = 65_534;
const asNobody = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];

/** Binds every name that it is given as an abstract socket, and tries to make and lock every file; says so, and stays. */
const GRAB = `
  use Socket; use Fcntl qw(:flock :DEFAULT); $| = 1;
  my ($names, $files) = map { [split /\\n/] } @ARGV; my @held;
  for (@$names) { my $at = eval "qq{$_}";
    socket(my $s, AF_UNIX, SOCK_STREAM, 0); bind($s, pack("S a*", AF_UNIX, $at)) or die "$at: $!"; listen($s, 5); push @held, $s; }
  for (@$files) {
    socket(my $s, AF_UNIX, SOCK_STREAM, 0); print "took $_\\n" if bind($s, pack("S a*", AF_UNIX, $_)); push @held, $s;
    if (sysopen(my $f, $_, O_RDONLY) or sysopen($f, $_, O_RDWR | O_CREAT)) { print "locked $_\\n" if /lock$/ && flock($f, LOCK_EX | LOCK_NB); push @held, $f; } }
  print "ready\\n"; sleep 600`;

describeNet("daemon: the place of the socket", { tools: ["setpriv", "perl", "ping"] }, () => {
  let lab: Lab;
  let node: Host;
  let other: Host;
  let before: string;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 2 });
    node = lab.node(1);
    other = lab.node(2);
    chmodSync(lab.directory, 0o755);
    before = await snapshot(node);
  });
  afterAll(() => lab.close());
  afterEach(async () => {
    for (const host of [node, other]) await recover(lab, host);
  });

  const place = (name: string, mode = 0o755): string => {
    const directory = path.join(lab.directory, name);
    mkdirSync(directory);
    chmodSync(directory, mode);
    return directory;
  };
  const nodesBy = async (host: Host, socket: string): Promise<string> => {
    const { stdout, stderr } = await host.tryExec([clientProgram, "--socket", socket, "nodes", lab.vip]);
    return stdout + stderr;
  };
  const startArgs = (host: Host, socket: string): string[] => [
    ...[daemonProgram, "--config", writeConfig(lab, host, [LOCAL]), "--socket", socket],
  ];

  it("a user who has taken every name first keeps no daemon from starting", async () => {
    const directory = place("run");
    const socket = path.join(directory, "control.sock");
    // What the lock was once; a kernel takes the name with and without octets behind it for two.
    const digest = createHash("sha256").update(socket).digest("hex").slice(0, 32);
    const names = [`clusteripd-${digest}`, "clusteripd", "clusterip0", socket].flatMap((name) => [
      `\\0${name}`,
      `\\0${name}${"\\0".repeat(107 - name.length)}`,
    ]);
    const files = ["sock", "lock", "sock.lock", "state", "state.new"].map(
      (end) => `${directory}/control.${end}`,
    );
    const output = path.join(lab.directory, "taken");
    const descriptor = openSync(output, "w");
    const user = node.spawn([...asNobody, "perl", "-e", GRAB, names.join("\n"), files.join("\n")], {
      stdio: ["ignore", descriptor, descriptor],
    });
    await until(() => expect(readFileSync(output, "utf8")).toContain("ready"));
    expect(readFileSync(output, "utf8")).toBe("ready\n");
    const daemon = await startDaemon(lab, node, { vips: [LOCAL], socket });
    await answersPing(lab.client(), lab.vip);
    // While it runs, nothing of it can be locked or taken either, and no name of its own is abstract.
    const late = await node.tryExec([
      ...[
        "timeout",
        "60",
        ...asNobody,
        "perl",
        "-e",
        GRAB.replace("sleep 600", "exit"),
        "",
        files.join("\n"),
      ],
    ]);
    expect(late.stdout).toBe("ready\n");
    const abstract = (await node.exec(["cat", "/proc/net/unix"]))
      .split("\n")
      .filter((line) => line.includes("@"));
    expect(abstract).toHaveLength(names.length);
    await daemon.kill();
    await user.kill("SIGKILL");
    closeSync(descriptor);
    expect(readdirSync(directory)).toEqual(["control.state"]);
  });

  it("a killed daemon's lock holds nobody up", async () => {
    const socket = path.join(place("killed"), "control.sock");
    const first = await startDaemon(lab, node, { vips: [LOCAL], socket });
    await first.kill("SIGKILL");
    const second = await startDaemon(lab, node, { vips: [LOCAL], socket });
    await answersPing(lab.client(), lab.vip);
    await second.kill("SIGKILL");
    const { stdout } = await node.tryExec([clientProgram, "--socket", socket, "cleanup"]);
    expect(stdout).toContain(`removed socket ${socket}\n`);
    expect(readdirSync(path.dirname(socket))).toEqual([]);
    expect(await snapshot(node)).toBe(before);
  });

  it("of two daemons in two network namespaces that share a socket path, one serves", async () => {
    const socket = path.join(place("shared"), "control.sock");
    const first = await startDaemon(lab, node, { vips: [LOCAL], socket });
    const second = await other.tryExec(startArgs(other, socket));
    expect(second).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("[CLUSTERIP_ALREADY_RUNNING]"),
    });
    expect(await nodesBy(node, socket)).toBe("1,2\n");
    await first.kill();
  });

  it("also when both start at once and find the socket of a dead one", async () => {
    const directory = place("at-once");
    const socket = path.join(directory, "control.sock");
    const stale = `require("net").createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, "SIGKILL"))`;
    for (let round = 0; round < 4; round += 1) {
      await node.tryExec([process.execPath, "-e", stale]).catch(() => {});
      expect(existsSync(socket)).toBe(true);
      const both = [node, other].map((host) => host.spawn(startArgs(host, socket), { stdio: "ignore" }));
      const ended = await Promise.race(
        both.map((child, index) => child.exited.then((exit) => ({ index, exit }))),
      );
      expect(ended.exit).toEqual({ code: 1, signal: null });
      await until(async () => expect(await nodesBy(node, socket)).toBe("1,2\n"));
      await both[1 - ended.index]?.kill("SIGTERM");
      expect(readdirSync(directory)).toEqual(["control.state"]);
    }
  });

  const unsafe: Record<string, [says: RegExp, make: (directory: string) => string]> = {
    "everybody's directory": [
      /others may write to .* \(mode 777\)/,
      (directory) => {
        chmodSync(directory, 0o777);
        return directory;
      },
    ],
    "everybody's with the sticky bit": [
      /others may write to .* \(mode 1777\)/,
      (directory) => {
        chmodSync(directory, 0o1777);
        return directory;
      },
    ],
    "another user's": [
      /belongs to user 65534/,
      (directory) => {
        chownSync(directory, NOBODY, NOBODY);
        return directory;
      },
    ],
    "below everybody's": [
      /others may write to .* \(mode 777\)/,
      (directory) => {
        chmodSync(directory, 0o777);
        mkdirSync(path.join(directory, "own"));
        return path.join(directory, "own");
      },
    ],
  };

  for (const [index, [name, [says, make]]] of Object.entries(unsafe).entries()) {
    it(`${name} is refused: no link there is followed, and nothing is believed`, async () => {
      const directory = make(place(`unsafe-${index}`));
      const socket = path.join(directory, "control.sock");
      const victim = path.join(lab.directory, `victim-${index}`);
      writeFileSync(victim, "precious\n");
      symlinkSync(victim, path.join(directory, "control.state.new"));
      symlinkSync(victim, path.join(directory, "control.lock"));
      const state = path.join(directory, "control.state");
      writeFileSync(state, await foreignState());
      chownSync(state, NOBODY, NOBODY);
      const { status, stderr } = await node.tryExec(["timeout", "60", ...startArgs(node, socket)]);
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: expect.stringContaining("[CLUSTERIP_SOCKET]"),
      });
      expect(stderr).toMatch(says);
      expect(readFileSync(victim, "utf8")).toBe("precious\n");
      expect(await snapshot(node)).toBe(before);
      const cleanup = await node.tryExec([clientProgram, "--socket", socket, "cleanup"]);
      expect(cleanup).toMatchObject({ status: 1, stderr: expect.stringMatching(says) });
      expect(readdirSync(directory).sort()).toEqual(["control.lock", "control.state", "control.state.new"]);
    });
  }

  /** What a daemon of this boot would serve again: a virtual IP that came by request. */
  async function foreignState(): Promise<string> {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const virtualIp = {
      vip: "10.77.0.66",
      "local-node": [1],
      nic: "eth0",
      "total-nodes": 1,
      clustermac: "01:00:5e:00:00:66",
      origin: "request",
      asked: [1],
    };
    return `${JSON.stringify({ boot })}\n${JSON.stringify(virtualIp)}\n`;
  }
});
