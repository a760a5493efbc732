/** The announcement, octet by octet (RFC 826), and who sends it. */
import { pino } from "pino";
import { expect, it } from "vitest";
import { arpProbe, gratuitousArp } from "../../src/core/arp.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { Announcer } from "../../src/daemon/announcer.ts";
import type { ServedVirtualIp } from "../../src/daemon/asked.ts";
import { toClusterMac } from "../../src/model/mac.ts";
import { parseVirtualIp } from "../../src/settings/virtual-ip.ts";

const VIP = parseIpv4("10.77.9.100");
const CLUSTER = "fd:26:0a:7b:da:cb";
const NIC = "02:77:00:00:01:01";
const hex = (frame: Uint8Array): string => Buffer.from(frame).toString("hex");

it("a request says the cluster MAC and comes from the interface's own", () => {
  expect(hex(gratuitousArp("request", VIP, CLUSTER, NIC))).toBe(
    "ffffffffffff" +
      "027700000101" +
      "0806" +
      "0001080006040001" +
      "fd260a7bdacb0a4d0964" +
      "0000000000000a4d0964",
  );
});

it("a reply says it twice", () => {
  expect(hex(gratuitousArp("reply", VIP, CLUSTER, NIC))).toBe(
    "ffffffffffff" +
      "027700000101" +
      "0806" +
      "0001080006040002" +
      "fd260a7bdacb0a4d0964" +
      "fd260a7bdacb0a4d0964",
  );
});

it("a probe asks for the address, and claims none", () => {
  expect(hex(arpProbe(VIP, NIC))).toBe(
    "ffffffffffff" +
      "027700000101" +
      "0806" +
      "0001080006040001" +
      "02770000010100000000" +
      "0000000000000a4d0964",
  );
});

const settings = parseVirtualIp({ vip: "10.77.9.100", nic: "eth0", "total-nodes": 2, "local-node": 1 });
const virtualIp: ServedVirtualIp = {
  settings,
  origin: "request",
  engine: "userspace",
  clusterMac: toClusterMac(CLUSTER),
  localBuckets: [1],
  isAdopted: false,
};
const link = {
  ifindex: 7,
  name: "eth0",
  lower: undefined,
  master: undefined,
  kind: undefined,
  arpIgnore: 0,
  hasArp: true,
  bridge: undefined,
  type: "ether",
  mac: NIC,
  isUp: true,
  hasCarrier: true,
  xdp: undefined,
  addresses: [],
};
const log = pino({ level: "silent" });

it("announces as often as asked, and instances that ask at once share one run", async () => {
  const sent: number[] = [];
  const announcer = new Announcer((ifindex) => sent.push(ifindex), log);
  const look = () => ({ virtualIp, link });
  const runs = [1, 2, 3].map(() => announcer.announce(settings.address, { count: 3, intervalMs: 5 }, look));
  expect(sent).toHaveLength(2);
  await Promise.all(runs);
  // The first one's first announcement, and three more of those who came to it.
  expect(sent.length).toBeGreaterThanOrEqual(6);
  expect(sent.length).toBeLessThanOrEqual(8);
  expect(new Set(sent)).toEqual(new Set([7]));
});

it("ends when the address is not served any more, and survives an interface that is down", async () => {
  let turns = 0;
  const announcer = new Announcer(() => {
    throw new Error("ENETDOWN");
  }, log);
  await announcer.announce(settings.address, { count: 100, intervalMs: 1 }, () => {
    turns += 1;
    return turns <= 3 ? { virtualIp, link } : undefined;
  });
  expect(turns).toBe(4);
});
