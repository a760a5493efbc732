/** The daemon goes on: without a place for its log, with many clients at once, and with hostile ones. */
import { readFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { connect, type Socket } from "node:net";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { call } from "../../src/api/client.ts";
import { paths } from "../../src/api/contract.ts";
import { isClusterIpError } from "../../src/core/errors.ts";
import { add, del, settingsOf, statusOf } from "../support/daemon/api.ts";
import {
  clusterip,
  type Daemon,
  recover,
  socketOf,
  startDaemon,
  writeConfig,
} from "../support/daemon/daemon.ts";
import { MONITOR } from "../support/daemon/facts.ts";
import { envWithNft } from "../support/daemon/failing-tools.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { pidsOf, snapshot } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { daemonProgram } from "../support/lab/paths.ts";
import { answersPing } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";

const SETTINGS = { "total-nodes": 16, "local-node": [1] };
const PARALLEL = 50;
const STORM_MS = 6000;
/** Of nft: a repair takes three for a look, and some more where it mends. */
const CALLS_OF_SOME_REPAIRS = 30;

describeNet("daemon: robustness", { tools: ["curl", "ping"] }, () => {
  let lab: Lab;
  let node: Host;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
  });
  afterAll(() => lab.close());
  afterEach(() => recover(lab, node));

  const start = (): Promise<Daemon> => startDaemon(lab, node, { vips: [SETTINGS] });

  for (const [name, redirection] of [
    ["a full disk", "2>/dev/full"],
    ["nothing", "2>&-"],
    ["a closed pipe", "2> >(exec true)"],
  ] as const) {
    it(`serves, repairs and stops with ${name} behind standard error`, async () => {
      const before = await snapshot(node);
      const config = writeConfig(lab, node, [{ "total-nodes": 1, "local-node": [1] }]);
      const socket = socketOf(lab, node);
      const script = `exec "$@" ${redirection}`;
      const argv = ["bash", "-c", script, "bash", daemonProgram, "--config", config, "--socket", socket];
      const child = node.spawn(argv, { stdio: "ignore" });
      await until(() => statusOf({ socket }));
      await answersPing(lab.client(), lab.vip);
      // Both are logged, or would be.
      await node.exec(["nft", "flush", "ruleset"]);
      await until(async () => expect((await statusOf({ socket })).repairs.nft.count).toBe(1));
      for (let round = 0; round < 5; round += 1) {
        await add({ socket }, { vip: "10.77.0.101", nic: "eth0", "total-nodes": 1, "local-node": 1 });
        await del({ socket }, "10.77.0.101");
      }
      await answersPing(lab.client(), lab.vip);
      expect(await child.kill("SIGTERM")).toEqual({ code: 0, signal: null });
      expect(await snapshot(node)).toBe(before);
    });
  }

  it(`${PARALLEL} clients move the same buckets at once: one wins, the others are told`, async () => {
    const daemon = await start();
    const move = (change: string): Promise<string> =>
      outcome(call(daemon.socket, "POST", paths.buckets(lab.vip), { change }));
    for (const [change, refusal, nodes] of [
      ["+2", "CLUSTERIP_NODE_ALREADY_LOCAL", "1,2"],
      ["-1", "CLUSTERIP_NODE_NOT_LOCAL", "2"],
    ] as const) {
      const outcomes = await Promise.all(Array.from({ length: PARALLEL }, () => move(change)));
      expect(outcomes.filter((text) => text === "done")).toHaveLength(1);
      expect(outcomes.filter((text) => text === refusal)).toHaveLength(PARALLEL - 1);
      expect((await clusterip(lab, node, ["nodes", lab.vip])).stdout).toBe(`${nodes}\n`);
    }
    // Every bucket to and fro; each pair of requests undoes itself, in whatever order they come.
    const all = Array.from({ length: 16 }, (_, index) => `+${index + 1}`);
    await Promise.all(all.map(move));
    expect((await clusterip(lab, node, ["nodes", lab.vip])).stdout.split(",")).toHaveLength(16);
    await Promise.all(all.map((change) => move(change.replace("+", "-"))));
    expect((await clusterip(lab, node, ["nodes", lab.vip])).stdout).toBe("\n");
  });

  it("the program 'clusterip' itself, many at once", async () => {
    const daemon = await start();
    const statuses = await Promise.all(
      Array.from({ length: PARALLEL }, (_, index) =>
        clusterip(lab, node, ["nodes", lab.vip, `+${(index % 16) + 1}`]).then((r) => r.status),
      ),
    );
    // Bucket 1 was there: 15 are new, each of them once.
    expect(statuses.filter((status) => status === 0)).toHaveLength(15);
    expect(statuses.filter((status) => status === 1)).toHaveLength(PARALLEL - 15);
    expect((await call(daemon.socket, "GET", paths.buckets(lab.vip))) as object).toEqual({
      nodes: Array.from({ length: 16 }, (_, index) => index + 1),
    });
  });

  it(`${PARALLEL} requests add and delete virtual IPs at once: host and status agree at the end`, async () => {
    const before = await snapshot(node);
    const daemon = await start();
    const vips = Array.from({ length: PARALLEL / 5 }, (_, index) => `10.77.0.${20 + index}`);
    const body = { nic: "eth0", "total-nodes": 1, "local-node": 1 };
    const outcomes = await Promise.all(
      vips.flatMap((vip) => [
        outcome(add(daemon, { ...body, vip })),
        outcome(add(daemon, { ...body, vip })),
        outcome(del(daemon, vip)),
        outcome(add(daemon, { ...body, vip })),
        outcome(call(daemon.socket, "GET", paths.status)),
      ]),
    );
    expect(outcomes.filter((text) => !/^(done|CLUSTERIP_(EXISTS|NOT_FOUND))$/.test(text))).toEqual([]);
    const served = (await statusOf(daemon)).virtualIps.map(({ vip }) => vip).sort();
    const onHost = [...(await node.ip("-o", "addr", "show")).matchAll(/inet (\S+)\/32/g)];
    expect([...new Set(onHost.map(([, vip]) => vip))].sort()).toEqual(served);
    const arp = await node.exec(["nft", "list", "table", "arp", "clusteripd"]);
    for (const vip of served) expect(arp).toContain(`saddr ip ${vip} `);
    for (const vip of vips.filter((vip) => served.includes(vip)).slice(0, 3))
      await answersPing(lab.client(), vip);
    expect((await statusOf(daemon)).problems).toEqual([]);
    await daemon.kill();
    expect(await snapshot(node)).toBe(before);
  });

  it("hostile clients get clear errors or nothing, and the daemon lives", async () => {
    const all = { "total-nodes": 4, "local-node": [1, 2, 3, 4] };
    const daemon = await startDaemon(lab, node, { vips: [all] });
    const before = { host: await snapshot(node), status: await settingsOf(daemon) };
    const table: [args: string[], httpStatus: number, code: string][] = [
      [
        ["-X", "POST", "--data-binary", "@/dev/stdin", "http://x/v1/virtual-ips"],
        400,
        "CLUSTERIP_BAD_REQUEST",
      ],
      [["-X", "POST", "-d", "{", "http://x/v1/virtual-ips"], 400, "CLUSTERIP_BAD_REQUEST"],
      [["-X", "POST", "-d", "", "http://x/v1/virtual-ips"], 400, "CLUSTERIP_BAD_REQUEST"],
      [["-X", "POST", "-d", "null", "http://x/v1/virtual-ips"], 400, "CLUSTERIP_BAD_REQUEST"],
      ...["{}", '{"wait":true}'].map((body): [string[], number, string] => [
        ["-X", "POST", "-d", body, "http://x/v1/virtual-ips/192.0.2.9/announce"],
        404,
        "CLUSTERIP_NOT_FOUND",
      ]),
      [["-X", "POST", "-d", "[[[[]]]]", "http://x/v1/virtual-ips"], 400, "CLUSTERIP_BAD_REQUEST"],
      [
        ["-X", "POST", "-d", '{"__proto__":{"vip":1}}', "http://x/v1/virtual-ips"],
        400,
        "CLUSTERIP_BAD_REQUEST",
      ],
      [
        ["-X", "POST", "-d", '{"change":2}', `http://x/v1/virtual-ips/${lab.vip}/nodes`],
        400,
        "CLUSTERIP_BAD_REQUEST",
      ],
      [
        ["-X", "POST", "-d", '{"change":"+2","x":1}', `http://x/v1/virtual-ips/${lab.vip}/nodes`],
        400,
        "CLUSTERIP_BAD_REQUEST",
      ],
      [["http://x/"], 404, "CLUSTERIP_NOT_FOUND"],
      [["http://x/v2/status"], 404, "CLUSTERIP_NOT_FOUND"],
      [["--path-as-is", "http://x/v1/../../etc/passwd"], 404, "CLUSTERIP_NOT_FOUND"],
      [["http://x/v1/virtual-ips/%00"], 400, "CLUSTERIP_BAD_ADDRESS"],
      [["-X", "DELETE", "http://x/v1/status"], 400, "CLUSTERIP_BAD_REQUEST"],
      [["-X", "PATCH", "http://x/v1/virtual-ips"], 400, "CLUSTERIP_BAD_REQUEST"],
    ];
    const input = "x".repeat(3_000_000);
    for (const [args, httpStatus, code] of table) {
      const curl = [
        "curl",
        "-sS",
        "--max-time",
        "60",
        "--unix-socket",
        daemon.socket,
        "-w",
        "\n%{http_code}",
      ];
      const { status, stdout, stderr } = await node.tryExec([...curl, ...args], { input });
      expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: "" });
      const [text = "", answered] = stdout.trim().split(/\n(?=\d+$)/);
      const { error } = JSON.parse(text) as { error: { code: string; message: string } };
      expect({ args, answered, code: error.code }).toEqual({ args, answered: String(httpStatus), code });
      expect(error.message).toMatch(/\.$/);
    }
    for (const garbage of [
      "\0\x01\x02\r\n\r\n",
      "GET\r\n\r\n",
      `GET /${"a".repeat(100_000)} HTTP/1.1\r\n\r\n`,
    ]) {
      expect(await speak(daemon, garbage)).toMatch(/^HTTP\/1\.1 4\d\d |^$/);
    }
    expect({ host: await snapshot(node), status: await settingsOf(daemon) }).toEqual(before);
    expect(daemon.log()).not.toMatch(/"level":[56]0/);
    await answersPing(lab.client(), lab.vip);
  });

  it("clients that go away in the middle of anything are no defect, and nothing is logged of them", async () => {
    const daemon = await start();
    const post = (length: number, body: string): string =>
      `POST /v1/virtual-ips HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n${body}`;
    const chunked =
      "PUT /v1/virtual-ips/10.77.0.9/nodes/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    const cut: Record<string, string> = {
      "in the head": "GET /v1/status HTTP/1.1\r\nHo",
      "before the body": post(100, ""),
      "in the body": post(100, '{"vip":'),
      "in a large body": post(60_000, "x".repeat(30_000)),
      "in a body that is too large": post(10_000_000, "x".repeat(200_000)),
      "between chunks": `${chunked}5\r\n{"a":\r\n`,
      "in a chunk": `${chunked}500\r\n{"a":`,
      "with a chunk that is none": `${chunked}zz\r\n`,
      "with two lengths":
        "POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
      "before the answer": "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n",
      "after many requests at once": "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n".repeat(50),
      "after it asked for another protocol":
        "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
      "after CONNECT": "CONNECT /v1/status HTTP/1.1\r\nHost: x\r\n\r\n",
      "while it waits for a word to go on": post(100, "").replace("Host", "Expect: 100-continue\r\nHost"),
    };
    for (const [where, octets] of Object.entries(cut)) {
      for (const how of ["end", "destroy"] as const) {
        const connection = await open(daemon);
        await new Promise<void>((resolve) => connection.write(octets, () => resolve()));
        // The daemon has read it when it answers somebody who came later.
        await call(daemon.socket, "GET", paths.buckets(lab.vip));
        if (how === "end") connection.end();
        else connection.destroy();
        await call(daemon.socket, "GET", paths.buckets(lab.vip));
        connection.destroy();
        expect(daemon.running, where).toBe(true);
        expect(daemon.log(), where).not.toMatch(/"level":[456]0|stack|Error/);
      }
    }
    expect((await clusterip(lab, node, ["nodes", lab.vip])).stdout).toBe("1\n");
    await daemon.kill();
    expect(daemon.log()).not.toMatch(/"level":[456]0|stack/);
  });

  it("200 idle connections and half requests hold nobody up, also not the end", async () => {
    const daemon = await start();
    const idle = await Promise.all(Array.from({ length: 200 }, () => open(daemon)));
    const half = await Promise.all(Array.from({ length: 50 }, () => open(daemon)));
    for (const socket of half) {
      socket.write("POST /v1/virtual-ips HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{");
    }
    await sleep(100);
    // They are open still when these are answered.
    await statusOf(daemon);
    await call(daemon.socket, "POST", paths.buckets(lab.vip), { change: "+2" });
    expect([...idle, ...half].filter((socket) => socket.destroyed)).toEqual([]);
    // A keep-alive client that goes away in the middle of an answer.
    const agent = new Agent({ keepAlive: true });
    await new Promise<void>((resolve) => {
      get({ socketPath: daemon.socket, path: paths.status, agent }, (response) => {
        response.destroy();
        resolve();
      });
    });
    expect(await daemon.kill("SIGTERM")).toEqual({ code: 0, signal: null });
    for (const socket of [...idle, ...half]) socket.destroy();
    agent.destroy();
  });

  it("requests that come while it stops are refused or cut off, and nothing stays behind", async () => {
    const before = await snapshot(node);
    const daemon = await start();
    daemon.signal("SIGTERM");
    const body = { vip: "10.77.0.101", nic: "eth0", "total-nodes": 1, "local-node": 1 };
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcome(add(daemon, body))));
    expect(await daemon.process.exited).toEqual({ code: 0, signal: null });
    expect(outcomes.filter((text) => text === "done").length).toBeLessThanOrEqual(1);
    expect(outcomes.join()).toMatch(/CLUSTERIP_(STOPPING|UNREACHABLE)/);
    expect(await snapshot(node)).toBe(before);
  });

  // A machine so busy that it cannot be told from the look at intervals gets another try.
  it("what changes before its monitors hear is put back too", { retry: 5 }, async () => {
    const env = await envWithNft(lab, node, '[ "$1" != monitor ] || sleep 0.4');
    const daemon = await startDaemon(lab, node, { vips: [SETTINGS], env });
    const started = performance.now();
    await node.exec(["nft", "flush", "ruleset"]);
    await until(async () => expect((await statusOf(daemon)).repairs.nft.count).toBe(1));
    // Before the look that comes at intervals, every 10 s.
    expect(performance.now() - started).toBeLessThan(9000);
  });

  it("network events without end hold no request up, also where nft is slow", async () => {
    const calls = path.join(lab.directoryOf(node), "nft-calls");
    const env = await envWithNft(lab, node, `echo . >>${calls}; sleep 0.1`);
    const daemon = await startDaemon(lab, node, { vips: [SETTINGS], env });
    const address = "192.0.2.77/32 dev lo";
    const churn = `while :; do ip address add ${address}; ip address del ${address}; done`;
    const storm = node.spawn(["sh", "-c", churn], { stdio: "ignore" });
    try {
      await sleep(STORM_MS);
      // Each waits for a repair or two, however many events there have been: by what those ask nft.
      const before = readFileSync(calls, "utf8").length;
      for (const change of ["+2", "-2"]) {
        await call(daemon.socket, "POST", paths.buckets(lab.vip), { change });
      }
      const asked = (readFileSync(calls, "utf8").length - before) / 2;
      console.log(`nft was called ${asked} times during two requests`);
      expect(asked).toBeLessThan(CALLS_OF_SOME_REPAIRS);
    } finally {
      await storm.kill("SIGKILL");
    }
  });

  it("without a file descriptor for its monitor it goes on, and starts it when there is one", async () => {
    const daemon = await start();
    const limit = (count: number): Promise<string> =>
      node.exec(["prlimit", "--pid", String(daemon.pid), `--nofile=${count}:`]);
    const monitors = await pidsOf(node, MONITOR);
    expect(monitors).toHaveLength(1);
    await limit(8);
    for (const pid of monitors) process.kill(pid, "SIGKILL");
    // It tries again every second, and so do its repairs, which cannot start their tools either.
    await until(() => expect(daemon.log()).toContain("EMFILE"));
    expect(daemon.running).toBe(true);
    await limit(1024);
    await until(async () => expect(await pidsOf(node, MONITOR)).toHaveLength(1));
    await node.exec(["nft", "flush", "ruleset"]);
    await until(async () => expect((await statusOf(daemon)).repairs.nft.count).toBe(1));
  });

  it("keeps its file descriptors", async () => {
    const daemon = await start();
    const count = async (): Promise<number> =>
      Number((await node.exec(["sh", "-c", `ls /proc/${daemon.pid}/fd | wc -l`])).trim());
    const body = { vip: "10.77.0.101", nic: "eth0", "total-nodes": 1, "local-node": 1 };
    await add(daemon, body);
    await del(daemon, body.vip);
    const before = await count();
    for (let round = 0; round < 20; round += 1) {
      await add(daemon, body);
      await del(daemon, body.vip);
    }
    await until(async () => expect(await count()).toBeLessThanOrEqual(before + 2));
  });
});

/** "done", or the code of the refusal. */
async function outcome(request: Promise<unknown>): Promise<string> {
  try {
    await request;
    return "done";
  } catch (error) {
    return isClusterIpError(error) ? error.code : String(error);
  }
}

function open({ socket }: Daemon): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    connection.once("connect", () => {
      connection.on("error", () => {});
      resolve(connection);
    });
    connection.once("error", reject);
  });
}

/** What the daemon answers to octets that are no request, until it hangs up. */
async function speak(daemon: Daemon, octets: string): Promise<string> {
  const connection = await open(daemon);
  let answer = "";
  connection.on("data", (chunk: Buffer) => {
    answer += chunk.toString();
  });
  const closed = new Promise((resolve) => connection.once("close", resolve));
  connection.end(octets);
  await Promise.race([closed, sleep(5000)]);
  connection.destroy();
  return answer;
}
