/** How much of something this program takes: more than anybody needs, and no more than it can handle while clients wait. */
import { ClusterIpError } from "../core/errors.ts";

/**
 * Virtual IPs on one host. Measured: with 1,024 a start, a repair and a change take seconds; with 4,096 `ip` and `nft`
 * do not end within the time that they have.
 */
export const MAX_VIRTUAL_IPS = 1024;

/** A configuration file: twice what the greatest number of virtual IPs takes with every key given, at most some 230 bytes each. */
export const MAX_CONFIG_BYTES = 524_288;

/** Of what is wrong with a file, as much as somebody reads before mending it. */
export const MAX_MESSAGES = 20;

/** A line of iptables-save or of the rows of `explain --csv`; neither has one of a thousand characters. */
export const MAX_LINE_LENGTH = 65_536;

/** @throws CLUSTERIP_BAD_REQUEST when a host that serves so many can serve no more */
export function requireRoom(served: number): void {
  if (served < MAX_VIRTUAL_IPS) return;
  throw new ClusterIpError(
    "CLUSTERIP_BAD_REQUEST",
    `This host serves ${MAX_VIRTUAL_IPS.toLocaleString("en")} virtual IPs already, which is as many as it can.`,
  );
}
