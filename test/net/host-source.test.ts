/**
 * The virtual IP is never the source of what the node opens by itself, and no program takes it for the address of an
 * interface, whatever comes and goes.
 *
 *     node1 (clusteripd)         client1
 *     eth0 .11                   eth0 .201
 *       ╧═════ 10.77.0.0/24 ═══════╧          virtual IP 10.77.0.100
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { repairsOf, statusOf } from "../support/daemon/api.ts";
import { type Daemon, startDaemon } from "../support/daemon/daemon.ts";
import { CLUSTER_MAC } from "../support/daemon/facts.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { type Host, NIC } from "../support/lab/host.ts";
import { devicesOf } from "../support/lab/host-state.ts";
import { Lab } from "../support/lab/lab.ts";
import { pings } from "../support/traffic/ask.ts";
import { until } from "../support/wait.ts";
import { capture } from "../support/wire/capture.ts";
import { readFrames } from "../support/wire/frames.ts";

const OTHER_NETWORK = "10.80.0.0/24";
const IN_OTHER_NETWORK = "10.80.0.1";

/**
 * Prints the first address of eth0 by SIOCGIFADDR, and the sources of sockets that connect to the addresses it is given:
 * one free, one bound to the interface. "-" where there is none.
 */
const LOOK = `
import fcntl, socket, struct, sys
def ask(act):
    try: return act()
    except OSError: return "-"
def first():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return socket.inet_ntoa(fcntl.ioctl(s, 0x8915, struct.pack("256s", b"eth0"))[20:24])
def source(target, device):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        if device: s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device)
        s.connect((target, 9))
        return s.getsockname()[0]
print(ask(first), *[ask(lambda: source(t, d)) for t in sys.argv[1:] for d in (b"", b"eth0")])
`;

