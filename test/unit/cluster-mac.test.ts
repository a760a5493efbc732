import { expect, test } from "vitest";
import { deriveClusterMac } from "../../src/core/cluster-mac.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { parseClusterMac } from "../../src/core/mac.ts";

test("derives what IPaddr2 derives", () => {
  expect(deriveClusterMac(parseIpv4("192.168.1.100"), 24)).toBe("d1:d8:5a:cc:cc:21");
  expect(deriveClusterMac(parseIpv4("10.77.9.100"), 24)).toBe("fd:26:0a:7b:da:cb");
  // md5sum of "10.77.0.100 24 10.77.0.255\n" begins 4ce25837f1f1: the second digit becomes 1
});

test("a derived MAC is always one that is accepted", () => {
  for (let host = 1; host < 255; host += 1) {
    const mac = deriveClusterMac(parseIpv4(`10.1.2.${host}`), 24);
    expect(parseClusterMac(mac)).toBe(mac);
  }
});

test("a broadcast address that is not the network's usual one enters as it is", () => {
  const vip = parseIpv4("192.168.1.100");
  expect(deriveClusterMac(vip, 24, "192.168.1.0")).not.toBe(deriveClusterMac(vip, 24));
});

test.each([
  ["ff:ff:ff:ff:ff:ff", /broadcast/],
  ["00:11:22:33:44:55", /unicast/],
  ["01:11:22:33:44", /not a MAC/],
  ["01:11:22:33:44:5g", /not a MAC/],
  ["", /not a MAC/],
])("refuses %s as a cluster MAC", (text, why) => {
  expect(() => parseClusterMac(text)).toThrow(why);
});
