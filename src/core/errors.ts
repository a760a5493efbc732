/**
 * The error catalogue: every refusal that a user can meet has one stable code here.
 * It says what the code means, the HTTP status of an answer with it, and how a program ends with it. `docs/errors.md`
 * and `docs/api.md` mirror this table, and a test keeps them equal.
 */

/** Exit statuses of both programs. */
export const exitStatus = { done: 0, refused: 1, usage: 2, unreachable: 3 } as const;

interface ErrorEntry {
  readonly sentence: string;
  /** of the API's answer; 400 where it says nothing */
  readonly httpStatus?: number;
  /** how a program ends with it; `refused` where it says nothing */
  readonly exits?: keyof typeof exitStatus;
}

const entries = {
  CLUSTERIP_USAGE: { sentence: "The command line could not be understood.", exits: "usage" },
  CLUSTERIP_BAD_ADDRESS: { sentence: "An IPv4 address is malformed or cannot be a virtual IP." },
  CLUSTERIP_BAD_MAC: { sentence: "A MAC address is malformed or is not a multicast address." },
  CLUSTERIP_BAD_HASH_MODE: { sentence: "The hash mode is not one of the three that CLUSTERIP has." },
  CLUSTERIP_BAD_TOTAL_NODES: { sentence: "The number of nodes is outside 1 to 16." },
  CLUSTERIP_BAD_LOCAL_NODE: { sentence: "A local node is not a number from 1 to the number of nodes." },
  CLUSTERIP_BAD_HASH_INIT: { sentence: "The hash seed is not an unsigned 32-bit number." },
  CLUSTERIP_BAD_NETMASK: { sentence: "A prefix length is not a number from 1 to 32." },
  CLUSTERIP_BAD_NIC: {
    sentence: "The interface name is not one that Linux allows, or it is no Ethernet interface.",
  },
  CLUSTERIP_BAD_ENGINE: { sentence: "The engine is not known." },
  CLUSTERIP_BAD_FLOW: { sentence: "A flow (address, port, protocol) is malformed." },
  CLUSTERIP_BAD_CAPTURE: { sentence: "A capture file cannot be read, is damaged or has nothing to judge." },
  CLUSTERIP_BAD_REQUEST: {
    sentence: "A request or a setting has a field that is missing, unknown or of the wrong type.",
  },
  CLUSTERIP_BAD_RULE: {
    sentence: "An iptables rule is malformed or does something that clusteripd does not.",
  },
  CLUSTERIP_BAD_NODE_CHANGE: { sentence: "A change of the local nodes is not +N or -N." },
  CLUSTERIP_NODE_ALREADY_LOCAL: { sentence: "The bucket to add is this node's already.", httpStatus: 409 },
  CLUSTERIP_NODE_NOT_LOCAL: { sentence: "The bucket to remove is not this node's.", httpStatus: 409 },
  CLUSTERIP_NODE_OUT_OF_RANGE: { sentence: "The bucket is 0 or above the number of nodes." },
  CLUSTERIP_CONFIG: { sentence: "The configuration file cannot be read or has an error." },
  CLUSTERIP_EXISTS: { sentence: "The virtual IP is configured already.", httpStatus: 409 },
  CLUSTERIP_NOT_FOUND: { sentence: "There is no such virtual IP or no such resource.", httpStatus: 404 },
  CLUSTERIP_ADDRESS_IN_USE: {
    sentence: "The address is this host's own, or is on another interface of it.",
    httpStatus: 409,
  },
  CLUSTERIP_NO_NIC: { sentence: "The interface does not exist." },
  CLUSTERIP_NO_NETWORK: {
    sentence: "No network of the interface holds the virtual IP, so no cluster MAC can be derived.",
  },
  CLUSTERIP_NO_PRIVILEGE: { sentence: "A capability is missing." },
  CLUSTERIP_NO_TOOL: { sentence: "A system tool that is needed is missing or does not work." },
  CLUSTERIP_NO_TUN: { sentence: "/dev/net/tun is missing or cannot be used." },
  CLUSTERIP_NO_ENGINE: { sentence: "The engine asked for is not available on this host." },
  CLUSTERIP_ADDON_MISSING: { sentence: "The native addon is not built or cannot be loaded." },
  CLUSTERIP_HOST: { sentence: "A command that sets up the host failed.", httpStatus: 500 },
  CLUSTERIP_ENGINE: { sentence: "The packet engine failed.", httpStatus: 500 },
  CLUSTERIP_STATE: {
    sentence: "What is served cannot be saved for the next start of the daemon.",
    httpStatus: 500,
  },
  CLUSTERIP_BROKEN: {
    sentence: "A bucket is this node's, but frames to it are not answered.",
    httpStatus: 500,
  },
  CLUSTERIP_ALREADY_RUNNING: {
    sentence: "Another clusteripd, or a clean-up, runs on this host (network namespace) or on this socket.",
  },
  CLUSTERIP_SOCKET: { sentence: "The control socket cannot be used." },
  CLUSTERIP_UNREACHABLE: { sentence: "No daemon answers on the control socket.", exits: "unreachable" },
  CLUSTERIP_STARTING: { sentence: "The daemon has not finished starting.", httpStatus: 503 },
  CLUSTERIP_STOPPING: { sentence: "The daemon is stopping and takes no more requests.", httpStatus: 503 },
  CLUSTERIP_INTERNAL: { sentence: "A defect in clusteripd.", httpStatus: 500 },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof entries;

const codes = Object.keys(entries) as readonly ErrorCode[];

/** What each code means, a sentence. */
export const errorCatalogue = tableOf(({ sentence }) => sentence);

/** The HTTP status of an answer with the code. */
export const httpStatuses = tableOf(({ httpStatus = 400 }) => httpStatus);

/** The exit status of a program that ends with the code. */
export const exitStatuses = tableOf(({ exits = "refused" }): number => exitStatus[exits]);

function tableOf<T>(read: (entry: ErrorEntry) => T): Readonly<Record<ErrorCode, T>> {
  return Object.fromEntries(codes.map((code) => [code, read(entries[code])])) as Record<ErrorCode, T>;
}

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
