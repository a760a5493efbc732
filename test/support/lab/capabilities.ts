/** What network tests need from the machine, and a sentence for what is missing. */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, constants, existsSync, openSync } from "node:fs";

/** Tools that every lab uses. */
const LAB_TOOLS = ["ip", "setpriv", "tcpdump"];
/** What the daemon itself uses. */
const DAEMON_TOOLS = ["nft"];

let machine: string | undefined | null = null;

/** Why network tests cannot run here, or undefined when they can. */
export function missingForNet(tools: readonly string[] = []): string | undefined {
  if (machine === null) machine = missingOnMachine();
  if (machine !== undefined) return machine;
  const missing = tools.filter((tool) => !hasTool(tool));
  return missing.length === 0 ? undefined : `needs ${missing.join(", ")}`;
}

function missingOnMachine(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  const tools = [...LAB_TOOLS, ...DAEMON_TOOLS].filter((tool) => !hasTool(tool));
  if (tools.length > 0) return `needs ${tools.join(", ")}`;
  return missingNamespaces() ?? missingTun();
}

function missingNamespaces(): string | undefined {
  const name = `clab-${process.pid}-probe`;
  try {
    execFileSync("ip", ["netns", "add", name], { stdio: "pipe" });
    execFileSync(
      "ip",
      ["-n", name, "link", "add", "name", "probe0", "type", "veth", "peer", "name", "probe1"],
      {
        stdio: "pipe",
      },
    );
    execFileSync("ip", ["-n", name, "link", "add", "br0", "type", "bridge"], { stdio: "pipe" });
    execFileSync("ip", ["netns", "exec", name, "nft", "list", "ruleset"], { stdio: "pipe" });
    return undefined;
  } catch (error) {
    const { stderr } = error as { stderr?: Buffer };
    return `needs network namespaces with veth, bridge and nftables (${stderr?.toString().trim() || error})`;
  } finally {
    spawnSync("ip", ["netns", "del", name]);
  }
}

function missingTun(): string | undefined {
  try {
    closeSync(openSync("/dev/net/tun", constants.O_RDWR));
    return undefined;
  } catch {
    return "needs /dev/net/tun";
  }
}

function hasTool(name: string): boolean {
  const directories = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`.split(":");
  return directories.some((directory) => existsSync(`${directory}/${name}`));
}
