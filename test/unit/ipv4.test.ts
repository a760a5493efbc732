import { expect, test } from "vitest";
import {
  broadcastOf,
  formatIpv4,
  networkHolds,
  parseIpv4,
  tryParseIpv4,
  whyNotVirtualIp,
} from "../../src/core/ipv4.ts";

test("addresses are host-order numbers and come back as they were", () => {
  expect(parseIpv4("192.0.2.1")).toBe(0xc0000201);
  for (const text of ["0.0.0.0", "255.255.255.255", "128.0.0.1", "10.77.0.100"]) {
    expect(formatIpv4(parseIpv4(text))).toBe(text);
  }
});

test.each([
  "",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "01.2.3.4",
  "1.2.3.4 ",
  "1.2.3.-4",
  "::1",
  "a.b.c.d",
  "1..2.3",
  "999.1.1.1",
])("%j is no address", (text) => {
  expect(tryParseIpv4(text)).toBeUndefined();
  expect(() => parseIpv4(text)).toThrow(expect.objectContaining({ code: "CLUSTERIP_BAD_ADDRESS" }));
});

test("networks and their broadcast addresses", () => {
  expect(formatIpv4(broadcastOf(parseIpv4("10.77.9.100"), 24))).toBe("10.77.9.255");
  expect(formatIpv4(broadcastOf(parseIpv4("10.77.9.100"), 30))).toBe("10.77.9.103");
  expect(broadcastOf(1, 0)).toBe(0xffffffff);
  expect(broadcastOf(0x0a000001, 32)).toBe(0x0a000001);
  expect(networkHolds(parseIpv4("10.0.0.1"), 8, parseIpv4("10.255.0.1"))).toBe(true);
  expect(networkHolds(parseIpv4("10.0.0.1"), 31, parseIpv4("10.0.0.2"))).toBe(false);
  expect(networkHolds(0, 0, 0xffffffff)).toBe(true);
});

test.each(["0.1.2.3", "127.0.0.1", "224.0.0.5", "240.0.0.1", "255.255.255.255"])(
  "%s cannot be a virtual IP",
  (text) => {
    expect(whyNotVirtualIp(parseIpv4(text))).toBeDefined();
  },
);

test.each(["10.0.0.1", "1.0.0.1", "223.255.255.254", "126.0.0.1", "128.0.0.1"])(
  "%s can be a virtual IP",
  (text) => {
    expect(whyNotVirtualIp(parseIpv4(text))).toBeUndefined();
  },
);
