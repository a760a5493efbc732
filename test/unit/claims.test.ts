/** When the LAN is asked for a virtual IP, and what becomes of the answers. */
import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { formatIpv4 } from "../../src/core/ipv4.ts";
import type { ServedVirtualIp } from "../../src/daemon/asked.ts";
import { Claims } from "../../src/daemon/claims.ts";
import { describeProblem } from "../../src/daemon/problem-text.ts";
import { CLAIM_SECONDS, type NotedClaim, parseClaims, renderClaims } from "../../src/host/arp-claims.ts";
import type { Link } from "../../src/host/ip.ts";
import { type Address, parseIpv4Address } from "../../src/model/address.ts";
import { toClusterMac } from "../../src/model/mac.ts";
import { parseVirtualIp } from "../../src/settings/virtual-ip.ts";

const VIP = "10.77.0.100";
const CLUSTER = "4d:e2:58:37:f1:f1";
const OTHER = "02:77:00:00:02:01";
const OWN = "02:77:00:00:01:01";
const SECOND_NIC = "02:77:00:00:04:01";

function served(vip = VIP, clusterMac = CLUSTER): [Address, ServedVirtualIp] {
  const settings = parseVirtualIp({ vip, nic: "eth0", "total-nodes": 2, "local-node": 1 });
  const { address, localBuckets } = settings;
  const virtualIp = {
    settings,
    origin: "request",
    engine: "userspace",
    clusterMac,
    localBuckets,
    isAdopted: false,
  };
  return [address, virtualIp as ServedVirtualIp];
}

function link(name: string, mac: string, over: Partial<Link> = {}): Link {
  return {
    ...{ ifindex: 7, name, lower: undefined, type: "ether", mac, isUp: true, hasCarrier: true },
    ...{ master: undefined, kind: undefined, arpIgnore: 0, hasArp: true, bridge: undefined },
    ...{ xdp: undefined, addresses: [] },
    ...over,
  };
}

/** As long as the kernel would note it. */
let noted: NotedClaim[];
let lines: string[];
let probes: string[];
let claims: Claims;

beforeEach(() => {
  vi.useFakeTimers();
  noted = [];
  lines = [];
  probes = [];
  const log = pino({ level: "warn" }, { write: (line: string) => lines.push(JSON.parse(line).msg) });
  const send = (ifindex: number, frame: Uint8Array): void => {
    probes.push(`${ifindex} ${formatIpv4(new DataView(frame.buffer).getUint32(38))}`);
  };
  claims = new Claims(send, log, async () => noted);
});
afterEach(() => {
  claims.stop();
  vi.useRealTimers();
});

const LINKS = [link("eth0", OWN), link("eth1", SECOND_NIC, { ifindex: 8 })];
const claim = (mac: string, ageSeconds = 0, vip = VIP): NotedClaim => ({
  ...{ address: parseIpv4Address(vip), mac, ageSeconds },
});
const seconds = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 1000);

it("asks three times, all virtual IPs together, when they come into service and when the link is back", async () => {
  const second = served("10.77.0.101");
  claims.follow(new Map([served(), second]), LINKS);
  expect(probes).toEqual([`7 ${VIP}`, "7 10.77.0.101"]);
  await seconds(20);
  expect(probes).toHaveLength(6);
  // One more: only that.
  const three = new Map([served(), second, served("10.77.0.102")]);
  claims.follow(three, LINKS);
  await seconds(20);
  expect(probes.slice(6)).toEqual(Array(3).fill("7 10.77.0.102"));

  claims.follow(three, [link("eth0", OWN, { hasCarrier: false })]);
  await seconds(20);
  expect(probes).toHaveLength(9);
  claims.follow(three, [...LINKS]);
  await seconds(20);
  expect(probes).toHaveLength(18);
  claims.follow(new Map(), LINKS);
  await seconds(20);
  expect(probes).toHaveLength(18);
});

