/** The commands that ask the daemon: add, del, nodes, status, reload; and cleanup, which needs none. */
import { type Command, Option } from "commander";
import { ask } from "../api/client.ts";
import { fromStatusBody } from "../api/contract.ts";
import { ClusterIpError } from "../core/errors.ts";
import type { TryLockFile } from "../daemon/lock-file.ts";
import { formatBuckets } from "../model/bucket-set.ts";
import { inOurWords } from "../model/kernel-words.ts";
import { parseIptablesRule } from "../settings/iptables-rule.ts";
import { type OptionEntry, vipOption, virtualIpOptions } from "../settings/options.ts";
import { print, printJson } from "./program.ts";
import { addedText, deletedText, renderStatus, renderVirtualIp } from "./status-text.ts";

/** The control socket that the command line says; known only once it has been parsed. */
export type SocketOf = () => string;

export function addServeCommands(program: Command, socket: SocketOf): void {
  addAdd(program, socket);
  addDel(program, socket);
  addBuckets(program, socket);
  addStatus(program, socket);
  addReload(program, socket);
  addCleanup(program, socket);
}

function addAdd(program: Command, socket: SocketOf): void {
  const command = program
    .command("add")
    .description("serve a virtual IP on this host")
    .argument("[VIP]", vipOption.description);
  for (const entry of virtualIpOptions as readonly OptionEntry[]) {
    const note = entry.required
      ? " (required)"
      : entry.defaultText === undefined
        ? ""
        : ` (default: ${entry.defaultText})`;
    command.addOption(new Option(`--${entry.name} <${entry.argument}>`, entry.description + note));
  }
  command
    .option("--rule <RULE>", "all of it as a rule of iptables' CLUSTERIP target, instead of VIP and options")
    .action(async (vip: string | undefined) => {
      const { rule, ...given } = command.opts<Record<string, string | undefined>>();
      const settings = Object.fromEntries(
        virtualIpOptions
          .map(({ name }) => [name, given[camelCase(name)]] as const)
          .filter(([, value]) => value !== undefined),
      );
      if (rule === undefined) {
        requireAll(vip, settings);
        print(addedText(inOurWords(await ask(socket(), "add", undefined, { vip, ...settings }))));
        return;
      }
      if (vip !== undefined || Object.keys(settings).some((name) => name !== "engine")) {
        throw new ClusterIpError(
          "CLUSTERIP_USAGE",
          "--rule says it all: give no VIP and no option but --engine with it.",
        );
      }
      const all = { ...parseIptablesRule(rule), ...settings };
      print(addedText(inOurWords(await ask(socket(), "add", undefined, all))));
    });
}

function requireAll(vip: string | undefined, settings: Readonly<Record<string, unknown>>): void {
  const missing = virtualIpOptions
    .filter(({ name, required }) => required && settings[name] === undefined)
    .map(({ name, argument }) => `--${name} ${argument}`);
  if (vip === undefined) missing.unshift(vipOption.argument);
  if (missing.length > 0) {
    throw new ClusterIpError(
      "CLUSTERIP_USAGE",
      `add needs ${missing.join(", ")}. See 'clusterip add --help'.`,
    );
  }
}

function addDel(program: Command, socket: SocketOf): void {
  program
    .command("del")
    .description("stop serving a virtual IP and remove everything that was set up for it")
    .argument("<VIP>", vipOption.description)
    .action(async (vip: string) => {
      print(deletedText(await ask(socket(), "remove", vip)));
    });
}

function addBuckets(program: Command, socket: SocketOf): void {
  program
    .command("nodes")
    .description("print the local nodes (buckets) of a virtual IP, or add or remove one")
    .argument("<VIP>", vipOption.description)
    .argument("[CHANGE]", "+N to answer bucket N from now on, -N to leave it to another node")
    // -2 is a change here, not an option; a malformed one such as -0x2 is the daemon's to refuse.
    .allowUnknownOption()
    .action(async (vip: string, change: string | undefined) => {
      if (change !== undefined) {
        await ask(socket(), "changeBuckets", vip, { change });
        return;
      }
      const { ownBuckets } = inOurWords(await ask(socket(), "buckets", vip));
      print(`${formatBuckets(ownBuckets)}\n`);
    });
}

function addStatus(program: Command, socket: SocketOf): void {
  program
    .command("status")
    .description("show settings, local buckets, counters and warnings")
    .argument("[VIP]", "only this virtual IP")
    .option("--json", "print JSON")
    .action(async (vip: string | undefined, options: { readonly json?: boolean }) => {
      if (vip === undefined) {
        const status = await ask(socket(), "status");
        if (options.json === true) printJson(status);
        else print(renderStatus(fromStatusBody(status)));
        return;
      }
      const virtualIp = await ask(socket(), "virtualIp", vip);
      if (options.json === true) printJson(virtualIp);
      else print(`${renderVirtualIp(inOurWords(virtualIp))}\n`);
    });
}

function addReload(program: Command, socket: SocketOf): void {
  program
    .command("reload")
    .description("have the daemon read its configuration file again; a file with an error changes nothing")
    .action(async () => {
      await ask(socket(), "reload");
      print("reloaded\n");
    });
}

function addCleanup(program: Command, socket: SocketOf): void {
  program
    .command("cleanup")
    .description("remove whatever a dead daemon left on this host, and forget which buckets it had")
    .option("--keep-state", "do not forget the buckets: the next start of the daemon serves them again")
    .action(async (options: { readonly keepState?: boolean }) => {
      // Loaded here only: the other commands need no host plumbing and start faster without it.
      const { cleanup } = await import("../daemon/cleanup.ts");
      const { removeStaleSocket } = await import("../api/server.ts");
      const { whyLeaveAlone } = await import("../daemon/socket-directory.ts");
      const { removed: fromHost, failed } = await cleanup(socket(), options.keepState !== true);
      const removed = [...fromHost];
      const isOurs = whyLeaveAlone(socket()) === undefined;
      if (isOurs && (await removeStaleSocket(socket(), await lockCall()))) removed.push(`socket ${socket()}`);
      print(
        removed.length === 0 ? "nothing to remove\n" : removed.map((what) => `removed ${what}\n`).join(""),
      );
      if (failed.length > 0) {
        throw new ClusterIpError("CLUSTERIP_HOST", `Not everything could be removed: ${failed.join("; ")}.`);
      }
    });
}

/** undefined without the addon: a clean-up does without, a daemon cannot. */
async function lockCall(): Promise<TryLockFile | undefined> {
  const { loadNative } = await import("../native.ts");
  try {
    return loadNative().tryLockFile;
  } catch {
    return undefined;
  }
}

/** The name under which commander keeps `--total-nodes`. */
function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
