/** Which addresses of an interface no cluster can share, by what the host has set there. */
import { describe, expect, it } from "vitest";
import { whyUnfit } from "../../src/daemon/unfit-address.ts";
import type { InterfaceAddress } from "../../src/host/ip.ts";
import { parseIpv4Address } from "../../src/model/address.ts";

interface Kind {
  isSecondary?: boolean;
  isOurs?: boolean;
  broadcast?: string;
}

function address(
  text: string,
  { isSecondary = false, isOurs = false, broadcast }: Kind = {},
): InterfaceAddress {
  const [local = "", prefix = ""] = text.split("/");
  return {
    ...{ address: parseIpv4Address(local), prefixLength: Number(prefix) },
    ...{ broadcast: broadcast === undefined ? undefined : parseIpv4Address(broadcast) },
    ...{ isSecondary, isOurs, scope: "global" },
  };
}

function why(vip: string, addresses: readonly InterfaceAddress[], wasServed?: boolean): string | undefined {
  const refusal = whyUnfit({ address: parseIpv4Address(vip) }, { name: "eth0", addresses }, wasServed);
  return refusal === undefined ? undefined : `${refusal.code}: ${refusal.message}`;
}

const OWN = address("10.77.0.11/24", { broadcast: "10.77.0.255" });

describe("the host's own address", () => {
  it("is refused, and named with its network", () => {
    expect(why("10.77.0.11", [OWN])).toMatch(
      /^CLUSTERIP_ADDRESS_IN_USE: 10\.77\.0\.11 is this host's own address on eth0 \(10\.77\.0\.11\/24\)/,
    );
    // Also beside others of its network, and beside our own.
    const beside = [
      OWN,
      address("10.77.0.12/24", { isSecondary: true }),
      address("10.77.0.100/32", { isOurs: true }),
    ];
    expect(why("10.77.0.11", beside)).toMatch(/own address/);
  });

  it("is the only one of the interface where that is a /32", () => {
    expect(why("192.0.2.5", [address("192.0.2.5/32")])).toMatch(/own address/);
    expect(why("192.0.2.5", [address("192.0.2.5/32"), address("192.0.2.9/32", { isOurs: true })])).toMatch(
      /own/,
    );
  });

  it("is not one that somebody has set beside it for the cluster", () => {
    expect(why("10.77.0.100", [OWN])).toBeUndefined();
    expect(why("10.77.0.100", [OWN, address("10.77.0.100/24", { isSecondary: true })])).toBeUndefined();
    expect(why("10.77.0.100", [OWN, address("10.77.0.100/32")])).toBeUndefined();
    expect(why("10.77.0.100", [address("10.77.0.100/32"), OWN])).toBeUndefined();
  });

  it("is not our own, be it the only one", () => {
    expect(why("10.77.0.100", [address("10.77.0.100/32", { isOurs: true })])).toBeUndefined();
    expect(why("10.77.0.100", [])).toBeUndefined();
  });

  it("is not one that was served here before and has become the first since", () => {
    const promoted = [address("10.77.0.100/24"), { ...OWN, isSecondary: true }];
    expect(why("10.77.0.100", promoted)).toMatch(/own address/);
    expect(why("10.77.0.100", promoted, true)).toBeUndefined();
  });
});

describe("an address that means no host", () => {
  it("the network's own, and its broadcast address", () => {
    expect(why("10.77.0.0", [OWN])).toMatch(
      /^CLUSTERIP_BAD_ADDRESS: 10\.77\.0\.0 is the address of the network 10\.77\.0\.0\/24 on eth0/,
    );
    expect(why("10.77.0.255", [OWN])).toMatch(
      /^CLUSTERIP_BAD_ADDRESS: 10\.77\.0\.255 is the broadcast address of the network 10\.77\.0\.0\/24 on eth0/,
    );
    // Also where none is set.
    expect(why("10.77.0.255", [address("10.77.0.11/24")])).toMatch(/broadcast/);
  });

  it("a broadcast address that is not the last one", () => {
    expect(why("10.77.0.9", [address("10.77.0.11/24", { broadcast: "10.77.0.9" })])).toMatch(/broadcast/);
  });

  it("of any network that the interface is in, not of those that would be usual", () => {
    const wide = address("10.77.3.11/16");
    for (const vip of ["10.77.0.255", "10.77.1.0"]) expect(why(vip, [wide])).toBeUndefined();
    for (const vip of ["10.77.0.0", "10.77.255.255"]) expect(why(vip, [wide])).toBeDefined();
    expect(why("10.77.0.255", [wide, OWN])).toMatch(/10\.77\.0\.0\/24/);
    for (const vip of ["10.77.0.32", "10.77.0.47"])
      expect(why(vip, [address("10.77.0.33/28")])).toBeDefined();
    for (const vip of ["224.0.0.0", "255.255.255.254"])
      expect(why(vip, [address("225.1.1.1/31")])).toBeUndefined();
  });

  it("not in a /31 or a /32, which have none", () => {
    expect(why("10.77.0.10", [address("10.77.0.11/31")])).toBeUndefined();
    expect(why("10.77.0.12", [address("10.77.0.13/31"), OWN])).toBeUndefined();
    expect(why("10.77.0.11", [address("10.77.0.11/32"), address("10.1.0.1/24")])).toBeUndefined();
  });

  it("in high addresses, too", () => {
    expect(why("203.0.113.0", [address("203.0.113.7/24")])).toMatch(/network 203\.0\.113\.0\/24/);
    expect(why("203.0.113.255", [address("203.0.113.7/24")])).toMatch(/broadcast/);
  });
});
