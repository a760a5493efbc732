/** Completion for bash, from the same commands: words that can stand at the cursor, and files where a path is wanted. */
import type { Command } from "commander";
import { visibleOptions } from "./commands.ts";

export function completionOf(program: Command): string {
  const name = program.name();
  const cases = program.commands.map((command) => `    ${command.name()}) words="${flagsOf(command)}" ;;`);
  const commands = program.commands.map((command) => command.name()).join(" ");
  const choices = choicesOf([program, ...program.commands]);
  const paths = pathOptions([program, ...program.commands]);
  return `# bash completion for ${name}, written by scripts/man-pages from its commands: do not edit.
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command="" words="" word
  COMPREPLY=()
  case $previous in
${[...choices].map(([flag, values]) => `    ${flag}) mapfile -t COMPREPLY < <(compgen -W "${values}" -- "$current"); return ;;\n`).join("")}    ${paths.join("|")}) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
    --nic) mapfile -t COMPREPLY < <(compgen -W "$(ls /sys/class/net)" -- "$current"); return ;;
  esac
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " ${commands} " in *" $word "*) command=$word; break ;; esac
  done
  case $command in
    "") words="${[commands, flagsOf(program)].filter((part) => part !== "").join(" ")}" ;;
${cases.map((line) => `${line}\n`).join("")}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -o filenames -F _${name} ${name}
`;
}

function flagsOf(command: Command): string {
  return [...visibleOptions(command).map(({ long }) => long), "--help"].join(" ");
}

function choicesOf(commands: readonly Command[]): ReadonlyMap<string, string> {
  const entries = commands.flatMap((command) =>
    visibleOptions(command).flatMap(({ long, argChoices }) =>
      long === undefined || long === null || argChoices === undefined
        ? []
        : [[long, argChoices.join(" ")] as const],
    ),
  );
  return new Map(entries);
}

function pathOptions(commands: readonly Command[]): string[] {
  const options = commands.flatMap((command) => visibleOptions(command));
  return [
    ...new Set(options.flatMap(({ long, flags }) => (/<(FILE|PATH)>/.test(flags) ? [String(long)] : []))),
  ];
}
