/**
 * Rules of the CLUSTERIP target in iptables' own language, for those who come from it:
 * `-A INPUT -d 10.0.0.1/32 -i eth0 -j CLUSTERIP --new --hashmode ... --hash-init ...`.
 *
 * What iptables and the kernel refused is refused here with its own sentence, and so is a rule
 * that matches less than all traffic of the address, which clusteripd does not do.
 */
import { ClusterIpError } from "../core/errors.ts";

/** The raw settings of a rule, as texts under the names of the option table. */
export type RuleSettings = Readonly<Record<string, string>>;

/** Target options that take a value, by the name of our option. */
const targetOptions = new Set(["hashmode", "clustermac", "total-nodes", "local-node", "hash-init"]);
const requiredTargetOptions = ["hashmode", "clustermac", "total-nodes", "local-node"] as const;

function refuse(why: string): never {
  throw new ClusterIpError("CLUSTERIP_BAD_RULE", why);
}

/** Splits as iptables-save quotes: words, or text in double quotes with backslash escapes. */
export function splitRule(text: string): readonly string[] {
  const words: string[] = [];
  const word = /\s*(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))/y;
  const rest = text.trim();
  while (word.lastIndex < rest.length) {
    const at = word.lastIndex;
    const match = word.exec(rest);
    if (match === null) refuse(`The rule has a quote that does not end: ${rest.slice(at)}`);
    words.push(match[1]?.replaceAll(/\\(.)/g, "$1") ?? match[2] ?? "");
  }
  return words;
}

/** Whether a line of iptables-save is a rule with the CLUSTERIP target. */
export function isClusterIpRule(line: string): boolean {
  return /\s(-j|--jump|-g)\s+CLUSTERIP(\s|$)/.test(line);
}

class RuleReader {
  readonly settings: Record<string, string> = {};
  #isNew = false;
  #target: string | undefined;
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  read(): RuleSettings {
    while (this.#at < this.#words.length) this.#readOption(this.#words[this.#at++] ?? "");
    this.#check();
    return this.settings;
  }

  #value(option: string): string {
    const value = this.#words[this.#at++];
    return value === undefined || value.startsWith("--") ? refuse(`${option} needs a value.`) : value;
  }

  #set(name: string, option: string, value: string): void {
    if (this.settings[name] !== undefined) refuse(`${option} is given twice.`);
    this.settings[name] = value;
  }

  #readOption(option: string): void {
    if (option === "!")
      refuse("A rule with '!' cannot be taken over: say which address and interface are served.");
    switch (option) {
      case "iptables":
        return;
      case "-t":
      case "--table":
        this.#expect(option, "filter", "clusteripd takes rules of the table filter, where the target lived");
        return;
      case "-A":
      case "-I":
      case "--append":
      case "--insert":
        this.#expect(option, "INPUT", "the target worked in the chain INPUT only");
        // -I INPUT 3: a rule number says nothing here
        if (/^\d+$/.test(this.#words[this.#at] ?? "")) this.#at += 1;
        return;
      case "-d":
      case "--dst":
      case "--destination":
        this.#set("vip", option, singleAddress(this.#value(option)));
        return;
      case "-i":
      case "--in-interface":
        this.#set("nic", option, interfaceName(this.#value(option)));
        return;
      case "-j":
      case "--jump":
        this.#target = this.#value(option);
        return;
      case "-m":
      case "--match":
        this.#expect(
          option,
          "comment",
          "clusteripd serves all traffic of the address, so a match cannot be kept",
        );
        return;
      case "--comment":
        this.#at += 1;
        return;
      case "--new":
        this.#isNew = true;
        return;
      default:
        this.#readTargetOption(option);
    }
  }

  #readTargetOption(option: string): void {
    // The counters that iptables-save -c puts first
    if (/^\[\d+:\d+\]$/.test(option)) return;
    const name = option.replace(/^--/, "");
    if (option.startsWith("--") && targetOptions.has(name)) {
      this.#set(name, option, this.#value(option));
      return;
    }
    refuse(
      `'${option}' cannot be taken over: clusteripd serves all traffic of the address on its interface, so a rule has -d, -i and the options of CLUSTERIP only.`,
    );
  }

  #expect(option: string, wanted: string, why: string): void {
    const value = this.#value(option);
    if (value !== wanted) refuse(`${option} ${value}: ${why}.`);
  }

  #check(): void {
    if (this.#target !== "CLUSTERIP") refuse("The rule has no '-j CLUSTERIP'.");
    if (!this.#isNew) {
      refuse("The rule has no --new: it only refers to settings that another rule makes; give that one.");
    }
    if (this.settings["vip"] === undefined)
      refuse("The rule has no -d ADDRESS/32: CLUSTERIP needs one destination address.");
    if (this.settings["nic"] === undefined) refuse("The rule has no -i INTERFACE: CLUSTERIP needs one.");
    const missing = requiredTargetOptions.filter((name) => this.settings[name] === undefined);
    if (missing.length > 0)
      refuse(`The rule has no ${missing.map((name) => `--${name}`).join(", ")}: --new needs it.`);
  }
}

function singleAddress(text: string): string {
  const [address = "", prefix = "32"] = text.split("/");
  if (prefix !== "32" && prefix !== "255.255.255.255") {
    refuse(`-d ${text} is a network: CLUSTERIP needs one destination address (/32).`);
  }
  if (address === "0.0.0.0") refuse("-d 0.0.0.0: CLUSTERIP needs one destination address.");
  return address;
}

function interfaceName(text: string): string {
  if (text.endsWith("+")) refuse(`-i ${text} is a pattern: CLUSTERIP needs one interface.`);
  return text;
}

/**
 * Reads one rule.
 *
 * @returns its settings as texts, to be checked like those of the command line
 * @throws CLUSTERIP_BAD_RULE
 */
export function parseIptablesRule(text: string): RuleSettings {
  return new RuleReader(splitRule(text)).read();
}
