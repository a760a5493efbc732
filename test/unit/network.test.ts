import { expect, test } from "vitest";
import { broadcastOf, formatIpv4, networkHolds as ipv4NetworkHolds, netmaskOf } from "../../src/core/ipv4.ts";
import { type Address, addressOfBits, ipv4Address, tryParseAddress } from "../../src/model/address.ts";
import { addressAfter, formatNetwork, lastOf, networkHolds, networkOf } from "../../src/model/network.ts";
import { Random } from "../support/verdict/differential-frames.ts";

const at = (text: string): Address => tryParseAddress(text) as Address;

test("IPv4: what the arithmetic of 32 bits gives, for every prefix length", () => {
  const random = new Random(32);
  for (let run = 0; run < 200; run += 1) {
    const [one, other] = [random.word(), random.word()];
    for (let length = 0; length <= 32; length += 1) {
      const near = ((one & netmaskOf(length)) | (other & ~netmaskOf(length))) >>> 0;
      const address = ipv4Address(one);
      expect(networkOf(address, length)).toBe(formatIpv4((one & netmaskOf(length)) >>> 0));
      expect(lastOf(address, length)).toBe(formatIpv4(broadcastOf(one, length)));
      for (const host of [other, near]) {
        expect(networkHolds(address, length, ipv4Address(host))).toBe(ipv4NetworkHolds(one, length, host));
      }
    }
  }
});

test("IPv6: 128 bits, and no network of the one family holds an address of the other", () => {
  expect(networkOf(at("2001:db8:1:2:3::4"), 48)).toBe("2001:db8:1::");
  expect(lastOf(at("2001:db8:1::"), 126)).toBe("2001:db8:1::3");
  expect(networkHolds(at("2001:db8::"), 32, at("2001:db8:ffff::1"))).toBe(true);
  expect(networkHolds(at("2001:db8::"), 32, at("2001:db9::"))).toBe(false);
  expect(networkHolds(at("::"), 0, at("192.0.2.1"))).toBe(false);
  expect(networkHolds(at("0.0.0.0"), 0, addressOfBits(1n))).toBe(false);
  expect(formatNetwork(at("192.0.2.10"), 24)).toBe("192.0.2.0/24");
  expect(addressAfter(at("192.0.2.255"), 1)).toBe("192.0.3.0");
});
