/**
 * What a request for one bucket means, which is how the resource agent asks: take it, release it, is it answered here?
 * Each can be asked again and changes nothing then. Taking and releasing run as transactions of the daemon.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { ClusterIpError } from "../core/errors.ts";
import type { Link } from "../host/ip.ts";
import type { Address } from "../model/address.ts";
import { type BucketSet, releaseBucket, takeBucket } from "../model/bucket-set.ts";
import { inKernelWords } from "../model/kernel-words.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import { requireRoom } from "../settings/limits.ts";
import { type AskedVirtualIp, isWaiting } from "./asked.ts";
import { describeBreakage, type Health } from "./health.ts";
import type { RequestParts } from "./requests.ts";
import { requireSame, requireSameBucket } from "./require-same.ts";
import { resolveVirtualIp } from "./resolve.ts";
import type { Serving } from "./serving.ts";

/** For a link that comes back after it was set up. */
const LINK_RETURN_MS = 5000;
const LINK_INTERVAL_MS = 200;

export interface TakeOptions {
  /** false: only if the virtual IP is served already */
  readonly create: boolean;
  /** CLUSTERIP_BROKEN, and the bucket is given up again, when frames to it are not answered here */
  readonly check: boolean;
}

export interface BucketRequestParts extends RequestParts {
  readonly serving: Serving;
  readonly health: Health;
  /** runs a transaction behind the one at hand */
  readonly background: (task: () => Promise<void>) => void;
}

export class BucketRequests {
  readonly #parts: BucketRequestParts;

  constructor(parts: BucketRequestParts) {
    this.#parts = parts;
  }

  /**
   * Makes a bucket this node's, and serves its virtual IP if need be. Asked again it changes nothing,
   * so that a resource agent need not know what came before; other settings are refused.
   */
  async take(settings: VirtualIp, bucket: number, { create, check }: TakeOptions): Promise<BucketSet> {
    const { ownership, log } = this.#parts;
    const { address, nic } = settings;
    const served = ownership.served.get(address);
    const waits = ownership.waiting.get(address);
    if (waits !== undefined) {
      // Its bucket would not be answered here. The next look may find that it can be by now.
      throw new ClusterIpError(waits.why.code, `${address} waits: ${waits.why.message}`, {
        cause: waits.why,
      });
    }
    const links = await this.#take(settings, bucket, { create, check });
    if (check) await this.#requireAnswered(address, bucket, links);
    const { localBuckets } = ownership.requireServed(address);
    if (served === undefined) {
      log.info(inKernelWords({ vip: address, nic, ownBucket: bucket }), "added with the first bucket");
    } else if (!served.localBuckets.includes(bucket)) {
      log.info(inKernelWords({ vip: address, ownBucket: bucket, localBuckets }), "bucket taken");
    }
    return localBuckets;
  }

