/** The settings of a virtual IP as they come from outside, checked and given types. */
import { z } from "zod";
import { type HashMode, hashModes } from "../core/bucket.ts";
import { ClusterIpError, type ErrorCode, isClusterIpError } from "../core/errors.ts";
import { netmaskOf, tryParseIpv4, whyNotVirtualIp } from "../core/ipv4.ts";
import { type Address, ipv4Host, parseIpv4Address } from "../model/address.ts";
import { type BucketSet, MAX_BUCKETS, toBucketSet } from "../model/bucket-set.ts";
import { settingNames as names } from "../model/kernel-words.ts";
import { type Mac, toClusterMac } from "../model/mac.ts";
import type { EngineChoice, VirtualIp } from "../model/virtual-ip.ts";
import { checkNicName, shown } from "./nic-name.ts";
import { engineChoices, vipOption, virtualIpOptions } from "./options.ts";

/** One thing that is wrong with the input, and where. */
export interface SettingsIssue {
  readonly code: ErrorCode;
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** A schema from a function that throws ClusterIpError. */
function field<T>(name: string, read: (raw: unknown) => T) {
  return z.unknown().transform((raw, context): T => {
    try {
      if (raw === undefined || raw === null) {
        const option = [vipOption, ...virtualIpOptions].find((entry) => entry.name === name);
        throw new ClusterIpError(
          "CLUSTERIP_BAD_REQUEST",
          `'${name}' is missing${option === undefined ? "" : `: ${option.description}`}.`,
        );
      }
      return read(raw);
    } catch (error) {
      if (!isClusterIpError(error)) throw error;
      context.addIssue({ code: "custom", message: error.message, params: { code: error.code } });
      return z.NEVER;
    }
  });
}

function optionalField<T>(name: string, fallback: T, read: (raw: unknown) => T) {
  return z
    .preprocess((raw) => raw ?? undefined, field(name, read).optional())
    .transform((value) => value ?? fallback);
}

function readText(name: string, raw: unknown): string {
  if (typeof raw === "string") return raw;
  throw new ClusterIpError("CLUSTERIP_BAD_REQUEST", `'${name}' must be a text, not ${describe(raw)}.`);
}

/** A decimal or 0x number, as a number or as text; undefined for anything else. */
function readInteger(raw: unknown): number | undefined {
  if (typeof raw === "number") return Number.isSafeInteger(raw) ? raw : undefined;
  if (typeof raw === "string" && /^(\d{1,10}|0x[0-9a-f]{1,8})$/i.test(raw)) return Number(raw);
  return undefined;
}

function describe(raw: unknown): string {
  return typeof raw === "object" ? "a list or mapping" : `'${shown(String(raw))}'`;
}

function readAddress(raw: unknown): Address {
  const address = parseIpv4Address(readText("vip", raw));
  const why = whyNotVirtualIp(ipv4Host(address));
  if (why !== undefined) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_ADDRESS",
      `${address} cannot be a virtual IP: ${why}. Use a unicast address of the cluster's network.`,
    );
  }
  return address;
}

function readBucketCount(raw: unknown): number {
  const total = readInteger(raw);
  if (total !== undefined && total >= 1 && total <= MAX_BUCKETS) return total;
  throw new ClusterIpError(
    "CLUSTERIP_BAD_TOTAL_NODES",
    `total-nodes is ${describe(raw)}: expected a number from 1 to ${MAX_BUCKETS}.`,
  );
}

function readLocalBuckets(raw: unknown): BucketSet {
  const items: readonly unknown[] = Array.isArray(raw)
    ? raw
    : typeof raw === "string"
      ? raw.split(",")
      : [raw];
  const buckets = items.map((item) => {
    const bucket = readInteger(typeof item === "string" ? item.trim() : item);
    if (bucket !== undefined && bucket >= 1 && bucket <= MAX_BUCKETS) return bucket;
    throw new ClusterIpError(
      "CLUSTERIP_BAD_LOCAL_NODE",
      `local-node has ${describe(item)}: expected bucket numbers from 1 to total-nodes, such as 1,3.`,
    );
  });
  return toBucketSet(buckets);
}

export function parseHashMode(text: string): HashMode {
  const mode = hashModes.find((known) => known === text);
  if (mode !== undefined) return mode;
  throw new ClusterIpError(
    "CLUSTERIP_BAD_HASH_MODE",
    `'${shown(text)}' is not a hash mode: expected ${hashModes.join(", ")}.`,
  );
}

