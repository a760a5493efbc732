/** The TUN device of the userspace engine: the daemon's own, so its settings are ours alone. */
import { readFileSync, writeFileSync } from "node:fs";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { run } from "./exec.ts";

/** Only one process of a network namespace can hold it. */
export const TUN_NAME = "clusterip0";

/**
 * Loose reverse-path filtering: frames on the TUN come from networks that are routed elsewhere.
 * The kernel takes the maximum of this and conf/all, so a strict `all` becomes loose here.
 */
const RP_FILTER_LOOSE = "2";

const rpFilterPath = (device: string): string => `/proc/sys/net/ipv4/conf/${device}/rp_filter`;

/** Whether reverse-path filtering on the device is as we need it. */
export function tunFilterIsLoose(device: string = TUN_NAME): boolean {
  try {
    return readFileSync(rpFilterPath(device), "utf8").trim() === RP_FILTER_LOOSE;
  } catch {
    return false;
  }
}

/** Sets the device up: loose reverse-path filter, no IPv6, up. Doing it twice changes nothing. */
export async function configureTun(device: string = TUN_NAME): Promise<void> {
  try {
    writeFileSync(rpFilterPath(device), RP_FILTER_LOOSE);
  } catch (error) {
    throw new ClusterIpError("CLUSTERIP_HOST", `rp_filter of ${device} cannot be set: ${messageOf(error)}.`, {
      cause: error,
    });
  }
  await run("ip", ["-batch", "-"], `link set dev ${device} addrgenmode none\nlink set dev ${device} up\n`);
}