  /** The links as they were before the virtual IP was set up; none where it was served already. */
  async #take(settings: VirtualIp, bucket: number, { create, check }: TakeOptions): Promise<readonly Link[]> {
    const { ownership, changes, links, engines } = this.#parts;
    const { address } = settings;
    const served = ownership.served.get(address);
    if (served !== undefined) {
      requireSame(served, { ...settings, nic: links.ownNameOf(settings.nic) });
      if (!served.localBuckets.includes(bucket)) {
        await changes.setBuckets(address, takeBucket(served.localBuckets, bucket));
      }
      return [];
    }
    if (!create) ownership.requireServed(address); // refuses
    requireRoom(ownership.served.size);
    const known = await links.look();
    const added = await resolveVirtualIp(settings, "request", known, engines);
    const link = known.find(({ name }) => name === added.settings.nic);
    // Not set up in vain: the agent may have to ask again until the cable is in.
    if (check && link !== undefined && !(link.isUp && link.hasCarrier)) {
      throw new ClusterIpError("CLUSTERIP_BROKEN", `The interface ${link.name} is down or has no carrier.`);
    }
    await changes.add(added);
    return known;
  }

  /** Gives the bucket up again where it is not answered: the next owner can. */
  async #requireAnswered(address: Address, bucket: number, before: readonly Link[]): Promise<void> {
    const { ownership, serving, health } = this.#parts;
    const { nic } = ownership.requireServed(address).settings;
    // Some drivers take the link down for a moment when a program is attached.
    const hadCarrier = before.find(({ name }) => name === nic)?.hasCarrier === true;
    const deadline = performance.now() + (hadCarrier ? LINK_RETURN_MS : 0);
    // With the first bucket the virtual IP has just come: nobody has looked yet whether it can be reached.
    if (before.length > 0) await serving.lookAtReach();
    for (;;) {
      const why = await health.whyBroken(ownership.requireServed(address));
      if (why === undefined) return;
      if (performance.now() >= deadline) {
        await this.#release(ownership.requireServed(address), bucket);
        throw new ClusterIpError(
          "CLUSTERIP_BROKEN",
          `${describeBreakage(why)} Bucket ${bucket} is not taken.`,
        );
      }
      await sleep(LINK_INTERVAL_MS);
      await serving.repair();
    }
  }

  /**
   * Gives a bucket up; with the last one goes a virtual IP that came by request. It resolves as soon
   * as the bucket is not answered here any more, because its next owner waits for that; what remains
   * is removed behind it.
   *
   * @param wanted CLUSTERIP_NOT_FOUND, and nothing is given up, when the virtual IP is served with other settings
   */
  async release(address: Address, bucket: number, wanted?: VirtualIp): Promise<BucketSet> {
    const served = this.#parts.ownership.find(address);
    if (served === undefined) return [];
    requireSameBucket(served, this.#byOwnName(wanted));
    return served.localBuckets.includes(bucket) ? this.#release(served, bucket) : served.localBuckets;
  }

  async #release(served: AskedVirtualIp, bucket: number): Promise<BucketSet> {
    const { changes, log } = this.#parts;
    const { address } = served.settings;
    const localBuckets = releaseBucket(served.localBuckets, bucket);
    await changes.setBuckets(address, localBuckets);
    log.info(inKernelWords({ vip: address, ownBucket: bucket, localBuckets }), "bucket released");
    if (localBuckets.length === 0 && served.origin === "request") this.#removeEmpty(address);
    return localBuckets;
  }

  #removeEmpty(address: Address): void {
    const { ownership, changes, background } = this.#parts;
    background(async () => {
      // A bucket may have come back in the meantime.
      if (ownership.find(address)?.localBuckets.length === 0) await changes.remove(address);
    });
  }

  /**
   * Resolves when the bucket is answered here: CLUSTERIP_NOT_FOUND when it is not this node's,
   * CLUSTERIP_BROKEN. Never during a change, but it waits for nothing else: a monitor must not time
   * out because a repair takes long.
   *
   * @param wanted with other settings than those served the bucket is not this one
   */
  async check(address: Address, bucket: number, wanted?: VirtualIp): Promise<void> {
    const { ownership, serving, health } = this.#parts;
    await serving.settled();
    const served = ownership.require(address);
    if (!served.localBuckets.includes(bucket)) {
      throw new ClusterIpError("CLUSTERIP_NOT_FOUND", `Bucket ${bucket} is not this node's.`);
    }
    requireSameBucket(served, this.#byOwnName(wanted));
    if (isWaiting(served)) {
      throw new ClusterIpError("CLUSTERIP_BROKEN", served.why.message, { cause: served.why });
    }
    const { told } = ownership;
    const why = await health.whyBroken(served);
    if (why === undefined) return;
    // The steps of a change that has come in between are no fault.
    if (serving.isChanging || ownership.told !== told) return this.check(address, bucket, wanted);
    throw new ClusterIpError("CLUSTERIP_BROKEN", describeBreakage(why));
  }

  /** By an alternative name the same interface is meant as by its own. */
  #byOwnName(wanted: VirtualIp | undefined): VirtualIp | undefined {
    return wanted && { ...wanted, nic: this.#parts.links.ownNameOf(wanted.nic) };
  }
}