describeNet("host: sources", { tools: ["ping", "python3", "keepalived"] }, () => {
  let lab: Lab;
  let node: Host;
  let client: Host;
  let daemon: Daemon;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    node = lab.node(1);
    client = lab.client();
    const vip = { "total-nodes": 1, "local-node": [1], clustermac: CLUSTER_MAC };
    daemon = await startDaemon(lab, node, { vips: [vip] });
  });
  afterAll(() => lab.close());
  afterEach(async () => {
    await node.ip("addr", "flush", "dev", NIC);
    await node.ip("addr", "add", `${node.address}/24`, "dev", NIC);
    await node.setSysctl("net/ipv4/conf/all/route_localnet", 0);
    await node.setSysctl("net/ipv4/conf/all/promote_secondaries", 0);
    await node.setSysctl("net/ipv4/conf/all/arp_ignore", 0);
    await until(async () => expect(await devicesOf(node, lab.vip)).toContain("lo"));
  });

  const setAgain = async (): Promise<void> => {
    await node.ip("addr", "del", `${node.address}/24`, "dev", NIC);
    await node.ip("addr", "add", `${node.address}/24`, "dev", NIC);
  };
  const isAnswered = (): Promise<unknown> =>
    until(async () => {
      await client.ip("neigh", "flush", "all");
      expect(await pings(client, lab.vip, 2)).toBe(true);
      expect((await client.arpTable()).get(lab.vip)).toBe(CLUSTER_MAC);
    });

  /** Every address that something takes for the node's own. */
  async function sources(targets: readonly string[] = [client.address]): Promise<string[]> {
    const seen = (await node.exec(["python3", "-c", LOOK, ...targets])).trim().split(" ");
    const listed = JSON.parse(await node.ip("-json", "-4", "addr", "show", "dev", NIC)) as {
      addr_info?: { local?: string }[];
    }[];
    return [
      ...new Set([...seen, ...listed.flatMap((link) => link.addr_info ?? []).map((a) => a.local ?? "-")]),
    ];
  }

  const cases: Record<string, { change: () => Promise<unknown>; own: string[]; targets?: string[] }> = {
    "as it is": { change: async () => {}, own: ["10.77.0.11"] },
    "its own address set again, as DHCP does": { change: setAgain, own: ["10.77.0.11"] },
    "its interface flushed and set up again": {
      change: async () => {
        await node.ip("addr", "flush", "dev", NIC);
        await node.ip("addr", "add", "10.77.0.11/24", "dev", NIC);
      },
      own: ["10.77.0.11"],
    },
    "a /32 with a gateway on the link": {
      change: async () => {
        await node.ip("addr", "flush", "dev", NIC);
        await node.ip("addr", "add", "10.77.0.11/32", "dev", NIC);
        await node.ip("route", "add", client.address, "dev", NIC, "scope", "link");
        await node.ip("route", "add", "default", "via", client.address);
      },
      own: ["10.77.0.11"],
      targets: ["10.77.0.201", IN_OTHER_NETWORK],
    },
    "no address at all on the interface": {
      change: async () => {
        await node.ip("addr", "flush", "dev", NIC);
        await node.ip("route", "add", "10.77.0.0/24", "dev", NIC);
      },
      own: ["-", "0.0.0.0"],
    },
    "route_localnet, with a network that has no gateway": {
      change: async () => {
        await setAgain();
        await node.setSysctl("net/ipv4/conf/all/route_localnet", 1);
        await node.ip("route", "add", OTHER_NETWORK, "dev", NIC);
      },
      own: ["10.77.0.11"],
      targets: ["10.77.0.201", IN_OTHER_NETWORK],
    },
    "promote_secondaries, and the first address goes": {
      change: async () => {
        await node.setSysctl("net/ipv4/conf/all/promote_secondaries", 1);
        await node.ip("addr", "add", "10.77.0.12/24", "dev", NIC);
        await node.ip("addr", "del", "10.77.0.11/24", "dev", NIC);
      },
      own: ["10.77.0.12"],
    },
  };
  for (const [name, { change, own, targets }] of Object.entries(cases)) {
    it(`never the virtual IP: ${name}`, async () => {
      await change();
      expect((await sources(targets)).filter((address) => !own.includes(address))).toEqual([]);
      await isAnswered();
      expect((await sources(targets)).filter((address) => !own.includes(address))).toEqual([]);
      expect((await repairsOf(daemon))["address"]).toBe(0);
    });
  }

  it("keepalived goes on to send from the node's own address", async () => {
    await setAgain();
    const config = path.join(lab.directoryOf(node), "keepalived.conf");
    const pidFile = path.join(lab.directoryOf(node), "keepalived");
    writeFileSync(
      config,
      `vrrp_instance other { interface ${NIC}\n state MASTER\n virtual_router_id 7\n advert_int 1\n priority 100\n virtual_ipaddress { 10.77.0.99 }\n}\n`,
    );
    const recording = await capture(lab, lab.switch, "ip proto 112");
    const keepalived = node.spawn(
      [
        ...["keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", config],
        ...["--pid", `${pidFile}.pid`, "--vrrp_pid", `${pidFile}-vrrp.pid`],
      ],
      { stdio: "ignore" },
    );
    try {
      await recording.waitFor(1);
      await until(async () => expect(await node.ip("addr")).toContain("10.77.0.99"));
      // It takes another address of the interface when the one that it began with goes.
      await setAgain();
      await recording.waitFor(4);
    } finally {
      await keepalived.kill("SIGTERM");
    }
    const senders = (await readFrames(await recording.stop())).map(({ ip }) => ip?.from);
    expect(new Set(senders)).toEqual(new Set([node.address]));
  });

  it("a socket that is bound to the virtual IP sends from it", async () => {
    await setAgain();
    await client.ip("neigh", "flush", "all");
    const ping = ["ping", "-q", "-c", "1", "-W", "1", "-I", lab.vip, client.address];
    const recording = await capture(lab, lab.switch, `icmp and src ${lab.vip}`);
    await node.tryExec(ping);
    await recording.waitFor(1);
    expect((await readFrames(await recording.stop())).length).toBeGreaterThan(0);
  });

  it("with arp_ignore 1 and 2 the address is on the interface, and no longer when that is over", async () => {
    for (const value of [1, 2, 3, 0]) {
      await node.setSysctl("net/ipv4/conf/all/arp_ignore", value);
      const isOnNic = value === 1 || value === 2;
      await until(async () => {
        const devices = await devicesOf(node, lab.vip);
        expect(devices.includes(NIC)).toBe(isOnNic);
        expect(devices.includes("lo")).toBe(!isOnNic);
      });
      await isAnswered();
      const connected = (await node.exec(["python3", "-c", LOOK, client.address])).trim().split(" ").slice(1);
      expect(new Set(connected)).toEqual(new Set([node.address]));
    }
    expect((await repairsOf(daemon))["address"]).toBe(0);
    expect((await statusOf(daemon)).problems).toEqual([]);
  });
});
