/** The client: one command, one request to the daemon. */
import { Command, InvalidArgumentError, Option } from "commander";
import { call } from "../api/client.ts";
import { type NodesBody, paths } from "../api/contract.ts";
import { type HashMode, type HashSettings, hashModes, protocolNumbers } from "../core/bucket.ts";
import { ClusterIpError, isClusterIpError } from "../core/errors.ts";
import { formatIpv4 } from "../core/ipv4.ts";
import { formatNodes, MAX_NODES } from "../core/node-set.ts";
import type { DaemonStatus, VirtualIpStatus } from "../daemon/status.ts";
import {
  DEFAULT_SOCKET,
  type OptionEntry,
  SOCKET_VARIABLE,
  socketPath,
  vipOption,
  virtualIpOptions,
} from "../settings/options.ts";
import { explainFlow, parseEndpoint, renderExplanation } from "./explain.ts";
import { explainCsv, parseProtocol } from "./explain-csv.ts";
import { runProgram } from "./program.ts";
import { renderStatus, renderVirtualIp } from "./status-text.ts";

interface GlobalOptions {
  readonly socket?: string;
}

const print = (text: string): void => {
  process.stdout.write(text);
};
const printJson = (value: unknown): void => print(`${JSON.stringify(value, null, 2)}\n`);

export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("clusterip")
    .description("Controls clusteripd: virtual IP addresses that several hosts share by hash buckets.")
    .option(
      "--socket <PATH>",
      `the control socket (default: ${DEFAULT_SOCKET}, environment ${SOCKET_VARIABLE})`,
    )
    .allowExcessArguments(false);
  const socket = (): string => socketPath(program.opts<GlobalOptions>().socket);
  addAdd(program, socket);
  addDel(program, socket);
  addNodes(program, socket);
  addStatus(program, socket);
  addExplain(program, socket);
  addCleanup(program);
  await runProgram(program, argv);
}

type SocketOf = () => string;

function addAdd(program: Command, socket: SocketOf): void {
  const command = program
    .command("add")
    .description("serve a virtual IP on this host")
    .argument("<VIP>", vipOption.description);
  for (const entry of virtualIpOptions as readonly OptionEntry[]) {
    const fallback = entry.defaultText === undefined ? "" : ` (default: ${entry.defaultText})`;
    const option = new Option(`--${entry.name} <${entry.argument}>`, entry.description + fallback);
    command.addOption(entry.required ? option.makeOptionMandatory() : option);
  }
  command.action(async (vip: string) => {
    const given = command.opts<Record<string, string | undefined>>();
    const settings = Object.fromEntries(
      virtualIpOptions
        .map(({ name }) => [name, given[camelCase(name)]] as const)
        .filter(([, value]) => value !== undefined),
    );
    await call(socket(), "POST", paths.virtualIps, { vip, ...settings });
  });
}

function addDel(program: Command, socket: SocketOf): void {
  program
    .command("del")
    .description("stop serving a virtual IP and remove everything that was set up for it")
    .argument("<VIP>", vipOption.description)
    .action(async (vip: string) => {
      await call(socket(), "DELETE", paths.virtualIp(encodeURIComponent(vip)));
    });
}

function addNodes(program: Command, socket: SocketOf): void {
  program
    .command("nodes")
    .description("print the local nodes (buckets) of a virtual IP, or add or remove one")
    .argument("<VIP>", vipOption.description)
    .argument("[CHANGE]", "+N to answer bucket N from now on, -N to leave it to another node")
    // -2 is a change here, not an option; a malformed one such as -0x2 is the daemon's to refuse.
    .allowUnknownOption()
    .action(async (vip: string, change: string | undefined) => {
      const path = paths.nodes(encodeURIComponent(vip));
      if (change !== undefined) {
        await call(socket(), "POST", path, { change });
        return;
      }
      const { nodes } = (await call(socket(), "GET", path)) as NodesBody;
      print(`${formatNodes(nodes)}\n`);
    });
}

function addStatus(program: Command, socket: SocketOf): void {
  program
    .command("status")
    .description("show settings, local buckets, counters and warnings")
    .argument("[VIP]", "only this virtual IP")
    .option("--json", "print JSON")
    .action(async (vip: string | undefined, options: { readonly json?: boolean }) => {
      const path = vip === undefined ? paths.status : paths.virtualIp(encodeURIComponent(vip));
      const answer = await call(socket(), "GET", path);
      if (options.json === true) printJson(answer);
      else if (vip === undefined) print(renderStatus(answer as DaemonStatus));
      else print(`${renderVirtualIp(answer as VirtualIpStatus)}\n`);
    });
}

