/** One more NIC for a host of the lab, on the LAN that it is on already or on another one. */

import { until } from "../wait.ts";
import { BRIDGE, type Host } from "./host.ts";
import type { Lab } from "./lab.ts";

export interface SecondNic {
  nic: string;
  mac: string;
  /** With prefix length. */
  address?: string;
  /** Default: the lab's own LAN. */
  bridge?: string;
}

/** A second LAN: nothing but a switch that floods. */
export async function addBridge(lab: Lab, bridge: string): Promise<void> {
  await lab.switch.ip(
    "link",
    "add",
    bridge,
    "type",
    "bridge",
    "stp_state",
    "0",
    "forward_delay",
    "0",
    "mcast_snooping",
    "0",
  );
  await lab.switch.linkUp(bridge);
}

export async function addNic(
  lab: Lab,
  host: Host,
  { nic, mac, address, bridge = BRIDGE }: SecondNic,
): Promise<void> {
  const port = `${host.name}-${nic}`;
  const peer = ["peer", "name", nic, "address", mac, "netns", host.namespace];
  await lab.switch.ip("link", "add", port, "type", "veth", ...peer);
  await lab.switch.ip("link", "set", port, "master", bridge, "up");
  if (address !== undefined) await host.ip("addr", "add", address, "dev", nic);
  await host.linkUp(nic);
  // The kernel tells the carrier a moment later.
  await until(async () => expectUp(await host.ip("link", "show", "dev", nic)));
}

function expectUp(shown: string): void {
  if (!shown.includes("state UP")) throw new Error(`no carrier yet: ${shown}`);
}
