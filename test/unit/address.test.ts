import { expect, test } from "vitest";
import {
  type Address,
  addressBits,
  addressOfBits,
  ipv4Address,
  ipv4Host,
  isIpv4,
  parseIpv4Address,
  tryParseAddress,
} from "../../src/model/address.ts";
import { Random } from "../support/verdict/differential-frames.ts";

test.each([
  ["192.0.2.10", "192.0.2.10", 0xffff_c000_020an],
  ["::ffff:192.0.2.10", "192.0.2.10", 0xffff_c000_020an],
  ["::FFFF:c000:20a", "192.0.2.10", 0xffff_c000_020an],
  ["::", "::", 0n],
  ["::1", "::1", 1n],
  ["1::", "1::", 1n << 112n],
  ["2001:DB8:0:0:0:0:0:1", "2001:db8::1", (0x2001_0db8n << 96n) | 1n],
  // RFC 5952, 4.2.2 and 4.2.3: one group of zeros is written, and of two equal runs the first is shortened
  ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1", (0x2001_0db8n << 96n) | 0x1_0001_0001_0001_0001n],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", (0x2001_0db8n << 96n) | (1n << 48n) | 1n],
])("%s is %s", (text, canonical, bits) => {
  const address = tryParseAddress(text) as Address;
  expect(address).toBe(canonical);
  expect(addressBits(address)).toBe(bits);
  expect(addressOfBits(bits)).toBe(canonical);
});

test.each([
  "",
  "192.0.2",
  "192.0.2.010",
  "256.0.0.1",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4::5:6:7:8",
  "12345::",
  "g::",
  "192.0.2.10::",
  "::192.0.2.10:1",
  "fe80::1%eth0",
])("%j is no address", (text) => {
  expect(tryParseAddress(text)).toBeUndefined();
});

test("of every 128 bits there is one text, which leads back to them", () => {
  const random = new Random(10);
  for (let run = 0; run < 20_000; run += 1) {
    // Zero groups are common, so that every run of them occurs.
    let bits = 0n;
    for (let group = 0; group < 8; group += 1) {
      bits = (bits << 16n) | (random.chance(50) ? 0n : BigInt(random.between(0, 0xffff)));
    }
    const text = addressOfBits(bits);
    expect(addressBits(text)).toBe(bits);
    expect(tryParseAddress(text)).toBe(text);
    expect(tryParseAddress(text.toUpperCase())).toBe(text);
  }
});

test("an IPv4 address is its number in host order", () => {
  expect(ipv4Address(0xc000020a)).toBe("192.0.2.10");
  expect(ipv4Host(parseIpv4Address("192.0.2.10"))).toBe(0xc000020a);
  expect(isIpv4(ipv4Address(0))).toBe(true);
  const six = tryParseAddress("2001:db8::1") as Address;
  expect(isIpv4(six)).toBe(false);
  expect(() => ipv4Host(six)).toThrow("2001:db8::1 is no IPv4 address");
  expect(() => parseIpv4Address("2001:db8::1")).toThrow("is not an IPv4 address");
  expect(() => addressOfBits(1n << 128n)).toThrow("more than 128 bits");
});
