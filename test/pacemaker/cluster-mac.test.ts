/**
 * The cluster MAC beside the real IPaddr2's, on hosts that say different things: one MAC for one configuration, and
 * IPaddr2's wherever the host's broadcast address is the usual one.
 */
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { deriveClusterMac } from "../../src/core/cluster-mac.ts";
import { parseIpv4 } from "../../src/core/ipv4.ts";
import { type Daemon, startDaemon } from "../support/daemon/daemon.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { Lab } from "../support/lab/lab.ts";
import { projectRoot } from "../support/lab/paths.ts";

const AGENT = path.join(projectRoot, "packaging/ocf/ClusterIP");
const IPADDR2 = "/usr/lib/ocf/resource.d/heartbeat/IPaddr2";
const VIP = "10.77.0.100";
const vip = parseIpv4(VIP);

type Parameters = Readonly<Record<string, string>>;

interface Case {
  readonly name: string;
  /** arguments of `ip`; eth0 has no address before */
  readonly host: readonly string[];
  readonly parameters?: Parameters;
  readonly expected: string | "refused";
  /** what IPaddr2 has on this host; undefined: the same */
  readonly ipaddr2?: string | "refused";
}

const usual = deriveClusterMac(vip, 24);
const OWN = "address add 10.77.0.11/24 brd + dev eth0";
const WITHOUT_BROADCAST = "address add 10.77.0.11/24 dev eth0";

const cases: readonly Case[] = [
  { name: "the usual", host: [OWN], expected: usual },
  { name: "the prefix length given", host: [OWN], parameters: { cidr_netmask: "24" }, expected: usual },
  { name: "a netmask given", host: [OWN], parameters: { cidr_netmask: "255.255.255.0" }, expected: usual },
  {
    name: "cidr_netmask=32, as many write: still the broadcast address of the network",
    host: [OWN],
    parameters: { cidr_netmask: "32" },
    expected: deriveClusterMac(vip, 32, "10.77.0.255"),
  },
  {
    name: "a prefix length longer than the network's",
    host: ["address add 10.77.0.11/16 brd + dev eth0"],
    parameters: { cidr_netmask: "24" },
    expected: deriveClusterMac(vip, 24, "10.77.255.255"),
  },
  {
    name: "a broadcast address given",
    host: [OWN],
    parameters: { broadcast: "10.77.0.0" },
    expected: deriveClusterMac(vip, 24, "10.77.0.0"),
  },
  {
    name: "a broadcast address given as +",
    host: [OWN],
    parameters: { broadcast: "+", cidr_netmask: "24" },
    expected: deriveClusterMac(vip, 24, "+"),
  },
  {
    name: "an address without broadcast: that of the other nodes",
    host: [WITHOUT_BROADCAST],
    expected: usual,
    ipaddr2: deriveClusterMac(vip, 24, ""),
  },
  {
    name: "an address with another broadcast: that of the other nodes",
    host: ["address add 10.77.0.11/24 brd 10.77.0.0 dev eth0"],
    expected: usual,
    ipaddr2: deriveClusterMac(vip, 24, "10.77.0.0"),
  },
  {
    name: "a network of two addresses, which has no broadcast",
    host: ["address add 10.77.0.101/31 dev eth0"],
    expected: deriveClusterMac(vip, 31, ""),
  },
  {
    name: "a single address",
    host: ["address add 10.77.0.11/32 dev eth0"],
    expected: "refused",
  },
  {
    name: "a foreign VIP/32 beside the network",
    host: [OWN, `address add ${VIP}/32 dev eth0`],
    expected: usual,
  },
  {
    name: "the VIP with the network's prefix, set by somebody else after it",
    host: [OWN, `address add ${VIP}/24 brd + dev eth0`],
    expected: usual,
  },
  {
    name: "the VIP with the network's prefix, set before it: that is the host's own address",
    host: [`address add ${VIP}/24 brd + dev eth0`, OWN],
    expected: "refused",
    ipaddr2: usual,
  },
  {
    name: "the VIP as the first address of another network: that is the host's own address",
    host: [OWN, `address add ${VIP}/28 brd + dev eth0`],
    expected: "refused",
    ipaddr2: deriveClusterMac(vip, 28),
  },
  {
    name: "nothing but the VIP with a prefix: not by its own entry",
    host: [`address add ${VIP}/24 brd + dev eth0`],
    expected: "refused",
    ipaddr2: usual,
  },
  {
    name: "several networks that hold it: the most specific",
    host: ["address add 10.1.2.3/8 brd + dev eth0", OWN],
    expected: usual,
  },
  {
    name: "several networks that hold it, in the other order",
    host: [OWN, "address add 10.1.2.3/8 brd + dev eth0"],
    expected: usual,
  },
  {
    name: "a route instead of an address of the network",
    host: ["address add 10.77.0.11/32 dev eth0", "route add 10.77.0.0/24 dev eth0"],
    expected: usual,
    ipaddr2: deriveClusterMac(vip, 24, ""),
  },
  {
    name: "a route by a router is none of the interface's networks",
    host: ["address add 10.76.0.11/24 brd + dev eth0", "route add 10.77.0.0/24 via 10.76.0.1 dev eth0"],
    expected: "refused",
  },
  {
    name: "no network, and the prefix length given: that of the nodes that have one",
    host: [],
    parameters: { cidr_netmask: "24" },
    expected: usual,
    ipaddr2: deriveClusterMac(vip, 24, ""),
  },
  {
    name: "no network, and cidr_netmask=32",
    host: [],
    parameters: { cidr_netmask: "32" },
    expected: "refused",
    ipaddr2: deriveClusterMac(vip, 32, ""),
  },
];

