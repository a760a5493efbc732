/** What every judged ratio should be, and what it means. */

export interface Goal {
  readonly name: string;
  readonly goal: number;
  /** whether the ratio should be no more than its goal, or no less */
  readonly should: "at most" | "at least";
  readonly meaning: string;
  /** what to look at where it is missed */
  readonly whenMissed?: WhenMissed;
}

/** Where the time goes: the figures of two contenders side by side, and what is behind the difference. */
export interface WhenMissed {
  readonly measure: string;
  readonly of: string;
  readonly against: string;
  readonly limit: string;
  /** Another contender's requests/s in the same run, which show how far the limit is. */
  readonly bound?: Bound;
}

export interface Bound {
  readonly meaning: string;
  readonly of: string;
  readonly against: string;
}

const atMost = (name: string, goal: number, meaning: string): Goal => ({
  name,
  goal,
  should: "at most",
  meaning,
});
const atLeast = (name: string, goal: number, meaning: string, whenMissed?: WhenMissed): Goal => ({
  name,
  goal,
  should: "at least",
  meaning,
  ...(whenMissed === undefined ? {} : { whenMissed }),
});

const boundThread: Bound = {
  meaning:
    "The same with the thread kept on one CPU and SCHED_BATCH, which an application on that CPU would delay",
  of: "userspace-bound",
  against: "plain",
};
const noBalancer: Bound = {
  meaning: "The plain address, with one node and nothing that balances",
  of: "plain",
  against: "haproxy",
};

const threeThreads =
  "Client, server and packet path are three threads. On two CPUs the scheduler lets packet path and server take turns on " +
  "one, and the client on the other waits for their answers, as a trace shows: that is the idle time; the plain address " +
  "has none, because the kernel takes in its packets on the client's CPU. A large part of the daemon's time is the " +
  "host's own TCP, in the write to the TUN, which the plain address has under softirq; the rest is a copy out of the " +
  "kernel and one back. Tried and not better: the thread at a higher priority (smaller batches), busy polling, a pause " +
  "between batches, two workers, receive packet steering on the TUN, io_uring.";
const softwareSwitch =
  "The bridge copies every frame to a group MAC for each node and for itself, and all nodes take them in on the CPUs of " +
  "this one machine, where two web servers take turns besides; a switch copies in hardware, and each node has CPUs of " +
  "its own. The nft rule has the same burden.";
const twoCopies =
  "The thread copies every merged segment of up to 64 KiB out of the kernel and back into it, and delivers it to the " +
  "host's own TCP. Pairs of runs differ from each other by much more than their median from the goal.";
const hooks =
  "What is left are the hook of the program and one netfilter chain, the one against strays, which every packet to the host passes.";

export const goals: readonly Goal[] = [
  atMost("hash.batch_vs_scalar_c", 0.35, "time for a hash, batch through N-API against a scalar C loop"),
  atMost("hash.avx2_vs_scalar_c", 0.3, "the same, the batch kept to AVX2"),
  atMost("hash.avx512_vs_scalar_c", 0.2, "the same, the batch kept to AVX-512"),
  atMost("hash.js_vs_scalar_c", 2, "the same, TypeScript against the scalar C loop"),
  atMost("drop.userspace_vs_nft", 1.1, "cost of a foreign frame, engine userspace against the nft rule"),
  atMost("drop.bpf_vs_nft", 0.25, "the same, engine bpf with XDP in front"),
  atMost("drop.tc_vs_nft", 0.85, "the same, its tc program alone"),
  atMost("drop.bpf_vs_xdp_limit", 1.5, "engine bpf against a bare XDP_DROP program"),
  atLeast("rr.userspace_vs_plain", 0.75, "requests/s over kept connections against a plain address", {
    measure: "requests",
    of: "userspace",
    against: "plain",
    limit: threeThreads,
    bound: boundThread,
  }),
  atLeast("rr.bpf_vs_plain", 0.97, "the same, engine bpf", {
    measure: "requests",
    of: "bpf",
    against: "plain",
    limit: hooks,
  }),
  atLeast("bulk.userspace_vs_plain", 0.8, "bulk throughput to the virtual IP against a plain address", {
    measure: "bulk-to-vip",
    of: "userspace",
    against: "plain",
    limit: twoCopies,
  }),
  atLeast("bulk.bpf_vs_plain", 0.95, "the same, engine bpf"),
  atLeast("cps.userspace_vs_haproxy", 1.5, "new connections/s against HAProxy in TCP mode", {
    measure: "connections",
    of: "userspace",
    against: "plain",
    limit: threeThreads,
    bound: noBalancer,
  }),
  atLeast("cps.bpf_vs_haproxy", 2, "the same, engine bpf", {
    measure: "connections",
    of: "bpf",
    against: "plain",
    limit: softwareSwitch,
    bound: noBalancer,
  }),
  atMost("move.effect_ms_p99", 2, "milliseconds from the request to move a bucket to its effect, p99"),
  atMost("daemon.rss_mb", 80, "resident memory of the daemon with one virtual IP, MB"),
];

export function isReached({ goal, should }: Goal, value: number): boolean {
  return should === "at most" ? value <= goal : value >= goal;
}
