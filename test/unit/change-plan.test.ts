import { expect, test } from "vitest";
import type { ServedMap, ServedVirtualIp } from "../../src/daemon/asked.ts";
import { planChange } from "../../src/daemon/change-plan.ts";
import { changeSteps, changingInEngines } from "../../src/daemon/change-steps.ts";
import { toClusterMac } from "../../src/model/mac.ts";
import type { EngineName } from "../../src/model/virtual-ip.ts";
import { parseVirtualIp } from "../../src/settings/virtual-ip.ts";

const MAC = toClusterMac("01:00:5e:00:00:10");

interface Wanted {
  engine: EngineName;
  nic?: string;
  vip?: string;
  seed?: number;
  nodes?: number[];
}

function served({
  engine,
  nic = "eth0",
  vip = "192.0.2.10",
  seed = 0,
  nodes = [1],
}: Wanted): ServedVirtualIp {
  const settings = parseVirtualIp({
    ...{ vip, nic, "total-nodes": 4, "local-node": nodes, "hash-init": seed },
  });
  const { localBuckets } = settings;
  return {
    ...{
      settings,
      origin: "request",
      engine,
      clusterMac: MAC,
      localBuckets,
      isAdopted: false,
    },
  };
}

function mapOf(virtualIp: ServedVirtualIp | undefined): ServedMap {
  return new Map(virtualIp === undefined ? [] : [[virtualIp.settings.address, virtualIp]]);
}

/** The steps in order, in words. */
function steps(from: Wanted | undefined, to: Wanted | undefined): string[] {
  const [previous, next] = [from, to].map((wanted) => mapOf(wanted && served(wanted)));
  const plan = planChange(previous ?? new Map(), next ?? new Map(), ({ engine }) => engine === "bpf");
  const name = ({ engine, settings }: ServedVirtualIp): string => `${engine} ${settings.nic}`;
  const taking = (list: typeof plan.attachFirst): string[] =>
    list.map(({ virtualIp, replaces }) => {
      const how = replaces === undefined ? "takes" : "goes over";
      return `${name(virtualIp)} ${how}${virtualIp.localBuckets.length === 0 ? " without buckets" : ""}`;
    });
  const lettingGo = (list: typeof plan.detachFirst): string[] => list.map((v) => `${name(v)} lets go`);
  return [
    ...taking(plan.attachFirst),
    ...lettingGo(plan.detachFirst),
    "host",
    ...taking(plan.attachLast),
    ...lettingGo(plan.detachLast),
    ...plan.move.map(
      ({ virtualIp, from: old }) => `${name(virtualIp)} moves ${old} to ${virtualIp.localBuckets}`,
    ),
  ];
}

const cases: [what: string, from: Wanted | undefined, to: Wanted | undefined, steps: string[]][] = [
  [
    "userspace takes when the host is ready",
    undefined,
    { engine: "userspace" },
    ["host", "userspace eth0 takes"],
  ],
  ["bpf judges before the address comes", undefined, { engine: "bpf" }, ["bpf eth0 takes", "host"]],
  ["userspace lets go first", { engine: "userspace" }, undefined, ["userspace eth0 lets go", "host"]],
  ["bpf judges until the address has gone", { engine: "bpf" }, undefined, ["host", "bpf eth0 lets go"]],
  [
    "other settings: userspace has a gap under the guard",
    { engine: "userspace" },
    { engine: "userspace", seed: 7 },
    ["userspace eth0 lets go", "host", "userspace eth0 takes"],
  ],
  [
    "other settings: bpf has none",
    { engine: "bpf" },
    { engine: "bpf", seed: 7 },
    ["bpf eth0 goes over", "host"],
  ],
  [
    "another interface: both have it while the address moves, but only one has buckets",
    { engine: "bpf" },
    { engine: "bpf", nic: "eth1" },
    ["bpf eth1 takes without buckets", "host", "bpf eth0 lets go", "bpf eth1 moves  to 1"],
  ],
  [
    "another interface: from userspace to bpf",
    { engine: "userspace" },
    { engine: "bpf", nic: "eth1" },
    ["bpf eth1 takes without buckets", "userspace eth0 lets go", "host", "bpf eth1 moves  to 1"],
  ],
  [
    "another interface: from bpf to userspace",
    { engine: "bpf" },
    { engine: "userspace", nic: "eth1" },
    ["host", "userspace eth1 takes without buckets", "bpf eth0 lets go", "userspace eth1 moves  to 1"],
  ],
  [
    "another interface: userspace",
    { engine: "userspace" },
    { engine: "userspace", nic: "eth1" },
    ["userspace eth0 lets go", "host", "userspace eth1 takes without buckets", "userspace eth1 moves  to 1"],
  ],
  [
    "from userspace to bpf",
    { engine: "userspace" },
    { engine: "bpf" },
    ["bpf eth0 takes", "userspace eth0 lets go", "host"],
  ],
  [
    "from bpf to userspace",
    { engine: "bpf" },
    { engine: "userspace" },
    ["host", "userspace eth0 takes", "bpf eth0 lets go"],
  ],
  ["only buckets move", { engine: "bpf" }, { engine: "bpf", nodes: [2] }, ["host", "bpf eth0 moves 1 to 2"]],
  ["nothing changes", { engine: "bpf" }, { engine: "bpf" }, ["host"]],
];

test.each(cases)("%s", (_, from, to, expected) => {
  expect(steps(from, to)).toEqual(expected);
});

test("what a dead daemon's programs may accept elsewhere has no buckets until they have forgotten it", () => {
  const stays = served({ engine: "bpf" });
  const comes = { ...served({ engine: "bpf", vip: "192.0.2.11", nic: "eth1" }), mayBeElsewhere: true };
  const next = new Map([stays, comes].map((v) => [v.settings.address, v]));
  const { attachFirst, move } = planChange(new Map(), next, () => true);
  expect(attachFirst.map(({ virtualIp }) => virtualIp.localBuckets)).toEqual([[1], []]);
  expect(move).toEqual([{ virtualIp: comes, from: [] }]);
});

test("the host changes between what judges in place and what needs a guard: tables first and last, addresses between", () => {
  const [old, guarded, inPlace] = [
    served({ engine: "userspace" }),
    served({ engine: "userspace", nic: "eth1" }),
    served({ engine: "bpf", vip: "192.0.2.11" }),
  ];
  const withdrawn = served({ engine: "userspace", vip: "192.0.2.12" });
  const next = new Map([guarded, inPlace].map((v) => [v.settings.address, v]));
  const order = changeSteps(mapOf(old), next, [withdrawn], ({ engine }) => engine === "bpf");
  expect(order).toEqual([
    { does: "attach", virtualIp: inPlace, replaces: undefined },
    { does: "remove-stale-virtual-ips" },
    { does: "detach", virtualIp: old },
    { does: "set-tables", virtualIps: [old, guarded, inPlace, withdrawn] },
    { does: "add-addresses" },
    { does: "remove-addresses" },
    {
      does: "set-tables",
      virtualIps: [guarded, inPlace, withdrawn],
      before: [old, guarded, inPlace, withdrawn],
    },
    { does: "attach", virtualIp: { ...guarded, localBuckets: [] }, replaces: undefined },
    { does: "set-buckets", virtualIp: guarded, from: [] },
  ]);
  expect(changingInEngines(order)).toEqual([old]);
});