describeNet("cluster MAC", { tools: ["ocf-tester", "perl", "md5sum"] }, () => {
  let lab: Lab;
  let daemon: Daemon;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1 });
    daemon = await startDaemon(lab, lab.node(1), { vips: [] });
  });
  afterAll(async () => {
    if (daemon?.running) await daemon.kill("SIGTERM");
    await lab?.close();
  });

  function environment(parameters: Parameters): Record<string, string> {
    const given = Object.entries({ ip: VIP, nic: "eth0", ...parameters });
    return {
      OCF_ROOT: "/usr/lib/ocf",
      OCF_RESOURCE_INSTANCE: "vip:0",
      OCF_RESKEY_CRM_meta_clone: "0",
      OCF_RESKEY_CRM_meta_clone_max: "3",
      OCF_RESKEY_CRM_meta_globally_unique: "true",
      ...Object.fromEntries(given.map(([name, value]) => [`OCF_RESKEY_${name}`, value])),
    };
  }

  /** From the trace of the agent itself: it prints its MAC nowhere. */
  async function ipaddr2(parameters: Parameters): Promise<string> {
    const env = environment(parameters);
    const { stderr } = await lab.node(1).tryExec(["sh", "-x", IPADDR2, "validate-all"], { env });
    return [...stderr.matchAll(/^\++ IF_MAC=([0-9a-f:]{17})$/gm)].at(-1)?.[1] ?? "refused";
  }

  async function request(method: string, url: string, body?: unknown): Promise<{ clusterMac?: string }> {
    const data = body === undefined ? [] : ["--data", JSON.stringify(body)];
    const argv = ["curl", "--silent", "--unix-socket", daemon.socket, "--request", method, ...data];
    return JSON.parse(await lab.node(1).exec([...argv, `http://localhost/v1/virtual-ips${url}`])) as {
      clusterMac?: string;
    };
  }

  async function ofDaemon(parameters: Parameters): Promise<string> {
    const length = parameters["cidr_netmask"];
    const settings = { vip: VIP, nic: "eth0", "total-nodes": 3, "local-node": 1 };
    const { clusterMac } = await request("POST", "", {
      ...settings,
      ...(length === undefined ? {} : { "cidr-netmask": length }),
    });
    await request("DELETE", `/${VIP}`);
    return clusterMac ?? "refused";
  }

  async function ofAgent(parameters: Parameters): Promise<string> {
    const env = { ...environment(parameters), OCF_RESKEY_socket: daemon.socket };
    await lab.node(1).tryExec([AGENT, "start"], { env });
    const { clusterMac } = await request("GET", `/${VIP}`);
    await request("DELETE", `/${VIP}`);
    return clusterMac ?? "refused";
  }

  it.each(cases)("$name", async ({ host, parameters = {}, expected, ipaddr2: theirs = expected }) => {
    await lab.node(1).ip("address", "flush", "dev", "eth0");
    for (const command of host) await lab.node(1).ip(...command.split(" "));
    const { broadcast } = parameters;
    expect({
      ipaddr2: await ipaddr2(parameters),
      daemon: broadcast === undefined ? await ofDaemon(parameters) : expected,
      agent: await ofAgent(parameters),
    }).toEqual({ ipaddr2: theirs, daemon: expected, agent: expected });
  });
});
