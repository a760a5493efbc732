/**
 * Large segments and unfinished checksums pass through the engine whole: iperf3 from three clients' addresses at
 * once, one to each node (source address mode, since iperf3 uses two connections).
 *
 *     node1 (bucket 1)   node2 (bucket 2)   node3 (bucket 3)     client1
 *     iperf3 -s          iperf3 -s          iperf3 -s            iperf3 -c, three times
 *        ══╧═══════════════════╧══════════════════╧═════════════════╧══
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { Cluster } from "../support/cluster/cluster.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { listening } from "../support/lab/host-state.ts";
import { Hopeless, until } from "../support/wait.ts";

const IPERF_PORT = 5201;
/** No frame on a wire is larger: where the mean is, frames were merged. */
const LARGEST_FRAME = 1514;

interface IperfReport {
  end: { sum_received: { bits_per_second: number } };
}

describeNet("large segments", { tools: ["iperf3", "ethtool"] }, () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.start({ hashMode: "sourceip" });
    for (const node of cluster.lab.nodes) {
      node.spawn(["iperf3", "-s", "-p", String(IPERF_PORT)], { stdio: "ignore" });
    }
    await Promise.all(cluster.lab.nodes.map((node) => listening(node, { port: IPERF_PORT })));
  });

  afterAll(() => cluster?.close());

  it("10 s with unfinished checksums and segments of 64 KiB: no checksum error, no loss in the engine", async () => {
    await runAndCheck(10);
  });

  it("3 s of full checksums, merged on arrival (GRO)", async () => {
    await cluster.lab.client().exec(["ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off"]);
    for (const node of cluster.lab.nodes) {
      await node.exec(["ethtool", "-K", "eth0", "gro", "on"]);
      // A veth merges only what comes from a device that could not have sent it in one piece.
      await cluster.lab.switch.exec(["ethtool", "-K", node.name, "tso", "off"]);
    }
    await runAndCheck(3);
  });

  async function runAndCheck(seconds: number): Promise<void> {
    const errorsBefore = await Promise.all(cluster.lab.nodes.map(kernelErrors));
    const before = await Promise.all(cluster.lab.nodes.map(received));
    const reports = await Promise.all([1, 2, 3].map((bucket) => iperf(bucket, seconds)));
    const after = await Promise.all(cluster.lab.nodes.map(received));

    for (const { end } of reports) expect(end.sum_received.bits_per_second).toBeGreaterThan(1e6);
    expect(await Promise.all(cluster.lab.nodes.map(kernelErrors))).toEqual(errorsBefore);
    for (const [index, { engine, frames, bytes, failed, lastDeliveryError }] of after.entries()) {
      const { frames: framesBefore = 0, bytes: bytesBefore = 0 } = before[index] ?? {};
      const mean = (bytes - bytesBefore) / (frames - framesBefore);
      // Engine bpf gets merged frames too, but counts what they were on the wire.
      if (engine === "bpf") expect(mean).toBeLessThanOrEqual(LARGEST_FRAME);
      else expect(mean).toBeGreaterThan(LARGEST_FRAME);
      expect(mean).toBeGreaterThan(LARGEST_FRAME * 0.9);
      expect({ failed, lastDeliveryError }).toEqual({ failed: 0, lastDeliveryError: undefined });
    }
  }

  async function iperf(bucket: number, seconds: number): Promise<IperfReport> {
    const saddr = cluster.sources.find(
      (source) => cluster.bucketOf({ protocol: "tcp", saddr: source }) === bucket,
    );
    const argv = [
      "iperf3",
      "-J",
      "-c",
      cluster.lab.vip,
      "-p",
      String(IPERF_PORT),
      "-B",
      saddr ?? "",
      "-t",
      String(seconds),
    ];
    return until(async () => {
      const ran = await cluster.lab.client().tryExec(argv, { timeoutMs: (seconds + 20) * 1000 });
      if (ran.status === 0) return JSON.parse(ran.stdout) as IperfReport;
      // One that has not closed the last test yet says so.
      const isBusy = ran.stdout.includes("server is busy");
      throw new (isBusy ? Error : Hopeless)(ran.stdout + ran.stderr);
    }, 100);
  }

  async function received(node: Host) {
    const nic = (await cluster.status(node)).nics[0];
    if (nic === undefined) throw new Error(`${node.name} serves no interface`);
    // What the owner is given; foreign frames are of the same sizes.
    const { frames, bytes } = nic.byReason["local-bucket"];
    const failed = nic.byVerdict.drop.frames;
    return { engine: nic.engine, frames, bytes, failed, lastDeliveryError: nic.lastDeliveryError };
  }
});

/** The counters of wrong checksums and headers of all protocols, by name. */
async function kernelErrors(node: Host): Promise<Map<string, number>> {
  const lines = (await node.exec(["cat", "/proc/net/snmp", "/proc/net/netstat"])).trim().split("\n");
  const counters = new Map<string, number>();
  for (let line = 0; line + 1 < lines.length; line += 2) {
    const [protocol = "", ...names] = (lines[line] ?? "").split(" ");
    const values = (lines[line + 1] ?? "").split(" ").slice(1);
    for (const [index, name] of names.entries()) {
      if (/Csum|InHdrErrors/.test(name)) counters.set(`${protocol}${name}`, Number(values[index]));
    }
  }
  if (!counters.has("Tcp:InCsumErrors")) throw new Error("the kernel counts no checksum errors");
  return counters;
}
