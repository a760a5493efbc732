/**
 * What the packet path makes a request wait for holds up nothing else: other requests are answered meanwhile, timers go
 * on, and the service manager gets its signs of life.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { call } from "../../src/api/client.ts";
import { paths } from "../../src/api/contract.ts";
import { describeBpf } from "../support/bpf/describe-bpf.ts";
import { type Daemon, recover, startDaemon } from "../support/daemon/daemon.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { Lab } from "../support/lab/lab.ts";
import type { TrackedProcess } from "../support/lab/processes.ts";
import { until } from "../support/wait.ts";

const SETTINGS = { "total-nodes": 4, "local-node": [1] };
/** A third of it lies between two signs of life. */
const WATCHDOG_US = 150_000;
/** Much less than the second for which a CPU that stands still is waited for, and enough to begin to wait. */
const BEGUN_MS = 200;

/** For the daemon alone /proc/net is a directory of the test's. */
const WITH_PROC_NET = [
  ...["unshare", "-m", "sh", "-ec"],
  'mount --make-rprivate /; mount --bind "$0" "/proc/$$/net"; exec "$@"',
];

/** @param waiting frames in the backlog of the only CPU, which processes none */
function softnet(waiting: number): string {
  const columns = Array.from({ length: 15 }, (_, index) => (index === 0 ? 7 : index === 11 ? waiting : 0));
  return `${columns.map((column) => column.toString(16).padStart(8, "0")).join(" ")}\n`;
}

/** Prints every datagram that comes to a socket as a line. */
const LISTEN = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
while True:
    print(s.recv(4096).decode().split("\\n")[0], flush=True)`;

/** Stops one thread of a process until standard input ends. */
const STOP = `
import ctypes, os, sys
libc, tid = ctypes.CDLL(None, use_errno=True), int(sys.argv[1])
SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
for request in (SEIZE, INTERRUPT):
    if libc.ptrace(request, tid, None, None) != 0: sys.exit(os.strerror(ctypes.get_errno()))
os.waitpid(tid, WALL)
print("stopped", flush=True)
sys.stdin.read()
libc.ptrace(DETACH, tid, None, None)`;

function testWith(engine: string, describe: typeof describeNet): void {
  describe(`requests that wait: engine ${engine}`, { tools: ["python3", "unshare", "mount"] }, () => {
    let lab: Lab;
    let node: Host;
    let helpers: TrackedProcess[] = [];

    beforeAll(async () => {
      lab = await Lab.create({ nodes: 1 });
      node = lab.node(1);
    });
    afterAll(() => lab.close());
    afterEach(async () => {
      for (const helper of helpers) await helper.kill("SIGKILL");
      helpers = [];
      await recover(lab, node);
    });

    const file = (name: string): string => path.join(lab.directoryOf(node), name);
    const vips = [{ ...SETTINGS, engine }];
    const change = (daemon: Daemon, text: string): Promise<unknown> =>
      call(daemon.socket, "POST", paths.buckets(lab.vip), { change: text });
    const buckets = (daemon: Daemon): Promise<unknown> => call(daemon.socket, "GET", paths.buckets(lab.vip));
    const check = (daemon: Daemon, bucket: number): Promise<unknown> =>
      call(daemon.socket, "GET", paths.bucket(lab.vip, bucket));

    // A machine so busy that two requests take a second gets another try.
    it("a bucket that waits for a CPU that stands still", { retry: 3 }, async () => {
      const procNet = mkdtempSync(file("proc-net-"));
      const table = path.join(procNet, "softnet_stat");
      writeFileSync(table, softnet(0));
      for (const name of ["dev_mcast", "route"]) {
        symlinkSync(`/proc/thread-self/net/${name}`, path.join(procNet, name));
      }
      const notify = file(`notify-${performance.now()}`);
      const listener = node.spawn(["python3", "-c", LISTEN, notify], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      helpers.push(listener);
      let signs = 0;
      listener.child.stdout?.on("data", (chunk: Buffer) => {
        signs += chunk.toString().match(/^WATCHDOG=1$/gm)?.length ?? 0;
      });
      const env = { NOTIFY_SOCKET: notify, WATCHDOG_USEC: String(WATCHDOG_US) };
      await until(() => expect(existsSync(notify)).toBe(true));
      const daemon = await startDaemon(lab, node, { vips, env, under: [...WITH_PROC_NET, procNet] });
      await until(() => expect(signs).toBeGreaterThan(0));

      writeFileSync(table, softnet(1));
      const order: string[] = [];
      const changed = change(daemon, "+2").then(() => order.push("changed"));
      await sleep(BEGUN_MS);
      const signsBefore = signs;
      expect(await buckets(daemon)).toEqual({ nodes: [1] });
      order.push("asked");
      await check(daemon, 1);
      order.push("checked");
      await changed;
      expect(order).toEqual(["asked", "checked", "changed"]);
      expect(signs - signsBefore).toBeGreaterThan(0);
      expect(await buckets(daemon)).toEqual({ nodes: [1, 2] });
      await daemon.kill();
    });

    // Engine bpf has no worker.
    if (engine === "bpf") return;
    it("a bucket that waits for a worker that stands still", async () => {
      const daemon = await startDaemon(lab, node, { vips });
      const helper = node.spawn(["python3", "-c", STOP, workerOf(daemon)], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      helpers.push(helper);
      await new Promise((resolve) => helper.child.stdout?.once("data", resolve));
      const changed = change(daemon, "+2");
      await sleep(BEGUN_MS);
      // Were it answered behind the change, that would fail first: a worker is waited for two seconds.
      expect(await buckets(daemon)).toEqual({ nodes: [1] });
      helper.child.stdin?.end();
      await changed;
      expect(await buckets(daemon)).toEqual({ nodes: [1, 2] });
      await daemon.kill();
    });
  });
}

testWith("userspace", describeNet);
testWith("bpf", describeBpf);

/** The thread id of its only worker. */
function workerOf({ pid }: Daemon): string {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const isWorker = (task: string): boolean =>
    readFileSync(`/proc/${pid}/task/${task}/comm`, "utf8").startsWith("clusteripd-io");
  return tasks.find(isWorker) ?? "none";
}
