/** Whether engine "bpf" can be had on this host: loads it to see, and says why not. */
import { isClusterIpError, messageOf } from "../core/errors.ts";
import { loadNativeBpf, type NativeBpf } from "../native.ts";
import { errnoName } from "./engine-error.ts";
import type { ProgramRemoval } from "./engine-set.ts";

/** `whyNot` is half a sentence. */
export type BpfSupport =
  | { readonly native: NativeBpf; readonly whyNot?: undefined }
  | { readonly native?: undefined; readonly whyNot: string };

/** Loads the programs and attaches them to the loopback interface for a moment. */
export async function findBpfSupport(): Promise<BpfSupport> {
  try {
    const native = loadNativeBpf();
    await native.addon.probe(native.objectPath);
    return { native };
  } catch (error) {
    return { whyNot: whyNot(error) };
  }
}

/**
 * Takes away what an engine "bpf" left on an interface. An earlier daemon may have had what this one lacks, the addon or
 * the privilege to look: then it is unknown whether there is something.
 */
export async function removePrograms(ifindex: number): Promise<ProgramRemoval> {
  try {
    const hasRemoved = await loadNativeBpf().addon.removePrograms(ifindex);
    return { outcome: hasRemoved ? "removed" : "none" };
  } catch (error) {
    if (isClusterIpError(error)) return { outcome: "unknown", why: error.message };
    if (errnoName(error) === "EPERM") {
      return { outcome: "unknown", why: `it takes CAP_SYS_ADMIN to look (${messageOf(error)})` };
    }
    throw error;
  }
}

function whyNot(error: unknown): string {
  if (isClusterIpError(error)) return error.message;
  const code = errnoName(error);
  const said = messageOf(error);
  if (code === "EPERM") return `it needs CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON and CAP_SYS_ADMIN (${said})`;
  if (code === "EACCES" || code === "EINVAL" || code === "ENOSYS") {
    return `this kernel does not take its programs; it needs Linux 5.10 or later (${said})`;
  }
  return said;
}