interface ExplainOptions {
  readonly csv?: boolean;
  readonly json?: boolean;
  readonly icmp?: boolean;
  readonly udp?: boolean;
  readonly protocol?: number;
  readonly totalNodes?: number;
  readonly hashmode?: HashMode;
  readonly hashInit?: number;
}

function addExplain(program: Command, socket: SocketOf): void {
  program
    .command("explain")
    .description(
      "say which bucket a flow has and why; without --total-nodes, by the settings of the running daemon",
    )
    .argument("[FROM]", "client, ADDRESS:PORT (ADDRESS for a protocol without ports)")
    .argument("[TO]", "virtual IP, ADDRESS:PORT")
    .option(
      "--csv",
      "read rows hashmode,total_nodes,hash_init,proto,saddr,sport,dport; write them with ,bucket",
    )
    .option("--json", "print JSON")
    .option("--icmp", "an ICMP echo instead of TCP")
    .option("--udp", "UDP instead of TCP")
    .option("--protocol <NAME|NUMBER>", "another IP protocol", (text: string) => {
      const protocol = parseProtocol(text);
      if (protocol === undefined)
        throw new InvalidArgumentError("expected a protocol name or a number of 0 to 255.");
      return protocol;
    })
    .option("--total-nodes <N>", "the number of buckets", integerOption(1, MAX_NODES))
    .addOption(new Option("--hashmode <MODE>", "the hash mode").choices(hashModes))
    .option("--hash-init <SEED>", "the seed", integerOption(0, 0xffffffff))
    .action(async (from: string | undefined, to: string | undefined, options: ExplainOptions) => {
      if (options.csv === true) {
        process.stdin.setEncoding("utf8");
        for await (const text of explainCsv(process.stdin as AsyncIterable<string>)) {
          if (!process.stdout.write(text))
            await new Promise((resolve) => process.stdout.once("drain", resolve));
        }
        return;
      }
      if (from === undefined || to === undefined) {
        throw new ClusterIpError("CLUSTERIP_USAGE", "explain needs FROM and TO, or --csv.");
      }
      const target = parseEndpoint(to);
      const { settings, localNodes } = await settingsOf(formatIpv4(target.addressHost), socket(), options);
      const explanation = explainFlow(parseEndpoint(from), target, protocolOf(options), settings, localNodes);
      if (options.json === true) printJson(explanation);
      else print(renderExplanation(explanation));
    });
}

function protocolOf(options: ExplainOptions): number {
  if (options.protocol !== undefined) return options.protocol;
  if (options.icmp === true) return protocolNumbers.icmp;
  return options.udp === true ? protocolNumbers.udp : protocolNumbers.tcp;
}

/** From the command line where it says how many nodes there are, else from the daemon. */
async function settingsOf(
  vip: string,
  socket: string,
  options: ExplainOptions,
): Promise<{ settings: HashSettings; localNodes: readonly number[] | undefined }> {
  const { hashmode = "sourceip-sourceport", hashInit = 0, totalNodes } = options;
  if (totalNodes !== undefined) {
    return { settings: { hashMode: hashmode, totalNodes, hashInit }, localNodes: undefined };
  }
  try {
    const served = (await call(socket, "GET", paths.virtualIp(vip))) as VirtualIpStatus;
    const hashMode = hashModes.find((mode) => mode === served.hashMode) ?? hashmode;
    return {
      settings: { hashMode, totalNodes: served.totalNodes, hashInit: served.hashInit },
      localNodes: served.localNodes,
    };
  } catch (error) {
    if (!isClusterIpError(error)) throw error;
    throw new ClusterIpError(error.code, `${error.message} Without the daemon, say --total-nodes N.`, {
      cause: error,
    });
  }
}

function addCleanup(program: Command): void {
  program
    .command("cleanup")
    .description("remove whatever a dead daemon left on this host")
    .action(async () => {
      // Loaded here only: the other commands need no host plumbing and start faster without it.
      const { cleanup } = await import("../daemon/cleanup.ts");
      const removed = await cleanup();
      print(
        removed.length === 0 ? "nothing to remove\n" : removed.map((what) => `removed ${what}\n`).join(""),
      );
    });
}

function integerOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^(\d{1,10}|0x[0-9a-f]{1,8})$/i.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`expected a number from ${min} to ${max}.`);
  };
}

/** The name under which commander keeps `--total-nodes`. */
function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
