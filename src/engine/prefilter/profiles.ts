/**
 * What the filter has to know of a virtual IP once its address is found. Virtual IPs with equal
 * settings share one profile, profiles with equal buckets share their ranges, and all profiles of
 * a hash mode share its code: a hundred virtual IPs need little more than their addresses.
 */
import { hashModes } from "../../core/bucket.ts";
import type { EngineVirtualIp } from "../../model/virtual-ip.ts";
import { initialWord } from "./hash-code.ts";
import { localBoundaries } from "./hash-ranges.ts";

export interface Profile {
  /** port words that enter the hash; undefined where all buckets are foreign: no hash is needed */
  readonly ports: number | undefined;
  /** what the seed makes of an absent word; 0 where there is no hash */
  readonly initial: number;
  /** where the verdict changes along all hashes; see `localBoundaries` */
  readonly boundaries: readonly number[];
}

/** A virtual IP of which no frame is dropped has none. */
export function profileOf(virtualIp: EngineVirtualIp): Profile | undefined {
  const { hash, localBuckets, bucketCount } = virtualIp;
  const boundaries = localBoundaries(localBuckets, bucketCount);
  const isAllLocal = boundaries.length === 1 && boundaries[0] === 0;
  if (isAllLocal) return undefined;
  if (boundaries.length === 0) return { ports: undefined, initial: 0, boundaries };
  const ports = hashModes.indexOf(hash.words);
  return { ports, initial: initialWord(hash.seed, ports + 1), boundaries };
}

export function boundariesKey({ boundaries }: Profile): string {
  return boundaries.join(",");
}

export function profileKey(profile: Profile): string {
  return `${profile.ports ?? -1}/${boundariesKey(profile)}/${profile.initial}`;
}

/** Distinct profiles, those of a mode in a row and in it those with the same boundaries. */
export function distinctProfiles(profiles: Iterable<Profile>): readonly Profile[] {
  const byKey = new Map([...profiles].map((profile) => [profileKey(profile), profile]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, profile]) => profile);
}

export interface Run<T> {
  /** index of its first profile */
  readonly first: number;
  readonly key: string;
  readonly profiles: readonly T[];
}

/** Cuts the list where the key changes. */
export function runsOf<T>(items: readonly T[], keyOf: (item: T) => string): readonly Run<T>[] {
  const runs: (Run<T> & { profiles: T[] })[] = [];
  for (const [index, item] of items.entries()) {
    const key = keyOf(item);
    const last = runs.at(-1);
    if (last?.key === key) last.profiles.push(item);
    else runs.push({ first: index, key, profiles: [item] });
  }
  return runs;
}
