/** `clusterip import`: the CLUSTERIP rules of an iptables-save output become virtual IPs here. */
import type { Command } from "commander";
import { ask } from "../api/client.ts";
import { ClusterIpError, isClusterIpError } from "../core/errors.ts";
import { shellWord } from "../core/shell-word.ts";
import { isClusterIpRule, parseIptablesRule, type RuleSettings } from "../settings/iptables-rule.ts";
import { MAX_LINE_LENGTH, requireRoom } from "../settings/limits.ts";
import { virtualIpOptions } from "../settings/options.ts";
import { print } from "./program.ts";
import type { SocketOf } from "./serve-commands.ts";

export function addImportCommand(program: Command, socket: SocketOf): void {
  program
    .command("import")
    .description(
      "read the output of iptables-save and print the commands that serve its CLUSTERIP rules here",
    )
    .option("--apply", "carry them out: all of them, or none when one is refused")
    .action(async (options: { readonly apply?: boolean }) => {
      process.stdin.setEncoding("utf8");
      const rules = await readRules(process.stdin as AsyncIterable<string>);
      if (rules.length === 0) process.stderr.write("clusterip: the input has no rule with -j CLUSTERIP\n");
      if (options.apply === true) await addAll(socket(), rules);
      for (const rule of rules) print(`${options.apply === true ? "added: " : ""}${commandOf(rule)}\n`);
    });
}

/** Lines, of which none is longer than one can be: input without end (/dev/zero) must not fill the memory. */
async function* linesOf(input: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of input) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
    if (rest.length > MAX_LINE_LENGTH) {
      throw new ClusterIpError(
        "CLUSTERIP_BAD_RULE",
        `standard input: a line is longer than ${MAX_LINE_LENGTH.toLocaleString("en")} characters, so this is not the output of iptables-save.`,
      );
    }
  }
  yield rest;
}

/**
 * All rules, checked; two rules for one address must say the same, as the kernel silently
 * ignored what a second one said.
 *
 * @throws CLUSTERIP_BAD_RULE and the codes of the settings, with the number of the line
 */
export async function readRules(
  input: AsyncIterable<string> | Iterable<string>,
): Promise<readonly RuleSettings[]> {
  const byVip = new Map<string, RuleSettings>();
  let table = "filter";
  let number = 0;
  for await (const line of linesOf(input)) {
    number += 1;
    if (line.startsWith("*")) table = line.slice(1).trim();
    if (!isClusterIpRule(line)) continue;
    try {
      await takeRule(byVip, line, table);
    } catch (error) {
      if (!isClusterIpError(error)) throw error;
      throw new ClusterIpError(error.code, `standard input, line ${number}: ${error.message}`, {
        cause: error,
      });
    }
  }
  return [...byVip.values()];
}

async function takeRule(byVip: Map<string, RuleSettings>, line: string, table: string): Promise<void> {
  // Loaded here only, so that the other commands start fast.
  const { parseVirtualIp } = await import("../settings/virtual-ip.ts");
  if (table !== "filter") {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_RULE",
      `The rule is in the table ${table}: the target worked in filter only.`,
    );
  }
  const rule = parseIptablesRule(line);
  const { address: vip } = parseVirtualIp(rule);
  const earlier = byVip.get(vip);
  if (earlier === undefined) requireRoom(byVip.size);
  else if (commandOf(earlier) !== commandOf(rule)) {
    throw new ClusterIpError(
      "CLUSTERIP_EXISTS",
      `There are two rules for ${vip} with different settings; the kernel ignored the second. Remove one.`,
    );
  }
  byVip.set(vip, rule);
}

/** The `clusterip add` that does what the rule did, for a shell. */
export function commandOf(rule: RuleSettings): string {
  const options = virtualIpOptions
    .filter(({ name }) => rule[name] !== undefined)
    .flatMap(({ name }) => [`--${name}`, rule[name] ?? ""]);
  return ["clusterip", "add", rule["vip"] ?? "", ...options].map(shellWord).join(" ");
}

async function addAll(socket: string, rules: readonly RuleSettings[]): Promise<void> {
  const added: string[] = [];
  try {
    for (const rule of rules) {
      await ask(socket, "add", undefined, rule);
      added.push(rule["vip"] ?? "");
    }
  } catch (error) {
    for (const vip of added.reverse()) await ask(socket, "remove", vip);
    throw error;
  }
}
