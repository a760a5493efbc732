/** What a host must have, each thing checked before anything is changed, with one sentence. */
import { closeSync, openSync, readFileSync } from "node:fs";
import { ClusterIpError, isClusterIpError, messageOf } from "../core/errors.ts";
import { run } from "./exec.ts";

/** Bit numbers of `linux/capability.h`. */
const capabilityBits = { CAP_NET_ADMIN: 12n, CAP_NET_RAW: 13n } as const;

/** Needs nothing and changes nothing: the first check, so that a host without root hears of that and of nothing else. */
export function requireCapabilities(): void {
  const status = readFileSync("/proc/self/status", "utf8");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const missing = Object.entries(capabilityBits).filter(([, bit]) => ((effective >> bit) & 1n) === 0n);
  if (missing.length > 0) {
    throw new ClusterIpError(
      "CLUSTERIP_NO_PRIVILEGE",
      `clusteripd needs ${missing.map(([name]) => name).join(" and ")} to capture frames and set addresses: run it as root or as the systemd service.`,
    );
  }
}

async function requireTool(program: string, args: readonly string[], packageName: string): Promise<void> {
  try {
    await run(program, args);
  } catch (error) {
    if (isClusterIpError(error, "CLUSTERIP_NO_TOOL")) {
      throw new ClusterIpError(
        "CLUSTERIP_NO_TOOL",
        `The program '${program}' is missing: install the package ${packageName}.`,
        { cause: error },
      );
    }
    throw new ClusterIpError(
      "CLUSTERIP_NO_TOOL",
      `The program '${program}' does not work here: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

function requireTun(): void {
  try {
    closeSync(openSync("/dev/net/tun", "r+"));
  } catch (error) {
    throw new ClusterIpError(
      "CLUSTERIP_NO_TUN",
      `/dev/net/tun cannot be opened (${messageOf(error)}): load the kernel module with 'modprobe tun', and in a container allow the device.`,
      { cause: error },
    );
  }
}

/** Throws for the first requirement that the host does not meet. */
export async function checkRequirements(): Promise<void> {
  requireCapabilities();
  await requireTool("ip", ["-json", "link", "show", "lo"], "iproute2");
  await requireTool("nft", ["-j", "list", "tables"], "nftables");
  requireTun();
}

/** Throws for the first program that is not installed; needs no privilege. */
export async function checkTools(): Promise<void> {
  await requireTool("ip", ["-V"], "iproute2");
  await requireTool("nft", ["--version"], "nftables");
}
