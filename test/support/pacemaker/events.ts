/** What happens to the cluster, one event after the other; each ends when the buckets are level over who is left. */
import { setTimeout as sleep } from "node:timers/promises";
import type { PacemakerCluster } from "./cluster.ts";

/** What docs/pacemaker.md has. */
const FAILURE_TIMEOUT_S = 60;

export interface Event {
  readonly name: string;
  /** the buckets in all while it happens */
  readonly total: number;
  /** the nodes that share the buckets afterwards */
  readonly remaining: readonly number[];
  /** announced to Pacemaker, so that a bucket is given up before it is taken */
  readonly planned?: true;
  /** how long a bucket of a planned event may be without an answer, where that is no plain move */
  readonly gapSeconds?: number;
  /** until every bucket is answered again, seconds after the event: the goal of the project */
  readonly goalSeconds?: number;
  readonly run: (cluster: PacemakerCluster) => Promise<unknown>;
}

const all = [1, 2, 3];
const setAttribute = (value: boolean) => (cluster: PacemakerCluster) =>
  cluster.in(1, "attrd_updater", "-N", "node3", "-n", "writable", "-U", String(value));

function standbyAndBack(total: number): readonly Event[] {
  return [
    {
      name: "standby of node 2",
      total,
      remaining: [1, 3],
      planned: true,
      run: (cluster) => cluster.in(1, "crm_standby", "-N", "node2", "-v", "on"),
    },
    {
      name: "node 2 back from standby",
      total,
      remaining: all,
      planned: true,
      run: (cluster) => cluster.in(1, "crm_standby", "-N", "node2", "-D"),
    },
  ];
}

function killAndReturn(total: number, node: number, label: string): readonly Event[] {
  return [
    {
      name: `kill -9 of ${label}`,
      total,
      remaining: all.filter((other) => other !== node),
      goalSeconds: 4,
      run: (cluster) => cluster.command(["kill", String(node)]),
    },
    {
      name: `${label} boots again`,
      total,
      remaining: all,
      planned: true,
      run: (cluster) => cluster.command(["boot", String(node)]),
    },
  ];
}

const setHash = (mode: string) => (cluster: PacemakerCluster) =>
  cluster.in(1, "crm_resource", "--resource", "vip", "--set-parameter", "clusterip_hash", "-v", mode);

/** What ends all of the clone before any of it begins anew. */
function restarts(total: number): readonly Event[] {
  // crm_resource looks every two seconds whether all has stopped, and the rest is ours.
  const common = { total, remaining: all, planned: true } as const;
  return [
    {
      name: "crm resource restart vips",
      ...common,
      gapSeconds: 3,
      run: (cluster) => cluster.in(1, "crm", "resource", "restart", "vips"),
    },
    { name: "another hash mode", ...common, gapSeconds: 1.5, run: setHash("sourceip") },
    { name: "the first hash mode again", ...common, gapSeconds: 1.5, run: setHash("sourceip-sourceport") },
  ];
}

/** What an administrator does with the service of a node. */
function service(total: number): readonly Event[] {
  return [
    {
      name: "systemctl restart clusteripd on node 1",
      total,
      remaining: all,
      planned: true,
      gapSeconds: 1.5,
      run: async (cluster) => {
        await cluster.command(["service", "1", "restart"]);
        // Its buckets are level all the time.
        await sleep(3000);
      },
    },
    {
      name: "systemctl stop clusteripd on node 1",
      total,
      remaining: [2, 3],
      goalSeconds: 7,
      run: (cluster) => cluster.command(["service", "1", "stop"]),
    },
    {
      name: "systemctl start clusteripd, and crm resource cleanup",
      total,
      remaining: all,
      run: async (cluster) => {
        await cluster.command(["service", "1", "start"]);
        await cluster.in(1, "crm", "resource", "cleanup", "vips");
      },
    },
  ];
}

/** With three buckets on three nodes. */
export function firstEvents(): readonly Event[] {
  const total = 3;
  return [
    { name: "nothing, for 3 s", total, remaining: all, planned: true, run: () => sleep(3000) },
    ...standbyAndBack(total),
    {
      name: "orderly stop of node 3",
      total,
      remaining: [1, 2],
      planned: true,
      run: (cluster) => cluster.command(["stop", "3"]),
    },
    {
      name: "node 3 boots again",
      total,
      remaining: all,
      planned: true,
      run: (cluster) => cluster.command(["boot", "3"]),
    },
    ...killAndReturn(total, 2, "node 2"),
    {
      name: "kill -9 of clusteripd on node 1",
      total,
      remaining: all,
      goalSeconds: 1,
      run: (cluster) => cluster.in(1, "sh", "-c", "kill -9 $(cat /run/clusteripd.pid)"),
    },
    {
      name: "NIC of node 3 down",
      total,
      remaining: [1, 2],
      run: async (cluster) => {
        await cluster.in(3, "ip", "link", "set", "eth0", "down");
        // It has no quorum any more and lets go; only then the placement can be level over the others.
        await sleep(500);
      },
    },
    {
      name: "NIC of node 3 up",
      total,
      remaining: all,
      // The monitor may have seen it down before the cluster lost the node: that failure counts for its whole time.
      goalSeconds: FAILURE_TIMEOUT_S + 8,
      run: (cluster) => cluster.in(3, "ip", "link", "set", "eth0", "up"),
    },
  ];
}

/** With four buckets a node. */
export function laterEvents(controller: number): readonly Event[] {
  const total = 12;
  return [
    ...standbyAndBack(total),
    {
      name: "attribute of node 3 goes bad",
      total,
      remaining: [1, 2],
      planned: true,
      run: setAttribute(false),
    },
    {
      name: "attribute of node 3 good again",
      total,
      remaining: all,
      planned: true,
      run: setAttribute(true),
    },
    ...restarts(total),
    ...service(total),
    ...killAndReturn(total, controller, `the DC (node ${controller})`),
  ];
}

export interface ConfigurationOptions {
  readonly parameters?: string;
  /** seconds */
  readonly failureTimeout?: number;
}

/** The configuration of docs/pacemaker.md. */
export function configuration(
  total: number,
  { parameters = "ip=10.79.0.100", failureTimeout = FAILURE_TIMEOUT_S }: ConfigurationOptions = {},
): string {
  return `
primitive vip ocf:clusteripd:ClusterIP params ${parameters} \\
  op monitor interval=3s timeout=20s meta migration-threshold=1 failure-timeout=${failureTimeout}s
clone vips vip meta globally-unique=true clone-max=${total} clone-node-max=${total} interleave=true resource-stickiness=0
location writable-only vips rule -inf: writable eq false
property load-threshold=0%
`;
}
