/** `clusterip simulate` and `clusterip replay`: tools that need no daemon and no privilege. */
import { writeFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { type HashMode, type HashSettings, hashModes } from "../core/bucket.ts";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { parseIpv4 } from "../core/ipv4.ts";
import { MAX_BUCKETS } from "../model/bucket-set.ts";
import { type InKernelWords, inKernelWords, inOurWords } from "../model/kernel-words.ts";
import { formatBytes, formatShare } from "../tools/numbers.ts";
import type { Ownership } from "../tools/ownership.ts";
import type { ReplayProgress } from "../tools/replay-report.ts";
import { integerListOption, integerOption, print, printJson } from "./program.ts";

interface HashOptions {
  readonly bucketCount: number;
  readonly hashmode?: HashMode;
  readonly hashInit?: number;
  readonly down?: readonly number[];
}

interface SimulateOptions extends HashOptions {
  readonly clients: string;
  readonly ports?: number;
  readonly destinationPort?: number;
  readonly svg?: string;
  readonly json?: boolean;
}

interface ReplayOptions extends HashOptions {
  readonly vip?: readonly number[];
  readonly json?: boolean;
}

const MAX_PORT = 65_535;

export function addToolCommands(program: Command): void {
  withHashOptions(
    program
      .command("simulate")
      .description("say how evenly given clients would be shared, and what would share them better")
      .requiredOption("--clients <CIDR[,CIDR...]>", "the clients' addresses")
      .option(
        "--ports <N>",
        "source ports, and so flows, of each client (default: 16)",
        integerOption(1, MAX_PORT),
      )
      .option(
        "--destination-port <PORT>",
        "the port they connect to (default: 80)",
        integerOption(0, MAX_PORT),
      )
      .option("--svg <FILE>", "draw it, too")
      .option("--json", "print JSON"),
  ).action((given: InKernelWords<SimulateOptions>) => runSimulate(inOurWords(given)));
  withHashOptions(
    program
      .command("replay")
      .description("say for a capture (pcap or pcapng, - for standard input) what each node would accept")
      .argument("<FILE>")
      .option(
        "--vip <IP[,IP...]>",
        "the virtual IPs (default: found by their multicast MAC)",
        (text: string) => text.split(",").map(parseIpv4),
      )
      .option("--json", "print JSON"),
  ).action((file: string, given: InKernelWords<ReplayOptions>) => runReplay(file, inOurWords(given)));
}

function withHashOptions(command: Command): Command {
  return command
    .requiredOption("--total-nodes <N>", "the number of buckets and nodes", integerOption(1, MAX_BUCKETS))
    .addOption(
      new Option("--hashmode <MODE>", "the hash mode (default: sourceip-sourceport)").choices(hashModes),
    )
    .option("--hash-init <SEED>", "the seed (default: 0)", integerOption(0, 0xffffffff))
    .option(
      "--down <K[,K...]>",
      "nodes that are down: their buckets go to the others",
      integerListOption(1, MAX_BUCKETS),
    );
}

/** What of the command line the tools take, without what was not given. */
function hashRequest({ bucketCount, hashmode, hashInit, down }: HashOptions) {
  return {
    bucketCount,
    ...(hashmode === undefined ? {} : { hashMode: hashmode }),
    ...(hashInit === undefined ? {} : { hashInit }),
    ...(down === undefined ? {} : { down }),
  };
}

async function runSimulate(options: SimulateOptions): Promise<void> {
  const { simulate } = await import("../tools/simulate.ts");
  const { parseClients } = await import("../tools/clients.ts");
  const simulation = simulate({
    clients: parseClients(options.clients),
    ...hashRequest(options),
    ...(options.ports === undefined ? {} : { ports: options.ports }),
    ...(options.destinationPort === undefined ? {} : { destinationPort: options.destinationPort }),
  });
  if (options.svg !== undefined) {
    const { renderSimulationSvg } = await import("../tools/simulation-svg.ts");
    try {
      writeFileSync(options.svg, renderSimulationSvg(simulation));
    } catch (error) {
      throw new ClusterIpError(
        "CLUSTERIP_BAD_REQUEST",
        `The drawing cannot be written: ${messageOf(error)}.`,
        {
          cause: error,
        },
      );
    }
  }
  const { renderSimulation } = await import("../tools/render-simulation.ts");
  if (options.json === true) printJson(withKernelWords(simulation));
  else print(ended(renderSimulation(simulation)));
}

async function runReplay(file: string, options: ReplayOptions): Promise<void> {
  const { replayCapture } = await import("../tools/replay.ts");
  const { renderReplay } = await import("../tools/render-replay.ts");
  const progress = process.stderr.isTTY ? new ProgressLine() : undefined;
  try {
    const replay = await replayCapture({
      source: file === "-" ? process.stdin : file,
      ...hashRequest(options),
      ...(options.vip === undefined ? {} : { virtualIps: options.vip }),
      ...(progress === undefined ? {} : { onProgress: (now: ReplayProgress) => progress.show(now) }),
    });
    progress?.clear();
    if (options.json === true) printJson(withKernelWords(replay));
    else print(ended(renderReplay(replay)));
  } finally {
    progress?.clear();
  }
}

/** A report as its JSON has it. */
function withKernelWords<T extends { readonly settings: HashSettings; readonly ownership: Ownership }>(
  report: T,
) {
  return {
    ...report,
    settings: inKernelWords(report.settings),
    ownership: inKernelWords(report.ownership),
  };
}

function ended(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}

/** One line on a terminal, rewritten in place a few times a second. */
class ProgressLine {
  static readonly #INTERVAL_MS = 100;
  #shownAt = 0;
  #isShown = false;

  show({ phase, bytesRead, bytesTotal }: ReplayProgress): void {
    const now = Date.now();
    if (now - this.#shownAt < ProgressLine.#INTERVAL_MS) return;
    this.#shownAt = now;
    this.#isShown = true;
    const share =
      bytesTotal === undefined || bytesTotal === 0 ? "" : ` (${formatShare(bytesRead / bytesTotal, 0)})`;
    const what = phase === "judge" ? "judging" : "looking for the virtual IP";
    process.stderr.write(`\r\x1b[K${what}: ${formatBytes(bytesRead)}${share}`);
  }

  clear(): void {
    if (this.#isShown) process.stderr.write("\r\x1b[K");
    this.#isShown = false;
  }
}
