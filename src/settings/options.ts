/**
 * The settings of a virtual IP, each said once: this table feeds the command line, its help,
 * the schema of the configuration file and of the API, and the man pages. Pure data, so that
 * the client starts fast.
 */
import { hashModes } from "../core/bucket.ts";
import { MAX_BUCKETS } from "../model/bucket-set.ts";
import type { EngineChoice } from "../model/virtual-ip.ts";

export const engineChoices = ["auto", "userspace", "bpf"] as const satisfies readonly EngineChoice[];

export interface OptionEntry {
  /** as on the command line after `--`, and as the key in YAML and JSON */
  readonly name: string;
  readonly argument: string;
  readonly required: boolean;
  /** what applies when it is not given, in words */
  readonly defaultText?: string;
  readonly description: string;
}

/** The virtual IP itself: a positional argument on the command line, the key `vip` elsewhere. */
export const vipOption: OptionEntry = {
  name: "vip",
  argument: "VIP",
  required: true,
  description: "the IPv4 address that the nodes share",
};

export const virtualIpOptions = [
  {
    name: "nic",
    argument: "IF",
    required: true,
    description: "the interface on which the address is served",
  },
  {
    name: "total-nodes",
    argument: "N",
    required: true,
    description: `the number of buckets that all flows are spread over, 1 to ${MAX_BUCKETS}`,
  },
  {
    name: "local-node",
    argument: "K[,K...]",
    required: true,
    description: "the buckets that this node answers, 1 to the number of nodes",
  },
  {
    name: "hashmode",
    argument: "MODE",
    required: false,
    defaultText: "sourceip-sourceport",
    description: `what of a packet is hashed: ${hashModes.join(", ")}`,
  },
  {
    name: "clustermac",
    argument: "MAC",
    required: false,
    defaultText: "derived from address and network as IPaddr2 does",
    description: "the multicast MAC address that all nodes share",
  },
  {
    name: "hash-init",
    argument: "SEED",
    required: false,
    defaultText: "0",
    description: "the seed of the hash, an unsigned 32-bit number, the same on all nodes",
  },
  {
    name: "cidr-netmask",
    argument: "LENGTH",
    required: false,
    defaultText: "found on the interface",
    description:
      "the prefix length of the address's network: the cluster MAC is derived from it, and an interface without a route to that network gets one",
  },
  {
    name: "engine",
    argument: "ENGINE",
    required: false,
    defaultText: "auto",
    description: `the packet engine: ${engineChoices.join(", ")}; auto is bpf where it loads, userspace elsewhere`,
  },
] as const satisfies readonly OptionEntry[];

export const DEFAULT_SOCKET = "/run/clusteripd/control.sock";
export const SOCKET_VARIABLE = "CLUSTERIPD_SOCKET";

/** The control socket: the option, else the environment, else the default. */
export function socketPath(option: string | undefined): string {
  const fromEnvironment = process.env[SOCKET_VARIABLE];
  return (
    option ?? (fromEnvironment === undefined || fromEnvironment === "" ? DEFAULT_SOCKET : fromEnvironment)
  );
}
