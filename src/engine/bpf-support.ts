/** Whether engine "bpf" can be had on this host: loads it to see, and says why not. */
import { isClusterIpError, messageOf } from "../core/errors.ts";
import { loadNativeBpf, type NativeBpf } from "../native.ts";

export interface BpfSupport {
  readonly native: NativeBpf | undefined;
  /** half a sentence; undefined when the engine is available */
  readonly whyNot: string | undefined;
}

/** Loads the programs and attaches them to the loopback interface for a moment. */
export function findBpfSupport(): BpfSupport {
  try {
    const native = loadNativeBpf();
    native.addon.probe(native.objectPath);
    return { native, whyNot: undefined };
  } catch (error) {
    return { native: undefined, whyNot: whyNot(error) };
  }
}

/**
 * Takes away what an engine "bpf" left on an interface; tells whether there was something. An
 * earlier daemon may have had what this one lacks, the addon or the privilege to look: then it
 * says in half a sentence why it cannot tell.
 */
export function removePrograms(ifindex: number): boolean | string {
  try {
    return loadNativeBpf().addon.removePrograms(ifindex);
  } catch (error) {
    if (isClusterIpError(error)) return error.message;
    if (error instanceof Error && "code" in error && error.code === "EPERM") {
      return `it takes CAP_SYS_ADMIN to look (${error.message})`;
    }
    throw error;
  }
}

function whyNot(error: unknown): string {
  if (isClusterIpError(error)) return error.message;
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  const said = messageOf(error);
  if (code === "EPERM") return `it needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN (${said})`;
  if (code === "EACCES" || code === "EINVAL" || code === "ENOSYS") {
    return `this kernel does not take its programs; it needs Linux 5.10 or later (${said})`;
  }
  return said;
}
