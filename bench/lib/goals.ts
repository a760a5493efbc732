/** What every judged ratio should be, and what it means. */

export interface Goal {
  readonly name: string;
  readonly goal: number;
  /** whether the ratio should be no more than its goal, or no less */
  readonly should: "at most" | "at least";
  readonly meaning: string;
}

const atMost = (name: string, goal: number, meaning: string): Goal => ({
  name,
  goal,
  should: "at most",
  meaning,
});
const atLeast = (name: string, goal: number, meaning: string): Goal => ({
  name,
  goal,
  should: "at least",
  meaning,
});

export const goals: readonly Goal[] = [
  atMost("hash.batch_vs_scalar_c", 0.35, "time for a hash, batch through N-API against a scalar C loop"),
  atMost("hash.js_vs_scalar_c", 2, "the same, TypeScript against the scalar C loop"),
  atMost("drop.userspace_vs_nft", 1.1, "cost of a foreign frame, engine userspace against the nft rule"),
  atMost("drop.bpf_vs_nft", 0.25, "the same, engine bpf with XDP in front"),
  atMost("drop.tc_vs_nft", 0.85, "the same, its tc program alone"),
  atMost("drop.bpf_vs_xdp_limit", 1.5, "engine bpf against a bare XDP_DROP program"),
  atLeast("rr.userspace_vs_plain", 0.75, "requests/s over kept connections against a plain address"),
  atLeast("rr.bpf_vs_plain", 0.97, "the same, engine bpf"),
  atLeast("bulk.userspace_vs_plain", 0.8, "bulk throughput to the virtual IP against a plain address"),
  atLeast("bulk.bpf_vs_plain", 0.95, "the same, engine bpf"),
  atLeast("cps.userspace_vs_haproxy", 1.5, "new connections/s against HAProxy in TCP mode"),
  atLeast("cps.bpf_vs_haproxy", 2, "the same, engine bpf"),
  atMost("move.effect_ms_p99", 2, "milliseconds from the request to move a bucket to its effect, p99"),
  atMost("daemon.rss_mb", 80, "resident memory of the daemon with one virtual IP, MB"),
];

export function isReached({ goal, should }: Goal, value: number): boolean {
  return should === "at most" ? value <= goal : value >= goal;
}
