/** What both programs share: how they end, and how they say that something went wrong. */
import { type Command, CommanderError, InvalidArgumentError } from "commander";
import { exitStatus, exitStatuses, isClusterIpError, messageOf } from "../core/errors.ts";

/** Parses the command line and runs the command; sets the exit status and never throws. */
export async function runProgram(program: Command, argv: readonly string[]): Promise<void> {
  // A reader that goes away (`| head`) is no error of ours.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitStatus.done);
    throw error;
  });
  overrideExit(program);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? exitStatus.done : exitStatus.usage;
      return;
    }
    reportFailure(program.name(), error);
  }
}

/** One sentence on standard error, with the stable code, and the exit status that goes with it. */
export function reportFailure(name: string, error: unknown): void {
  const code = isClusterIpError(error) ? error.code : "CLUSTERIP_INTERNAL";
  process.stderr.write(`${name}: ${messageOf(error)} [${code}]\n`);
  process.exitCode = exitStatuses[code];
}

export const print = (text: string): void => {
  process.stdout.write(text);
};

/** A number that JSON's readers would round is a text of its digits. */
const exact = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value);

export const printJson = (value: unknown): void => print(`${JSON.stringify(value, exact, 2)}\n`);

/** A parser for commander: a decimal or 0x number within the bounds. */
export function integerOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^(\d{1,10}|0x[0-9a-f]{1,8})$/i.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a number from ${min} to ${max}.`);
  };
}

/** A parser for commander: numbers with commas between them, each within the bounds. */
export function integerListOption(min: number, max: number): (text: string) => readonly number[] {
  const one = integerOption(min, max);
  return (text) => text.split(",").map(one);
}

/** Commander's own errors look like ours and end with their exit status. */
function overrideExit(command: Command, names: readonly string[] = [command.name()]): void {
  command.exitOverride();
  command.configureOutput({
    outputError: (text, write) => write(`${names[0]}: ${usageSentence(text, names)} [CLUSTERIP_USAGE]\n`),
  });
  for (const child of command.commands) overrideExit(child, [...names, child.name()]);
}

/** From commander's `error: unknown command 'ad'` and, in a second line, `(Did you mean add?)`. */
function usageSentence(text: string, names: readonly string[]): string {
  const [first = "", ...more] = text.trim().split("\n");
  const message = first.replace(/^error: /, "").replace(/\.$/, "");
  const sentence = `${message.slice(0, 1).toUpperCase()}${message.slice(1)}.`;
  return [sentence, ...more, `See '${names.join(" ")} --help'.`].join(" ");
}