it("tells of a claim once, keeps it while nobody notes it, asks on, and tells when it is over", async () => {
  claims.follow(new Map([served()]), LINKS);
  noted = [claim(OTHER)];
  await seconds(1);
  expect(claims.problems).toMatchObject([{ code: "address-claimed", nic: "eth0", vip: VIP }]);
  expect(claims.problems.map(describeProblem)[0]).toContain(`by the MAC ${OTHER}:`);
  await seconds(2);
  // Our tables are replaced, and with them the set: the claim is as old as before.
  noted = [];
  for (let passed = 0; passed < CLAIM_SECONDS - 10; passed += 10) {
    await seconds(10);
    await claims.look();
    expect(claims.problems).toHaveLength(1);
  }
  expect(probes.length).toBeGreaterThanOrEqual(3 + 2);
  expect(lines).toHaveLength(1);
  await seconds(10);
  await claims.look();
  expect(claims.problems).toEqual([]);
  expect(lines).toEqual([expect.stringContaining(OTHER), "no other host claims it any more"]);
});

it("an old note is as old as it is", async () => {
  claims.follow(new Map([served()]), LINKS);
  noted = [claim(OTHER, CLAIM_SECONDS - 3)];
  await seconds(1);
  noted = [];
  await seconds(5);
  await claims.look();
  expect(claims.problems).toEqual([]);
});

it("the cluster, this host's own interfaces and what is not served here are no other host", async () => {
  claims.follow(new Map([served()]), LINKS);
  noted = [claim(CLUSTER), claim(OWN), claim(SECOND_NIC), claim(OTHER, 0, "10.77.0.99")];
  await seconds(3);
  expect(claims.problems).toEqual([]);
  expect(lines).toEqual([]);
});

it("names three of many, and keeps no more than the kernel does", async () => {
  claims.follow(new Map([served()]), LINKS);
  for (let first = 0; first < 5000; first += 256) {
    noted = Array.from({ length: 256 }, (_, index) => claim(macOf(first + index)));
    await seconds(1);
    await claims.look();
  }
  expect(claims.problems).toHaveLength(1);
  expect(claims.problems.map(describeProblem)[0]).toContain(
    `by the MAC ${macOf(0)}, ${macOf(1)}, ${macOf(2)} and 253 more:`,
  );
  expect(lines).toHaveLength(1);
});

it("forgets a claim with its virtual IP, and what was heard of another cluster MAC", async () => {
  claims.follow(new Map([served()]), LINKS);
  noted = [claim(OTHER)];
  await seconds(1);
  claims.follow(new Map(), LINKS);
  claims.follow(new Map([served()]), LINKS);
  expect(claims.problems).toEqual([]);
  await seconds(1);
  expect(claims.problems).toHaveLength(1);
  noted = [];
  claims.follow(new Map([served(VIP, OTHER)]), LINKS);
  expect(claims.problems).toEqual([]);
});

it("reads what nft prints, from 0.9.8 to 1.1.3, and one rule an interface fills it", () => {
  const set = {
    family: "arp",
    name: "claims",
    table: "clusteripd",
    type: ["ipv4_addr", "ether_addr"],
    handle: 2,
  };
  const metainfo = { version: "0.9.8", release_name: "E.D.S.", json_schema_version: 1 };
  const print = (elements: object): string =>
    JSON.stringify({ nftables: [{ metainfo }, { set: { ...set, size: 256, timeout: 30, ...elements } }] });
  const elem = [{ elem: { val: { concat: [VIP, OTHER] }, expires: 29 } }];
  expect(parseClaims(print({ elem }))).toEqual([claim(OTHER, CLAIM_SECONDS - 29)]);
  expect(parseClaims(print({}))).toEqual([]);

  const watched = [100, 101, 102].map((octet) => ({
    ...{ address: parseIpv4Address(`10.77.0.${octet}`), nic: octet === 102 ? "eth1" : "eth0" },
    clusterMac: toClusterMac(CLUSTER),
  }));
  expect(renderClaims(watched).filter((line) => line.includes("iifname"))).toEqual([
    `    iifname "eth0" arp saddr ip { 10.77.0.100, 10.77.0.101 } arp saddr ip . arp saddr ether != { 10.77.0.100 . ${CLUSTER}, 10.77.0.101 . ${CLUSTER} } update @claims { arp saddr ip . arp saddr ether }`,
    `    iifname "eth1" arp saddr ip { 10.77.0.102 } arp saddr ip . arp saddr ether != { 10.77.0.102 . ${CLUSTER} } update @claims { arp saddr ip . arp saddr ether }`,
  ]);
});

function macOf(number: number): string {
  return `02:00:00:00:${(number >> 8).toString(16).padStart(2, "0")}:${(number & 255).toString(16).padStart(2, "0")}`;
}
