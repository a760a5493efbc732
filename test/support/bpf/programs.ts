/** How the programs of engine "bpf" come onto an interface, and off it behind the daemon's back. */
import path from "node:path";
import type { Host } from "../lab/host.ts";
import { projectRoot } from "../lab/paths.ts";

export interface Attachment {
  /** Default: off. */
  xdp?: "off" | "native" | "generic";
  /** A clsact qdisc although the kernel has tcx. */
  clsact?: boolean;
}

/** The environment of a daemon that attaches its programs in this way. */
export function attaching({ xdp = "off", clsact = false }: Attachment = {}): Record<string, string> {
  return { CLUSTERIPD_XDP: xdp, CLUSTERIPD_CLSACT: clsact ? "1" : "0" };
}

/** Takes our programs and subscriptions off the node's NIC behind the daemon's back. */
export async function removePrograms(node: Host): Promise<void> {
  const addon = path.join(projectRoot, "native/build/Release/clusteripd_bpf.node");
  const [{ ifindex } = { ifindex: 0 }] = JSON.parse(await node.ip("-json", "link", "show", "eth0")) as {
    ifindex: number;
  }[];
  const script = `require(${JSON.stringify(addon)}).removePrograms(${ifindex}).then((any) => process.exit(any ? 0 : 1))`;
  await node.exec([process.execPath, "-e", script]);
}
