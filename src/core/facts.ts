/**
 * Facts that TypeScript and the dataplane in C share and that belong to no other module here.
 * `scripts/generate` writes them, with the numbers of verdicts, reasons, hash modes and packet
 * types, into `native/generated`.
 */

/** Virtual IPs of one interface with engine "bpf": counters for so many are allocated in advance. */
export const MAX_VIRTUAL_IPS_PER_NIC = 256;

/** Threads of engine "userspace". */
export const MAX_WORKERS = 16;

/**
 * The layout of what engine "bpf" keeps in the kernel (`native/bpf/layout.h`); the names of its maps
 * end with it. Programs outlive the daemon: one that knows another layout takes nothing over from
 * them. Every change of what a map holds counts it up. 0 was without a number.
 */
export const MAP_LAYOUT = 1;
