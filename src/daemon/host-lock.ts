/**
 * The lock of a host, which is a network namespace: a daemon holds it from before its first change until after its
 * last, and a clean-up as long as it takes. So nobody serves what another one serves or removes.
 *
 * It is the name of a TUN device that is never up and carries nothing. Of what there is, that alone is one for each
 * network namespace, wherever it is mounted or chrooted; asks for CAP_NET_ADMIN, so that no ordinary user can take it
 * first; and goes with its process, also by `kill -9`.
 */
import { close } from "node:fs";
import { promisify } from "node:util";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import type { Link } from "../host/ip.ts";
import type { NativeAddon } from "../native.ts";

export const LOCK_NAME = "clusterip-lock";

export type LockDevice = NativeAddon["lockDevice"];

export class HostLock {
  readonly #lockDevice: LockDevice;
  #descriptor: number;

  private constructor(lockDevice: LockDevice, descriptor: number) {
    this.#lockDevice = lockDevice;
    this.#descriptor = descriptor;
  }

  /** Resolves with undefined when another process holds it; rejects with CLUSTERIP_HOST when it cannot be taken. */
  static async take(lockDevice: LockDevice, name: string = LOCK_NAME): Promise<HostLock | undefined> {
    const descriptor = await tryTake(lockDevice, name);
    return descriptor === undefined ? undefined : new HostLock(lockDevice, descriptor);
  }

  /**
   * Takes it again after somebody has removed or renamed the device.
   *
   * @param links as they are now
   * @returns whether that was so
   */
  async keep(links: readonly Link[]): Promise<boolean> {
    if (links.some(({ name }) => name === LOCK_NAME)) return false;
    const descriptor = await tryTake(this.#lockDevice, LOCK_NAME);
    // Somebody else has it this moment, and finds our other device: the next look tries again.
    if (descriptor === undefined) return false;
    const lost = this.#descriptor;
    this.#descriptor = descriptor;
    await closeDescriptor(lost);
    return true;
  }

  release(): Promise<void> {
    return closeDescriptor(this.#descriptor);
  }
}

/** The kernel removes the device with it, which may take a moment. */
const closeDescriptor = promisify(close);

async function tryTake(lockDevice: LockDevice, name: string): Promise<number | undefined> {
  try {
    return await lockDevice(name);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EBUSY") return undefined;
    throw new ClusterIpError("CLUSTERIP_HOST", `The lock ${name} cannot be taken: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}
