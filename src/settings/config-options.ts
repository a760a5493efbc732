/** The top-level keys of the configuration file, each said once: for the schema and the man page. */
import { MAX_WORKERS } from "../core/facts.ts";
import { DEFAULT_SOCKET, type OptionEntry } from "./options.ts";

export const configOptions = [
  {
    name: "virtual-ips",
    argument: "LIST",
    required: false,
    defaultText: "an empty list: virtual IPs come by request, such as from Pacemaker",
    description: "the virtual IPs to serve, each a mapping with the keys below",
  },
  {
    name: "socket",
    argument: "PATH",
    required: false,
    defaultText: DEFAULT_SOCKET,
    description:
      "the control socket; the option --socket takes precedence; not changed by a reload. For the installed service, Environment=CLUSTERIPD_SOCKET=... in a drop-in instead says it to its reload too",
  },
  {
    name: "log-level",
    argument: "LEVEL",
    required: false,
    defaultText: "info",
    description: "what is logged to standard error: fatal, error, warn, info, debug",
  },
  {
    name: "foreign-sampling",
    argument: "auto|N",
    required: false,
    defaultText: "auto",
    description:
      "of the frames of foreign buckets, one in N is counted and the others are dropped before they are copied; auto follows the load; not changed by a reload",
  },
  {
    name: "workers",
    argument: "N",
    required: false,
    defaultText: "1",
    description: `threads of the engine userspace, 1 to ${MAX_WORKERS}; more than one pays where an interface spreads its frames over several CPUs; not changed by a reload`,
  },
] as const satisfies readonly OptionEntry[];

export type ConfigOptionName = (typeof configOptions)[number]["name"];
