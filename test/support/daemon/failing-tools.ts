/** Tools of the host that fail, or do something else first, when a test says so. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Host } from "../lab/host.ts";
import type { Lab } from "../lab/lab.ts";
import { untilSteady } from "../wait.ts";

/**
 * How a call fails: without having done anything, after the first line of its input, or having
 * done everything.
 */
export const failureModes = ["before", "half", "after"] as const;
export type FailureMode = (typeof failureModes)[number];

/** Whether a call that fails in this way leaves something else behind than one that has done nothing. */
export function isAnotherFailure(mode: FailureMode, call: string): boolean {
  if (mode === "half") return call.endsWith(" -batch -");
  return mode === "before" || !/ (-j|-json|list|show)( |$)/.test(call);
}

/** `ip` and `nft` that can be told to fail at their n-th call (counted together); otherwise the real ones. */
export class FailingTools {
  readonly directory: string;

  constructor(lab: Lab, host: Host) {
    this.directory = path.join(lab.directoryOf(host), "tools");
    mkdirSync(this.directory, { recursive: true });
    for (const tool of ["ip", "nft"]) {
      const file = path.join(this.directory, tool);
      writeFileSync(file, wrapper(tool, this.directory));
      chmodSync(file, 0o755);
    }
  }

  get env(): { PATH: string } {
    return { PATH: `${this.directory}:${process.env["PATH"] ?? ""}` };
  }

  /** From now on the n-th call fails, and with `isLasting` all after it too. */
  arm(atCall: number, mode: FailureMode, isLasting = false): void {
    writeFileSync(path.join(this.directory, "count"), "0\n");
    writeFileSync(path.join(this.directory, "mode"), `${mode}\n`);
    writeFileSync(path.join(this.directory, "lasting"), `${isLasting ? 1 : 0}\n`);
    writeFileSync(path.join(this.directory, "fail-at"), `${atCall}\n`);
  }

  /** @returns the last call that has failed since `arm`, if one has */
  disarm(): string | undefined {
    rmSync(path.join(this.directory, "fail-at"), { force: true });
    const failed = path.join(this.directory, "failed");
    const call = existsSync(failed) ? readFileSync(failed, "utf8").trim() : undefined;
    rmSync(failed, { force: true });
    return call;
  }

  /** Waits until no tool has been called for a while: what the daemon does by itself is over. */
  async quiet(): Promise<void> {
    await untilSteady(() => this.#calls(), 1, 100);
  }

  #calls(): number {
    const log = path.join(this.directory, "log");
    return existsSync(log) ? readFileSync(log, "utf8").length : 0;
  }
}

function wrapper(tool: string, directory: string): string {
  const real = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
    .map((bin) => `${bin}/${tool}`)
    .find((file) => existsSync(file));
  return `#!/bin/sh
real=${real} dir=${directory}
# Neither events nor what others claim is part of a change.
case " $* " in *" monitor "*|*" list set "*) exec $real "$@" ;; esac
exec 9>>$dir/lock
flock 9
echo . >>$dir/log
mode=none
if [ -e $dir/fail-at ]; then
  count=$(($(cat $dir/count) + 1))
  echo $count >$dir/count
  at=$(cat $dir/fail-at)
  if [ $count -eq $at ] || { [ "$(cat $dir/lasting)" = 1 ] && [ $count -gt $at ]; }; then
    mode=$(cat $dir/mode)
    echo "${tool} $*" >$dir/failed
  fi
fi
exec 9>&-
case "$mode $*" in
  "none "*) exec $real "$@" ;;
  "half -batch -") head -n 1 | $real "$@" >/dev/null ;;
  "after "*) $real "$@" >/dev/null ;;
esac
echo "${tool} is made to fail" >&2
exit 1
`;
}

/** An environment in which `nft` (or other tools) does something else first: a line of shell, with its arguments. */
export async function envWithNft(
  lab: Lab,
  host: Host,
  first: string,
  tools: readonly string[] = ["nft"],
): Promise<Record<string, string>> {
  const directory = mkdtempSync(path.join(lab.directoryOf(host), "nft-"));
  for (const tool of tools) {
    const real = (await host.exec(["sh", "-c", `command -v ${tool}`])).trim();
    const script = `#!/bin/sh\n${first}\nexec ${real} "$@"\n`;
    writeFileSync(path.join(directory, tool), script, { mode: 0o755 });
  }
  return { PATH: `${directory}:${process.env["PATH"] ?? ""}` };
}
