/** The client: one command, usually one request to the daemon. */
import { Command } from "commander";
import { packageVersion } from "../package.ts";
import { DEFAULT_SOCKET, SOCKET_VARIABLE, socketPath } from "../settings/options.ts";
import { addExplainCommand } from "./explain-command.ts";
import { addImportCommand } from "./import-command.ts";
import { runProgram } from "./program.ts";
import { addServeCommands } from "./serve-commands.ts";
import { addToolCommands } from "./tool-commands.ts";

/** The command line of `clusterip`: parser and help, and the source of its man page. */
export function clusteripProgram(): Command {
  const program = new Command("clusterip")
    .description("Controls clusteripd: virtual IP addresses that several hosts share by hash buckets.")
    .version(packageVersion())
    .option(
      "--socket <PATH>",
      `the control socket (default: ${DEFAULT_SOCKET}, environment ${SOCKET_VARIABLE})`,
    )
    .allowExcessArguments(false);
  const socket = (): string => socketPath(program.opts<{ readonly socket?: string }>().socket);
  addServeCommands(program, socket);
  addExplainCommand(program, socket);
  addImportCommand(program, socket);
  addToolCommands(program);
  return program;
}

export async function main(argv: readonly string[]): Promise<void> {
  await runProgram(clusteripProgram(), argv);
}
