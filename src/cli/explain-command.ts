/** `clusterip explain`: one flow, a table of flows, or the table of verdicts. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { ask } from "../api/client.ts";
import { type HashMode, type HashSettings, hashModes, protocolNumbers } from "../core/bucket.ts";
import { ClusterIpError, isClusterIpError } from "../core/errors.ts";
import { formatIpv4 } from "../core/ipv4.ts";
import { type BucketSet, MAX_BUCKETS } from "../model/bucket-set.ts";
import { type InKernelWords, inKernelWords, inOurWords } from "../model/kernel-words.ts";
import { explainFlow, parseEndpoint, renderExplanation } from "./explain.ts";
import { explainCsv, parseProtocol } from "./explain-csv.ts";
import { integerOption, print, printJson } from "./program.ts";
import type { SocketOf } from "./serve-commands.ts";

interface ExplainOptions {
  readonly csv?: boolean;
  readonly table?: boolean;
  readonly json?: boolean;
  readonly icmp?: boolean;
  readonly udp?: boolean;
  readonly protocol?: number;
  readonly bucketCount?: number;
  readonly hashmode?: HashMode;
  readonly hashInit?: number;
}

export function addExplainCommand(program: Command, socket: SocketOf): void {
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
    .option("--table", "print the verdict table: a frame of every kind, what becomes of it, and why")
    .option("--json", "print JSON")
    .option("--icmp", "an ICMP echo instead of TCP")
    .option("--udp", "UDP instead of TCP")
    .option("--protocol <NAME|NUMBER>", "another IP protocol", protocolOption)
    .option("--total-nodes <N>", "the number of buckets", integerOption(1, MAX_BUCKETS))
    .addOption(new Option("--hashmode <MODE>", "the hash mode").choices(hashModes))
    .option("--hash-init <SEED>", "the seed", integerOption(0, 0xffffffff))
    .action(
      async (from: string | undefined, to: string | undefined, given: InKernelWords<ExplainOptions>) => {
        const options = inOurWords(given);
        if (options.table === true) await printTable(options.json === true);
        else if (options.csv === true) await explainInput();
        else await explainOne(from, to, options, socket);
      },
    );
}

function protocolOption(text: string): number {
  const protocol = parseProtocol(text);
  if (protocol === undefined)
    throw new InvalidArgumentError("Expected a protocol name or a number of 0 to 255.");
  return protocol;
}

async function printTable(asJson: boolean): Promise<void> {
  // Loaded here only: the frames of the table take a moment to build.
  const { renderVerdictTable, verdictTableJson } = await import("./explain-table.ts");
  if (asJson) printJson(verdictTableJson());
  else print(renderVerdictTable());
}

async function explainInput(): Promise<void> {
  process.stdin.setEncoding("utf8");
  for await (const text of explainCsv(process.stdin as AsyncIterable<string>)) {
    if (!process.stdout.write(text)) await new Promise((resolve) => process.stdout.once("drain", resolve));
  }
}

async function explainOne(
  from: string | undefined,
  to: string | undefined,
  options: ExplainOptions,
  socket: SocketOf,
): Promise<void> {
  if (from === undefined || to === undefined) {
    throw new ClusterIpError("CLUSTERIP_USAGE", "explain needs FROM and TO, or --csv, or --table.");
  }
  const client = parseEndpoint(from);
  const target = parseEndpoint(to);
  const { settings, localBuckets } = await settingsOf(formatIpv4(target.addressHost), socket, options);
  const explanation = explainFlow(client, target, protocolOf(options), settings, localBuckets);
  if (options.json === true) printJson(inKernelWords(explanation));
  else print(renderExplanation(explanation));
}

function protocolOf(options: ExplainOptions): number {
  if (options.protocol !== undefined) return options.protocol;
  if (options.icmp === true) return protocolNumbers.icmp;
  return options.udp === true ? protocolNumbers.udp : protocolNumbers.tcp;
}

/** From the command line where it says how many buckets there are, else from the daemon. */
async function settingsOf(
  vip: string,
  socket: SocketOf,
  options: ExplainOptions,
): Promise<{ settings: HashSettings; localBuckets: BucketSet | undefined }> {
  const { hashmode = "sourceip-sourceport", hashInit = 0, bucketCount } = options;
  if (bucketCount !== undefined) {
    return { settings: { hashMode: hashmode, bucketCount, hashInit }, localBuckets: undefined };
  }
  try {
    const served = inOurWords(await ask(socket(), "virtualIp", vip));
    const hashMode = hashModes.find((mode) => mode === served.hashMode) ?? hashmode;
    return {
      settings: { hashMode, bucketCount: served.bucketCount, hashInit: served.hashInit },
      localBuckets: served.localBuckets,
    };
  } catch (error) {
    if (!isClusterIpError(error)) throw error;
    throw new ClusterIpError(error.code, `${error.message} Without the daemon, say --total-nodes N.`, {
      cause: error,
    });
  }
}
