/**
 * The kernel target called a bucket a node. Inside this program a *bucket* is a bucket and a *node* is a machine; its
 * words remain where users see them: in the settings, in the JSON of the API and of the command line, in the log and in
 * the library. They are translated here and nowhere else.
 */

import type { HashSettings } from "../core/bucket.ts";
import type { ClassifyTarget } from "../core/classify.ts";

/** Fields of JSON, by our word. */
const fields = {
  bucketCount: "totalNodes",
  localBuckets: "localNodes",
  /** one bucket, as a request or a line of the log names it */
  ownBucket: "node",
  ownBuckets: "nodes",
} as const;
type Fields = typeof fields;
type OurField = keyof Fields;
type KernelField = Fields[OurField];
type OurFieldOf<K extends KernelField> = { [F in OurField]: Fields[F] extends K ? F : never }[OurField];

export type InKernelWords<T> = { [K in keyof T as K extends OurField ? Fields[K] : K]: T[K] };
export type InOurWords<T> = { [K in keyof T as K extends KernelField ? OurFieldOf<K> : K]: T[K] };

const toKernel: ReadonlyMap<string, string> = new Map(Object.entries(fields));
const toOurs: ReadonlyMap<string, string> = new Map([...toKernel].map(([our, kernel]) => [kernel, our]));

/** The same object with the field names that users know, in the same order; what is inside its fields stays as it is. */
export function inKernelWords<T extends object>(value: T): InKernelWords<T> {
  return renamed(value, toKernel) as InKernelWords<T>;
}

/** What {@link inKernelWords} made, or a user gave, with our names. */
export function inOurWords<T extends object>(value: T): InOurWords<T> {
  return renamed(value, toOurs) as InOurWords<T>;
}

function renamed(value: object, names: ReadonlyMap<string, string>): object {
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [names.get(name) ?? name, field]));
}

/** {@link inOurWords} for calls that are made for each flow: without a list of fields. */
export function hashInOurWords(settings: InKernelWords<HashSettings>): HashSettings {
  const { hashMode, totalNodes, hashInit } = settings;
  return { hashMode, bucketCount: totalNodes, hashInit };
}

/** {@link inOurWords} for calls that are made for each frame. */
export function targetInOurWords(target: InKernelWords<ClassifyTarget>): ClassifyTarget {
  const { address, localNodes, hashMode, totalNodes, hashInit } = target;
  return { address, localBuckets: localNodes, hashMode, bucketCount: totalNodes, hashInit };
}

/** Settings as files, requests and command lines name them, by our word. */
export const settingNames = {
  address: "vip",
  nic: "nic",
  bucketCount: "total-nodes",
  localBuckets: "local-node",
  hashMode: "hashmode",
  clusterMac: "clustermac",
  hashInit: "hash-init",
  prefixLength: "cidr-netmask",
  engine: "engine",
} as const;
export type OurSetting = keyof typeof settingNames;

/** Settings under their names in files and requests, in the same order, without what is undefined. */
export function toSettings(given: Readonly<Partial<Record<OurSetting, unknown>>>): Record<string, unknown> {
  const named = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(named.map(([name, value]) => [settingNames[name as OurSetting], value]));
}

/** In the paths of the API: the buckets of a virtual IP, and before a number one of them. */
export const BUCKETS_PATH = "nodes";
