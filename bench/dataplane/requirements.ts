/** What the benchmark needs of the machine: one sentence for everything that is missing. */
import { existsSync } from "node:fs";
import { missingForNet } from "../../test/support/lab/capabilities.ts";

/** A command or a header, and the Debian package that brings it. */
const needs = [
  ["wrk", "wrk"],
  ["haproxy", "haproxy"],
  ["iperf3", "iperf3"],
  ["ping", "iputils-ping"],
  ["ss", "iproute2"],
  ["iptables-restore", "iptables"],
  ["cc", "gcc"],
  ["clang", "clang"],
  ["/usr/include/bpf/libbpf.h", "libbpf-dev"],
  ["/usr/include/linux/bpf.h", "linux-libc-dev"],
] as const;

/** Why the benchmark cannot run here, or undefined. */
export function missingForBench(): string | undefined {
  const machine = missingForNet();
  if (machine !== undefined) return `this benchmark ${machine}`;
  const packages = needs.flatMap(([what, name]) => (isThere(what) ? [] : [name]));
  if (packages.length === 0) return undefined;
  return `missing tools: apt-get install --no-install-recommends ${packages.join(" ")}`;
}

function isThere(what: string): boolean {
  if (what.startsWith("/")) return existsSync(what);
  const directories = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`.split(":");
  return directories.some((directory) => existsSync(`${directory}/${what}`));
}
