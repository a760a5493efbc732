/** Sections of a man page from a command of commander: the very objects that parse and print the help. */
import type { Argument, Command, Option } from "commander";
import { exitStatus } from "../../../src/core/errors.ts";
import { type Block, heading, literal, type Section, term, text } from "./roff.ts";

/** The line that the help begins with. */
export function synopsis(command: Command): string {
  const names: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) names.unshift(at.name());
  const options = visibleOptions(command)
    .filter(({ mandatory }) => mandatory)
    .map(({ flags }) => flags);
  const optional = visibleOptions(command).some(({ mandatory }) => !mandatory) ? ["[options]"] : [];
  const args = command.registeredArguments.map(argumentText);
  return [...names, ...options, ...optional, ...args].join(" ");
}

export function optionTerms(command: Command): Block[] {
  return visibleOptions(command).map((option) => term(option.flags, sentence(option)));
}

/** A heading, what it does, its arguments and options, for every command. */
export function commandBlocks(program: Command): Block[] {
  return program.commands.flatMap((command) => [
    heading(synopsis(command).replace(`${program.name()} `, "")),
    text(`${capital(command.description())}.`),
    ...command.registeredArguments.flatMap((argument) =>
      argument.description === "" ? [] : [term(argumentText(argument), capital(`${argument.description}.`))],
    ),
    ...optionTerms(command),
  ]);
}

const statusMeanings: Readonly<Record<keyof typeof exitStatus, string>> = {
  done: "Done.",
  refused: "Refused: a sentence on standard error says why, and nothing changed.",
  usage: "The command line could not be understood.",
  unreachable: "No daemon answers on the control socket.",
};

export function exitStatusSection(names: readonly (keyof typeof exitStatus)[]): Section {
  return {
    title: "Exit status",
    blocks: names.map((name) => term(String(exitStatus[name]), statusMeanings[name])),
  };
}

export const synopsisSection = (...lines: readonly string[]): Section => ({
  title: "Synopsis",
  blocks: [literal(...lines)],
});

export function visibleOptions(command: Command): readonly Option[] {
  return command.options.filter(({ hidden }) => !hidden);
}

function argumentText(argument: Argument): string {
  const name = `${argument.name()}${argument.variadic ? "..." : ""}`;
  return argument.required ? name : `[${name}]`;
}

/** As the help has it, with the choices and the default of those options that say them apart. */
function sentence(option: Option): string {
  const choices =
    option.argChoices === undefined || option.description.includes(String(option.argChoices[0]))
      ? ""
      : `: ${option.argChoices.join(", ")}`;
  const fallback =
    option.defaultValue === undefined
      ? ""
      : ` (default: ${option.defaultValueDescription ?? option.defaultValue})`;
  return `${capital(option.description)}${choices}${fallback}.`;
}

export function capital(content: string): string {
  return content.slice(0, 1).toUpperCase() + content.slice(1);
}
