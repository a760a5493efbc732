/** Failures of the addons as errors that can be shown. */
import { ClusterIpError, messageOf } from "../core/errors.ts";

/** The name of the errno (ENODEV, ...) of an addon's error; undefined for any other. */
export function errnoName(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

export function engineError(what: string, error: unknown): ClusterIpError {
  return new ClusterIpError("CLUSTERIP_ENGINE", `${what}: ${messageOf(error)}.`, { cause: error });
}

export function unknownVirtualIp(): ClusterIpError {
  return new ClusterIpError("CLUSTERIP_NOT_FOUND", "The engine has no such virtual IP.");
}

/** @param what half a sentence, for CLUSTERIP_ENGINE */
export async function guarded<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw engineError(what, error);
  }
}

/** As {@link guarded}, for what may have gone meanwhile: then it is undefined. */
export async function guardedIfThere<T>(what: string, act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch (error) {
    if (errnoName(error) === "ENOENT") return undefined;
    throw engineError(what, error);
  }
}
