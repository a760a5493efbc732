/** The machine and the versions that the figures belong to. */
import { spawnSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";
import type { Report } from "../lib/results.ts";

const versionCommands: Readonly<Record<string, readonly string[]>> = {
  nft: ["nft", "--version"],
  iptables: ["iptables", "--version"],
  haproxy: ["haproxy", "-v"],
  wrk: ["wrk", "-v"],
  iperf3: ["iperf3", "--version"],
  iproute2: ["ip", "-V"],
  clang: ["clang", "--version"],
};

/** What is not installed has no version. */
export function describeMachine(): Report["machine"] {
  const versions = Object.entries(versionCommands).flatMap(([tool, argv]) => {
    const version = versionOf(argv);
    return version === undefined ? [] : [[tool, version]];
  });
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cpus: cpus().length,
    memoryMb: Math.round(totalmem() / 1e6),
    kernel: release(),
    versions: { node: process.version, ...Object.fromEntries(versions) },
  };
}

/** The first number with a dot in what the tool says, wherever it says it. */
function versionOf([file = "", ...args]: readonly string[]): string | undefined {
  const { stdout, stderr } = spawnSync(file, args, { encoding: "utf8" });
  return /\d+\.[\w.+-]+/.exec(`${stdout ?? ""}${stderr ?? ""}`)?.[0];
}
