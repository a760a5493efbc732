/**
 * The error catalogue: every refusal that a user can meet has one stable code here.
 * `docs/errors.md` mirrors this table, and a test keeps the two equal.
 */
export const errorCatalogue = {
  CLUSTERIP_USAGE: "The command line could not be understood.",
  CLUSTERIP_BAD_ADDRESS: "An IPv4 address is malformed or cannot be a virtual IP.",
  CLUSTERIP_BAD_MAC: "A MAC address is malformed or is not a multicast address.",
  CLUSTERIP_BAD_HASH_MODE: "The hash mode is not one of the three that CLUSTERIP has.",
  CLUSTERIP_BAD_TOTAL_NODES: "The number of nodes is outside 1 to 16.",
  CLUSTERIP_BAD_LOCAL_NODE: "A local node is not a number from 1 to the number of nodes.",
  CLUSTERIP_BAD_HASH_INIT: "The hash seed is not an unsigned 32-bit number.",
  CLUSTERIP_BAD_NETMASK: "A prefix length is not a number from 1 to 32.",
  CLUSTERIP_BAD_NIC: "The interface name is not one that Linux allows, or it is no Ethernet interface.",
  CLUSTERIP_BAD_ENGINE: "The engine is not known.",
  CLUSTERIP_BAD_FLOW: "A flow (address, port, protocol) is malformed.",
  CLUSTERIP_BAD_CAPTURE: "A capture file cannot be read, is damaged or has nothing to judge.",
  CLUSTERIP_BAD_REQUEST: "A request or a setting has a field that is missing, unknown or of the wrong type.",
  CLUSTERIP_BAD_RULE: "An iptables rule is malformed or does something that clusteripd does not.",
  CLUSTERIP_BAD_NODE_CHANGE: "A change of the local nodes is not +N or -N.",
  CLUSTERIP_NODE_ALREADY_LOCAL: "The bucket to add is this node's already.",
  CLUSTERIP_NODE_NOT_LOCAL: "The bucket to remove is not this node's.",
  CLUSTERIP_NODE_OUT_OF_RANGE: "The bucket is 0 or above the number of nodes.",
  CLUSTERIP_CONFIG: "The configuration file cannot be read or has an error.",
  CLUSTERIP_EXISTS: "The virtual IP is configured already.",
  CLUSTERIP_NOT_FOUND: "There is no such virtual IP or no such resource.",
  CLUSTERIP_ADDRESS_IN_USE: "The address is this host's own, or is on another interface of it.",
  CLUSTERIP_NO_NIC: "The interface does not exist.",
  CLUSTERIP_NO_NETWORK: "No network of the interface holds the virtual IP, so no cluster MAC can be derived.",
  CLUSTERIP_NO_PRIVILEGE: "A capability is missing.",
  CLUSTERIP_NO_TOOL: "A system tool that is needed is missing or does not work.",
  CLUSTERIP_NO_TUN: "/dev/net/tun is missing or cannot be used.",
  CLUSTERIP_NO_ENGINE: "The engine asked for is not available on this host.",
  CLUSTERIP_ADDON_MISSING: "The native addon is not built or cannot be loaded.",
  CLUSTERIP_HOST: "A command that sets up the host failed.",
  CLUSTERIP_ENGINE: "The packet engine failed.",
  CLUSTERIP_STATE: "What is served cannot be saved for the next start of the daemon.",
  CLUSTERIP_BROKEN: "A bucket is this node's, but frames to it are not answered.",
  CLUSTERIP_ALREADY_RUNNING:
    "Another clusteripd, or a clean-up, runs on this host (network namespace) or on this socket.",
  CLUSTERIP_SOCKET: "The control socket cannot be used.",
  CLUSTERIP_UNREACHABLE: "No daemon answers on the control socket.",
  CLUSTERIP_STARTING: "The daemon has not finished starting.",
  CLUSTERIP_STOPPING: "The daemon is stopping and takes no more requests.",
  CLUSTERIP_INTERNAL: "A defect in clusteripd.",
} as const;

export type ErrorCode = keyof typeof errorCatalogue;

/** Exit statuses of both programs. */
export const exitStatus = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const;

/** An expected failure: `message` is a full sentence for the user, `code` is stable. */
export class ClusterIpError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ClusterIpError";
    this.code = code;
  }
}

/** Whether the failure is one of ours with the given code (any code without one). */
export function isClusterIpError(error: unknown, code?: ErrorCode): error is ClusterIpError {
  return error instanceof ClusterIpError && (code === undefined || error.code === code);
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
