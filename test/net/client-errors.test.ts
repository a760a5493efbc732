/** Each wrong input: its clear error, its exit status, and nothing changed. */
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { settingsOf } from "../support/daemon/api.ts";
import { clusterip, type Daemon, socketOf, startDaemon } from "../support/daemon/daemon.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { clientProgram, daemonProgram, projectRoot } from "../support/lab/paths.ts";
import { until } from "../support/wait.ts";

const NEW_VIP = "10.77.0.120";

describeNet("client: wrong input", {}, () => {
  let lab: Lab;
  let node: Host;
  let daemon: Daemon;
  let before: { host: string; status: unknown };

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    await node.ip("link", "add", "other0", "type", "bridge");
    await node.ip("addr", "add", "10.99.9.1/24", "dev", "other0");
    daemon = await startDaemon(lab, node, { vips: [{ "total-nodes": 4, "local-node": [1, 3] }] });
    before = { host: await snapshot(node), status: await settingsOf(daemon) };
  });
  afterAll(() => lab.close());

  async function unchanged(): Promise<void> {
    expect({ host: await snapshot(node), status: await settingsOf(daemon) }).toEqual(before);
  }

  /** Runs all, two at a time, and compares what is wrong with what is said. */
  async function refuses(
    table: readonly (readonly [args: string[], status: number, says: string])[],
  ): Promise<void> {
    const actual = await inPairs(table, async ([args, , says]) => {
      const { status, stdout, stderr } = await clusterip(lab, node, args);
      const isSaid = stdout === "" && stderr.includes(says);
      return [args.join(" "), status, isSaid ? says : `${stdout}${stderr}`];
    });
    expect(actual).toEqual(table.map(([args, status, says]) => [args.join(" "), status, says]));
    await unchanged();
  }

  /** `clusterip add` with one option changed or left out. */
  function adding(changes: Record<string, string | undefined>, vip = NEW_VIP): string[] {
    const options = { nic: "eth0", "total-nodes": "2", "local-node": "1", ...changes };
    const given = Object.entries(options).filter((entry) => entry[1] !== undefined) as [string, string][];
    return ["add", vip, ...given.flatMap(([name, value]) => [`--${name}`, value])];
  }

  it("changes of the local nodes, as the /proc file refused them", () => {
    const nodes = (change: string): string[] => ["nodes", lab.vip, change];
    return refuses([
      // ENOMEM
      [nodes("+1"), 1, "[CLUSTERIP_NODE_ALREADY_LOCAL]"],
      [nodes("+0"), 1, "[CLUSTERIP_NODE_OUT_OF_RANGE]"],
      [nodes("+5"), 1, "the buckets 1 to 4. [CLUSTERIP_NODE_OUT_OF_RANGE]"],
      [nodes("+17"), 1, "[CLUSTERIP_NODE_OUT_OF_RANGE]"],
      // ENOENT
      [nodes("-2"), 1, "it has 1,3. [CLUSTERIP_NODE_NOT_LOCAL]"],
      [nodes("-0"), 1, "[CLUSTERIP_NODE_OUT_OF_RANGE]"],
      [nodes("-5"), 1, "[CLUSTERIP_NODE_OUT_OF_RANGE]"],
      // EINVAL
      [nodes("+"), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      [nodes("-"), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      [nodes("+0x3"), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      [nodes("-0x3"), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      [nodes("+3,4"), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      [nodes("+ 3"), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      [nodes("+2\n"), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      // EIO
      [nodes("2"), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      [nodes(""), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      [nodes("+000000002"), 1, "[CLUSTERIP_BAD_NODE_CHANGE]"],
      [["nodes", "10.77.0.99", "+1"], 1, "there is 10.77.0.100. [CLUSTERIP_NOT_FOUND]"],
      [["nodes", "10.77.0.99"], 1, "[CLUSTERIP_NOT_FOUND]"],
      [["nodes", "10.77.0", "+1"], 1, "[CLUSTERIP_BAD_ADDRESS]"],
    ]);
  });

  it("parameters of a virtual IP", () =>
    refuses([
      [adding({ "total-nodes": "0" }), 1, "expected a number from 1 to 16. [CLUSTERIP_BAD_TOTAL_NODES]"],
      [adding({ "total-nodes": "17" }), 1, "[CLUSTERIP_BAD_TOTAL_NODES]"],
      [adding({ "total-nodes": "two" }), 1, "[CLUSTERIP_BAD_TOTAL_NODES]"],
      [adding({ "total-nodes": "-1" }), 1, "[CLUSTERIP_BAD_TOTAL_NODES]"],
      [adding({ "local-node": "3" }), 1, "expected 1 to 2. [CLUSTERIP_BAD_LOCAL_NODE]"],
      [adding({ "local-node": "0" }), 1, "[CLUSTERIP_BAD_LOCAL_NODE]"],
      [adding({ "local-node": "1,x" }), 1, "[CLUSTERIP_BAD_LOCAL_NODE]"],
      [adding({ "local-node": "" }), 1, "[CLUSTERIP_BAD_LOCAL_NODE]"],
      [adding({ "hash-init": "4294967296" }), 1, "[CLUSTERIP_BAD_HASH_INIT]"],
      [adding({ "hash-init": "-1" }), 1, "[CLUSTERIP_BAD_HASH_INIT]"],
      [adding({ hashmode: "sourceport" }), 1, "sourceip-sourceport-destport. [CLUSTERIP_BAD_HASH_MODE]"],
      [
        adding({ clustermac: "02:00:00:00:00:01" }),
        1,
        "unicast MAC address: a cluster MAC must be a multicast",
      ],
      [adding({ clustermac: "ff:ff:ff:ff:ff:ff" }), 1, "is the broadcast address"],
      [adding({ clustermac: "01:00:5e" }), 1, "[CLUSTERIP_BAD_MAC]"],
      [
        adding({ nic: "eth9" }),
        1,
        "There is no interface eth9 on this host; it has eth0, other0. [CLUSTERIP_NO_NIC]",
      ],
      [adding({ nic: "lo" }), 1, "no Ethernet interface"],
      [adding({ nic: "clusterip0" }), 1, "[CLUSTERIP_BAD_NIC]"],
      [adding({ nic: 'e"; flush' }), 1, "[CLUSTERIP_BAD_NIC]"],
      [adding({ nic: "interface-of-16c" }), 1, "[CLUSTERIP_NO_NIC]"],
      [adding({ nic: "x".repeat(128) }), 1, "[CLUSTERIP_BAD_NIC]"],
      [adding({ nic: "eth0:1" }), 1, "[CLUSTERIP_BAD_NIC]"],
      [adding({ engine: "magic" }), 1, "[CLUSTERIP_BAD_ENGINE]"],
      [adding({}, "10.77.0.300"), 1, "[CLUSTERIP_BAD_ADDRESS]"],
      [adding({}, "10.77.0.100/24"), 1, "[CLUSTERIP_BAD_ADDRESS]"],
      [adding({}, "fd00::1"), 1, "[CLUSTERIP_BAD_ADDRESS]"],
      [adding({}, "224.0.0.5"), 1, "it is a multicast address"],
      [adding({}, "127.0.0.1"), 1, "it is a loopback address"],
      [adding({}, "0.0.0.0"), 1, "[CLUSTERIP_BAD_ADDRESS]"],
      [adding({}, "10.99.9.1"), 1, "already an address of other0"],
      [adding({}, "10.98.0.1"), 1, "[CLUSTERIP_NO_NETWORK]"],
      // A second rule for the same virtual IP: the kernel took it and ignored it.
      [adding({}, lab.vip), 1, "is served already"],
      [adding({ "total-nodes": "4", "local-node": "1,3" }, lab.vip), 1, "[CLUSTERIP_EXISTS]"],
      [["del", "10.77.0.99"], 1, "[CLUSTERIP_NOT_FOUND]"],
      [["del", "10.77.0"], 1, "[CLUSTERIP_BAD_ADDRESS]"],
      [["del", "a/../b?c#d"], 1, "[CLUSTERIP_BAD_ADDRESS]"],
      [["status", "10.77.0.99"], 1, "[CLUSTERIP_NOT_FOUND]"],
    ]));

  it("add and del say what they did, and how long that lasts", async () => {
    const added = await clusterip(
      lab,
      node,
      adding({ clustermac: "01:00:5e:00:00:20", engine: "userspace" }),
    );
    expect(added).toEqual({
      status: 0,
      stderr: "",
      stdout:
        `${NEW_VIP} is served on eth0: bucket 1 of 2, cluster MAC 01:00:5e:00:00:20, engine userspace.\n` +
        "It lasts until this host boots, also over a restart of the daemon. To keep it, put it into the configuration file.\n",
    });
    expect(await complete("del", "")).toEqual([lab.vip, NEW_VIP]);
    expect(await clusterip(lab, node, ["del", NEW_VIP])).toEqual({
      status: 0,
      stderr: "",
      stdout: `${NEW_VIP} is not served here any more.\n`,
    });
    expect((await clusterip(lab, node, ["del", lab.vip])).stdout).toBe(
      `${lab.vip} is not served here any more. The configuration file still has it: a reload or the next start of the daemon serves it again.\n`,
    );
    daemon.signal("SIGHUP");
    await until(unchanged);
  });

  /** What the completion offers at the end of a command line. */
  async function complete(...words: string[]): Promise<string[]> {
    const script = `
      source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
      compopt() { :; }
      # On a busy machine a client takes longer than a person waits.
      timeout() { shift; "$@"; }
      _clusterip; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const file = path.join(projectRoot, "packaging/completion/clusterip");
    const line = [clientProgram, "--socket", daemon.socket, ...words];
    const { stdout, stderr } = await node.tryExec(["bash", "-c", script, "bash", file, ...line]);
    expect(stderr).toBe("");
    return stdout.trimEnd().split("\n");
  }

  it("completion offers virtual IPs, buckets and values, and carries out no name", async () => {
    expect(await complete("nodes", "")).toEqual([lab.vip]);
    expect(await complete("status", "10.77")).toEqual([lab.vip]);
    expect(await complete("status", "--")).toEqual(["--json", "--help"]);
    expect(await complete("nodes", lab.vip, "")).toEqual(["-1", "+2", "-3", "+4"]);
    expect(await complete("nodes", lab.vip, "+")).toEqual(["+2", "+4"]);
    expect(await complete("nodes", "10.77.0.99", "")).toEqual([""]);
    expect(await complete("add", "10.77.0.9", "--engine", "")).toEqual(["auto", "userspace", "bpf"]);
    expect(await complete("add", "10.77.0.9", "--hashmode", "sourceip-sourceport-")).toEqual([
      "sourceip-sourceport-destport",
    ]);
    expect(await complete("cl")).toEqual(["cleanup"]);
    // As root, behind the key TAB.
    const name = "$(>pwned)`id`";
    await node.ip("link", "add", "name", name, "type", "bridge");
    try {
      expect(await complete("add", "10.77.0.9", "--nic", "")).toEqual(
        expect.arrayContaining(["eth0", "other0", name]),
      );
      expect(await complete("add", "10.77.0.9", "--nic", "$")).toEqual([name]);
      expect(existsSync("pwned")).toBe(false);
    } finally {
      await node.ip("link", "del", "dev", name);
    }
  });

  it("usage: exit status 2", () =>
    refuses([
      [["fly"], 2, "Unknown command 'fly'. See 'clusterip --help'. [CLUSTERIP_USAGE]\n"],
      [["add"], 2, "add needs VIP, --nic IF, --total-nodes N, --local-node K"],
      [adding({ nic: undefined }), 2, "add needs --nic IF."],
      [adding({ "total-nodes": undefined }), 2, "add needs --total-nodes N."],
      [adding({ "local-node": undefined }), 2, "--local-node"],
      [
        adding({ colour: "red" }),
        2,
        "Unknown option '--colour'. See 'clusterip add --help'. [CLUSTERIP_USAGE]\n",
      ],
      [["del"], 2, "Missing required argument 'VIP'. See 'clusterip del --help'. [CLUSTERIP_USAGE]\n"],
      [["del", lab.vip, "10.77.0.101"], 2, "Too many arguments"],
      [["ad"], 2, "clusterip: Unknown command 'ad'. (Did you mean add?)"],
      [["nodes"], 2, "Missing required argument"],
      [["nodes", lab.vip, "+1", "+2"], 2, "Too many arguments"],
      [["status", "--xml"], 2, "Unknown option '--xml'"],
      [["explain"], 2, "[CLUSTERIP_USAGE]"],
    ]));

  it("no daemon: exit status 3", async () => {
    const regular = path.join(lab.directory, "regular");
    writeFileSync(regular, "");
    for (const [socket, why] of [
      ["/nowhere/control.sock", "there is no such socket"],
      [regular, "nobody listens on it"],
    ] as const) {
      for (const args of [["status"], ["nodes", lab.vip, "+2"], ["del", lab.vip], adding({})]) {
        const { status, stdout, stderr } = await clusterip(lab, node, ["--socket", socket, ...args]);
        expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
        expect(stderr).toContain(`No clusteripd answers on ${socket}: ${why}.`);
        expect(stderr).toContain("[CLUSTERIP_UNREACHABLE]\n");
      }
    }
    await unchanged();
  });

  it("the socket of the environment is used, and the option goes before it", async () => {
    const program = [...daemonProgram.replace(/clusteripd$/, "clusterip").split("\0")];
    const nodes = ["nodes", lab.vip];
    const env = { CLUSTERIPD_SOCKET: daemon.socket };
    expect((await node.tryExec([...program, ...nodes], { env })).stdout).toBe("1,3\n");
    expect((await node.tryExec([...program, "--socket", "/nowhere", ...nodes], { env })).status).toBe(3);
    expect(daemon.socket).toBe(socketOf(lab, node));
  });

  const wrongFiles: Record<string, [file: string, ...says: string[]]> = {
    "not YAML": ["virtual-ips: [\n", ":2: "],
    "a key twice": ["virtual-ips: []\nvirtual-ips: []\n", ":2: Map keys must be unique"],
    "a list": ["- 1\n", ":1: "],
    "an unknown key": ["virtual-ips: []\ncolour: red\n", ":2: colour: 'colour' is not a setting."],
    "virtual-ips not a list": ["virtual-ips: 3\n", ":1: virtual-ips: ", "expected a list"],
    "a relative socket": ["socket: run/x.sock\n", ":1: socket: ", "expected an absolute path"],
    "a long socket": [`socket: /${"x".repeat(120)}\n`, ":1: socket: ", "107"],
    "too many workers": ["workers: 17\n", ":1: workers: ", "expected a number from 1 to 16"],
    "no workers": ["workers: 0\n", ":1: workers: ", "expected a number from 1 to 16"],
    "half a worker": ["workers: 1.5\n", ":1: workers: ", "expected a number from 1 to 16"],
    "a wrong log level": ["log-level: loud\n", ":1: log-level: ", "fatal, error, warn, info, debug"],
    "an entry that is a text": ["virtual-ips:\n  - 10.77.0.100\n", ":2: virtual-ips[0]: "],
    "nothing in an entry": [
      "virtual-ips:\n  - vip: 10.77.0.100\n",
      ":2: virtual-ips[0].nic: 'nic' is missing",
      ":2: virtual-ips[0].total-nodes: 'total-nodes' is missing",
      ":2: virtual-ips[0].local-node: 'local-node' is missing",
    ],
    "total-nodes": [entry({ "total-nodes": "17" }), ":4: virtual-ips[0].total-nodes: ", "from 1 to 16"],
    "total-nodes a fraction": [entry({ "total-nodes": "1.5" }), ":4: virtual-ips[0].total-nodes: "],
    "local-node above total-nodes": [
      entry({ "local-node": "[1, 3]" }),
      ":5: virtual-ips[0].local-node: ",
      "1 to 2",
    ],
    "local-node a mapping": [entry({ "local-node": "{a: 1}" }), ":5: virtual-ips[0].local-node: "],
    vip: [entry({ vip: "224.0.0.1" }), ":2: virtual-ips[0].vip: ", "multicast"],
    "vip a number": [entry({ vip: "10" }), ":2: virtual-ips[0].vip: 'vip' must be a text"],
    nic: [entry({ nic: '"a b"' }), ":3: virtual-ips[0].nic: "],
    hashmode: [entry({ hashmode: "random" }), ":6: virtual-ips[0].hashmode: ", "sourceip-sourceport"],
    clustermac: [entry({ clustermac: "02:00:00:00:00:01" }), ":6: virtual-ips[0].clustermac: ", "multicast"],
    "hash-init": [entry({ "hash-init": "-1" }), ":6: virtual-ips[0].hash-init: "],
    engine: [entry({ engine: "warp" }), ":6: virtual-ips[0].engine: ", "auto, userspace, bpf"],
    "a setting that is none": [
      entry({ total_nodes: "2" }),
      ":6: virtual-ips[0].total_nodes: 'total_nodes' is not a",
    ],
    "a virtual IP twice": [
      entry({}) + entry({}).replace("virtual-ips:\n", ""),
      ":6: virtual-ips[1].vip: ",
      "listed twice",
    ],
    "two errors": [
      entry({ "total-nodes": "0", hashmode: "x" }),
      ":4: virtual-ips[0].total-nodes: ",
      ":6: virtual-ips[0].hashmode: ",
    ],
  };

  /** A start reads a file as --check does; these show it, the others are checked only. */
  const started: ReadonlySet<string> = new Set(["not YAML", "an unknown key", "two errors"]);

  /** What is not as it has to be when the daemon is given the file, for --check and perhaps for a start. */
  async function complaintsAbout(file: string, says: readonly string[], starts: boolean): Promise<string[]> {
    const complaints: string[] = [];
    const start = ["--socket", path.join(lab.directory, "none.sock")];
    for (const mode of [["--check"], ...(starts ? [start] : [])]) {
      const { status, stdout, stderr } = await node.tryExec([daemonProgram, "--config", file, ...mode]);
      if (status !== 1 || stdout !== "")
        complaints.push(`${file} ${mode[0]}: exit status ${status}, ${stdout}`);
      const missing = [...says, "[CLUSTERIP_CONFIG]"].filter((part) => !stderr.includes(part));
      complaints.push(...missing.map((part) => `${file} ${mode[0]}: no "${part}" in: ${stderr}`));
    }
    return complaints;
  }

  it("configuration files: line and path, exit status 1, for --check and for a start", async () => {
    const host = await snapshot(node);
    const wrong = await inPairs(Object.entries(wrongFiles), ([name, [text, ...says]]) => {
      const file = path.join(lab.directoryOf(node), `${name.replaceAll(" ", "-")}.yaml`);
      writeFileSync(file, text);
      return complaintsAbout(
        file,
        says.map((said) => (said.startsWith(":") ? `${file}${said}` : said)),
        started.has(name),
      );
    });
    expect(wrong.flat()).toEqual([]);
    expect(await snapshot(node)).toBe(host);
  });

  it("a file that is not there, and command lines of the daemon", async () => {
    const table: [string[], number, string][] = [
      [["--config", "/nowhere.yaml", "--check"], 1, "[CLUSTERIP_CONFIG]"],
      [["--config", lab.directory, "--check"], 1, "[CLUSTERIP_CONFIG]"],
      [
        ["--config"],
        2,
        "clusteripd: Option '--config <FILE>' argument missing. See 'clusteripd --help'. [CLUSTERIP_USAGE]\n",
      ],
      [[], 2, "'--config <FILE>' not specified. See 'clusteripd --help'. [CLUSTERIP_USAGE]\n"],
      [["--config", daemon.configFile, "--fly"], 2, "Unknown option '--fly'"],
      [["--config", daemon.configFile, "extra"], 2, "Too many arguments"],
    ];
    for (const [args, expected, says] of table) {
      const { status, stderr } = await node.tryExec([daemonProgram, ...args]);
      expect({ status, stderr }).toEqual({ status: expected, stderr: expect.stringContaining(says) });
    }
    const good = await node.tryExec([daemonProgram, "--config", daemon.configFile, "--check"]);
    expect(good).toMatchObject({
      status: 0,
      stderr: "",
      stdout: `${daemon.configFile}: good, 1 virtual IP\n`,
    });
    await unchanged();
  });
});

/** A file with one virtual IP; what is not one of the first four keys stands on line 6. */
function entry(changes: Record<string, string>): string {
  const settings = { vip: "10.77.0.100", nic: "eth0", "total-nodes": "2", "local-node": "1", ...changes };
  const lines = Object.entries(settings).map(([key, value]) => `    ${key}: ${value}\n`);
  return `virtual-ips:\n${lines.join("").replace("    ", "  - ")}`;
}

/** Maps with two tasks at a time, which is what the machine has CPUs for. */
async function inPairs<T, R>(items: readonly T[], task: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let index = 0; index < items.length; index += 2) {
    results.push(...(await Promise.all(items.slice(index, index + 2).map(task))));
  }
  return results;
}