function readHashInit(raw: unknown): number {
  const seed = readInteger(raw);
  if (seed !== undefined && seed >= 0 && seed <= 0xffffffff) return seed;
  throw new ClusterIpError(
    "CLUSTERIP_BAD_HASH_INIT",
    `hash-init is ${describe(raw)}: expected a number from 0 to 4294967295, decimal or with 0x.`,
  );
}

/** As IPaddr2 takes it: a number, or a netmask as a dotted quad. */
function readPrefixLength(raw: unknown): number {
  const mask = typeof raw === "string" ? tryParseIpv4(raw) : undefined;
  const lengths = Array.from({ length: 32 }, (_, index) => index + 1);
  const length = lengths.find((known) => known === readInteger(raw) || netmaskOf(known) === mask);
  if (length !== undefined) return length;
  throw new ClusterIpError(
    "CLUSTERIP_BAD_NETMASK",
    `cidr-netmask is ${describe(raw)}: expected the prefix length of the network, 1 to 32, such as 24.`,
  );
}

function readEngine(raw: unknown): EngineChoice {
  const text = readText("engine", raw);
  const engine = engineChoices.find((known) => known === text);
  if (engine !== undefined) return engine;
  throw new ClusterIpError(
    "CLUSTERIP_BAD_ENGINE",
    `'${shown(text)}' is not an engine: expected ${engineChoices.join(", ")}.`,
  );
}

/** The schema of one virtual IP; its keys are the names of the option table. */
export const virtualIpSchema = z
  .strictObject({
    vip: field("vip", readAddress),
    nic: field("nic", (raw) => checkNicName(readText("nic", raw))),
    [names.bucketCount]: field(names.bucketCount, readBucketCount),
    [names.localBuckets]: field(names.localBuckets, readLocalBuckets),
    hashmode: optionalField<HashMode>("hashmode", "sourceip-sourceport", (raw) =>
      parseHashMode(readText("hashmode", raw)),
    ),
    clustermac: optionalField<Mac | undefined>("clustermac", undefined, (raw) =>
      toClusterMac(readText("clustermac", raw)),
    ),
    "hash-init": optionalField("hash-init", 0, readHashInit),
    "cidr-netmask": optionalField<number | undefined>("cidr-netmask", undefined, readPrefixLength),
    engine: optionalField<EngineChoice>("engine", "auto", readEngine),
  } satisfies Record<"vip" | (typeof virtualIpOptions)[number]["name"], z.ZodType>)
  .transform((raw, context): VirtualIp => {
    const outside = raw[names.localBuckets].find((bucket) => bucket > raw[names.bucketCount]);
    if (outside !== undefined) {
      context.addIssue({
        code: "custom",
        path: [names.localBuckets],
        message: `${names.localBuckets} has ${outside}, but ${names.bucketCount} is ${raw[names.bucketCount]}: expected 1 to ${raw[names.bucketCount]}.`,
        params: { code: "CLUSTERIP_BAD_LOCAL_NODE" },
      });
    }
    return {
      address: raw.vip,
      nic: raw.nic,
      bucketCount: raw[names.bucketCount],
      localBuckets: raw[names.localBuckets],
      clusterMac: raw.clustermac,
      hash: { family: "jhash", words: raw.hashmode, seed: raw["hash-init"] },
      prefixLength: raw["cidr-netmask"],
      engine: raw.engine,
    };
  });

/** Our form of what zod found. */
export function toSettingsIssues(error: z.ZodError): readonly SettingsIssue[] {
  return error.issues.map((issue) => {
    const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
    if (issue.code === "custom") {
      const code: unknown = issue.params?.["code"];
      return { code: (code ?? "CLUSTERIP_BAD_REQUEST") as ErrorCode, path, message: issue.message };
    }
    if (issue.code === "unrecognized_keys") {
      const [key = ""] = issue.keys;
      return {
        code: "CLUSTERIP_BAD_REQUEST",
        path: [...path, key],
        message: `'${shown(key)}' is not a setting.`,
      };
    }
    const what = path.length === 0 ? "The input" : `'${path.join(".")}'`;
    return { code: "CLUSTERIP_BAD_REQUEST", path, message: `${what} is wrong: ${issue.message}.` };
  });
}

/** Checks the settings of one virtual IP; throws a ClusterIpError for the first thing wrong. */
export function parseVirtualIp(raw: unknown): VirtualIp {
  const result = virtualIpSchema.safeParse(raw);
  if (result.success) return result.data;
  const [first] = toSettingsIssues(result.error);
  throw new ClusterIpError(
    first?.code ?? "CLUSTERIP_BAD_REQUEST",
    first?.message ?? "The settings are wrong.",
  );
}
