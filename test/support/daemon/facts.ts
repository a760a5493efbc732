/** What holds of every daemon in the tests. */
import { findBpfSupport } from "../../../src/engine/bpf-support.ts";

/** What `auto` comes to in the daemons of this run: the vitest project `net-userspace` asks for that engine. */
export const autoEngine =
  process.env["CLUSTERIPD_AUTO_ENGINE"] !== "userspace" && (await findBpfSupport()).native !== undefined
    ? "bpf"
    : "userspace";

/** The cluster MAC that IPaddr2 derives for 10.77.0.100 in 10.77.0.0/24. */
export const CLUSTER_MAC = "4d:e2:58:37:f1:f1";

/** In the command line of the programs by which the daemon hears of events. */
export const MONITOR = " monitor";
