/** What a start on this host would meet now, without changing anything: for `clusteripd --check`. */
import { messageOf } from "../core/errors.ts";
import { listLinks } from "../host/ip.ts";
import { checkTools } from "../host/requirements.ts";
import { TUN_NAME } from "../host/tun.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { isWaiting } from "./asked.ts";
import { isMissingOnHost, resolveOrWait } from "./resolve.ts";

export interface HostCheck {
  /** what is not there now and is waited for, a sentence each */
  readonly missing: readonly string[];
  /** what this host refuses, a sentence each */
  readonly refused: readonly string[];
}

/**
 * Which engine serves is not looked at: that is tried with privileges that a check does not need.
 *
 * @throws CLUSTERIP_NO_TOOL where the host cannot even be looked at
 */
export async function checkHost(virtualIps: readonly VirtualIp[]): Promise<HostCheck> {
  const links = await listLinks();
  const missing: string[] = [];
  const refused: string[] = [];
  try {
    await checkTools();
  } catch (error) {
    missing.push(messageOf(error));
  }
  const engines = { device: TUN_NAME, choose: async () => "userspace" as const };
  for (const settings of virtualIps) {
    const asked = { settings, origin: "config" as const, localBuckets: settings.localBuckets };
    const resolved = await resolveOrWait(asked, links, engines);
    if (!isWaiting(resolved)) continue;
    const sentence = `${settings.address}: ${resolved.why.message}`;
    (isMissingOnHost(resolved.why) ? missing : refused).push(sentence);
  }
  return { missing, refused };
}
