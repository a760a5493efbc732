/**
 * Completion for bash, from the same commands: words that can stand at the cursor, and files where a path is wanted.
 *
 * `compgen -W` carries out what stands in its words (`$(...)`), so only words of ours stand there; names that come from
 * the host, such as those of interfaces, are compared as text.
 */
import type { Command } from "commander";
import { hashModes } from "../../../src/core/bucket.ts";
import { engineChoices } from "../../../src/settings/options.ts";
import { visibleOptions } from "./commands.ts";

/** The values of options that are checked by the daemon, not by the command line. */
const knownValues: Readonly<Record<string, readonly string[]>> = {
  "--hashmode": hashModes,
  "--engine": engineChoices,
};

export function completionOf(program: Command): string {
  const name = program.name();
  const all = [program, ...program.commands];
  const commands = program.commands.map((command) => command.name()).join(" ");
  const cases = program.commands.map((command) => `    ${command.name()}) words="${flagsOf(command)}" ;;`);
  const takesVip = program.commands.filter((command) => argumentAt(command, 0) === "VIP");
  const takesFile = program.commands.filter((command) => argumentAt(command, 0) === "FILE");
  return `# bash completion for ${name}, written by scripts/generate from its commands: do not edit.

# Of the lines on standard input, those that begin as the word at the cursor does; nothing in them is carried out.
_${name}_offer() {
  local line
  while IFS= read -r line; do
    [[ $line != "$1"* ]] || COMPREPLY+=("$line")
  done
}
${takesVip.length === 0 ? "" : vipFunctions(name)}
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command="" words="" word at=0 index
  local -a socket=()
  COMPREPLY=()
  case $previous in
${choiceCases(all)}    ${pathOptions(all).join("|")}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
${
  hasOption(all, "--nic")
    ? `    --nic) _${name}_offer "$current" < <(cd /sys/class/net && printf '%s\\n' *); return ;;
`
    : ""
}  esac
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    [ "$word" != --socket ] || socket=(--socket "\${COMP_WORDS[index+1]}")
    case " ${commands} " in *" $word "*) command=$word at=$index; break ;; esac
  done
  case $command in
    "") words="${[commands, flagsOf(program)].filter((part) => part !== "").join(" ")}" ;;
${cases
  .map(
    (line) => `${line}
`,
  )
  .join("")}  esac
${takesVip.length === 0 ? "" : vipCase(name, takesVip)}${
  takesFile.length === 0
    ? ""
    : `  case $command in ${takesFile.map((command) => command.name()).join("|")}) [[ $current == -* ]] || { compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current"); return; } ;; esac
`
}  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _${name} ${name}
`;
}

/** What the daemon serves, by the command that costs least; nothing where none answers. */
function vipFunctions(name: string): string {
  return `
# The virtual IPs that the daemon serves; nothing where none answers.
_${name}_vips() {
  timeout 2 "\${COMP_WORDS[0]}" "$@" status --json 2>/dev/null | sed -nE 's/^ *"vip": "([0-9.]*)",$/\\1/p'
}

# The buckets that this node can give up, and those that it can take.
_${name}_changes() {
  local vip=$1
  shift
  timeout 2 "\${COMP_WORDS[0]}" "$@" status "$vip" --json 2>/dev/null |
    sed -nE 's/^ *"bucket": ([0-9]*),$/\\1/p; s/^ *"isLocal": true$/-/p; s/^ *"isLocal": false$/+/p' |
    while read -r bucket && read -r sign; do printf '%s%s\\n' "$sign" "$bucket"; done
}
`;
}

function vipCase(name: string, commands: readonly Command[]): string {
  const names = commands.map((command) => command.name()).join("|");
  return `  case $command in ${names})
    if ((COMP_CWORD == at + 1)) && [[ $current != -* ]]; then
      _${name}_offer "$current" < <(_${name}_vips "\${socket[@]}")
      return
    fi ;;
  esac
  if [ "$command" = nodes ] && ((COMP_CWORD == at + 2)); then
    _${name}_offer "$current" < <(_${name}_changes "$previous" "\${socket[@]}")
    return
  fi
`;
}

function argumentAt(command: Command, index: number): string | undefined {
  // What add names is served by nobody yet.
  return command.name() === "add" ? undefined : command.registeredArguments[index]?.name();
}

function hasOption(commands: readonly Command[], flag: string): boolean {
  return commands.some((command) => visibleOptions(command).some(({ long }) => long === flag));
}

function flagsOf(command: Command): string {
  return [...visibleOptions(command).map(({ long }) => long), "--help"].join(" ");
}

function choiceCases(commands: readonly Command[]): string {
  const flags = new Set(
    commands.flatMap((command) => visibleOptions(command).map(({ long }) => String(long))),
  );
  return [...flags]
    .flatMap((flag) => {
      const values = knownValues[flag];
      return values === undefined
        ? []
        : [
            `    ${flag}) mapfile -t COMPREPLY < <(compgen -W "${values.join(" ")}" -- "$current"); return ;;
`,
          ];
    })
    .join("");
}

function pathOptions(commands: readonly Command[]): string[] {
  const options = commands.flatMap((command) => visibleOptions(command));
  return [
    ...new Set(options.flatMap(({ long, flags }) => (/<(FILE|PATH)>/.test(flags) ? [String(long)] : []))),
  ];
}
