import { endianness } from "node:os";
import { expect, it } from "vitest";
import { findNetwork, findPrefixLength } from "../../src/daemon/find-network.ts";
import { type LinkRoute, parseRoutes } from "../../src/host/routes.ts";
import { parseIpv4Address } from "../../src/model/address.ts";

const TITLES = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
const vip = parseIpv4Address("10.77.0.100");

const link = (name: string, ...addresses: string[]) => ({
  ifindex: 2,
  name,
  lower: undefined,
  type: "ether",
  mac: "02:00:00:00:00:01",
  isUp: true,
  hasCarrier: true,
  xdp: undefined,
  ...{ master: undefined, kind: undefined, arpIgnore: 0, hasArp: true, bridge: undefined },
  addresses: addresses.map((text) => {
    const [address = "", length] = text.split("/");
    return {
      address: parseIpv4Address(address),
      prefixLength: Number(length),
      broadcast: undefined,
      scope: "global",
      isSecondary: false,
      isOurs: false,
    };
  }),
});
const route = (device: string, network: string, prefixLength: number, isOurs = false): LinkRoute => ({
  device,
  network: parseIpv4Address(network),
  prefixLength,
  isOurs,
});

// The kernel prints octets in network order as a number of the machine's.
it.skipIf(endianness() !== "LE")("reads the routes without a router, and knows its own", () => {
  const lines = [
    "eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0",
    "eth0\t000200C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0",
    "eth1\t00004D0A\t00000000\t0001\t0\t0\t52467\t0000FEFF\t0\t0\t0",
    "eth1\t0000630A\t0100000A\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0",
    "*\t0000640A\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0",
    "eth1\t0100000A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0",
  ];
  expect(parseRoutes([TITLES, ...lines, ""].join("\n"))).toEqual([
    route("eth0", "192.0.2.0", 24),
    route("eth1", "10.77.0.0", 15, true),
  ]);
});

it("finds the longest prefix that holds the address, and none by its own entry or by our route", () => {
  const find = (...addresses: string[]) => findPrefixLength(vip, link("eth0", ...addresses), []);
  expect(find("10.77.0.11/24", "10.1.1.1/8")).toBe(24);
  expect(find("10.77.0.100/28", "10.77.0.11/24")).toBe(24);
  expect(find("10.77.0.100/32", "10.77.0.11/32")).toBeUndefined();
  const routes = [
    route("eth0", "10.77.0.96", 28),
    route("eth1", "10.77.0.96", 29),
    route("eth0", "10.77.0.0", 25, true),
  ];
  expect(findPrefixLength(vip, link("eth0"), routes)).toBe(28);
  expect(findPrefixLength(vip, link("eth0"), routes, 27)).toBeUndefined();
  expect(findPrefixLength(vip, link("eth0", "10.77.0.100/28"), routes)).toBeUndefined();
});

it("finds the interface by the most specific network", () => {
  const links = [link("eth0", "10.1.1.1/8"), link("eth1", "10.77.0.11/24")];
  expect(findNetwork(vip, links, [])).toEqual({ nic: "eth1", prefixLength: 24 });
  expect(findNetwork(vip, links, [], "eth0")).toEqual({ nic: "eth0", prefixLength: 8 });
  expect(() => findNetwork(parseIpv4Address("192.0.2.1"), links, [])).toThrow(
    "No network of any interface holds 192.0.2.1",
  );
});
