/** Who computes buckets: each fills the same array from the same flows, so that all can be compared. */
import {
  bucketOf,
  bucketOfHash,
  type HashMode,
  hashModes,
  portWireLittleEndian,
} from "../../src/core/bucket.ts";
import { jhash1word, jhash2words, jhash3words } from "../../src/core/jhash.ts";
import type { NativeTrial } from "../../test/support/verdict/native-trial.ts";
import type { Flows } from "./flows.ts";

export interface Contender {
  readonly name: string;
  readonly title: string;
  /** computes the buckets of all flows */
  readonly run: () => void;
}

export interface HashJob {
  readonly mode: HashMode;
  readonly bucketCount: number;
  readonly hashInit: number;
  readonly flows: Flows;
  readonly buckets: Uint8Array;
}

const TCP = 6;

export function hashContenders(native: NativeTrial, job: HashJob): readonly Contender[] {
  const { bucketCount, hashInit, flows, buckets } = job;
  const mode = hashModes.indexOf(job.mode);
  const { saddr, sport, dport } = flows;
  const batch = (path?: number) => (): void =>
    native.bucketsOf(mode, bucketCount, hashInit, saddr, sport, dport, buckets, path);
  const paths = native
    .batchPaths()
    .flatMap((name, path) =>
      name === undefined || name === "scalar"
        ? []
        : [{ name: `batch-${name}`, title: `native batch, ${name} path`, run: batch(path) }],
    );
  return [
    { name: "scalar-c", title: "scalar C loop", run: batch(0) },
    { name: "typescript", title: "TypeScript loop over the same arrays", run: typescriptLoop(job) },
    {
      name: "typescript-flow",
      title: "TypeScript, bucketOf() of a flow object each",
      run: typescriptFlows(job),
    },
    {
      name: "native-call",
      title: "native, one call each",
      run: () => {
        for (let i = 0; i < buckets.length; i += 1) {
          buckets[i] = native.bucketOf(
            mode,
            bucketCount,
            hashInit,
            TCP,
            saddr[i] ?? 0,
            sport[i] ?? 0,
            dport[i] ?? 0,
          );
        }
      },
    },
    { name: "native-batch", title: "native batch, as it chooses", run: batch() },
    ...paths,
  ];
}

/** What the scalar C loop does, in TypeScript: nothing but the hash and the bucket. */
function typescriptLoop({ mode, bucketCount, hashInit, flows, buckets }: HashJob): () => void {
  const { saddr, sport, dport } = flows;
  switch (mode) {
    case "sourceip":
      return () => {
        for (let i = 0; i < buckets.length; i += 1) {
          buckets[i] = bucketOfHash(jhash1word(saddr[i] ?? 0, hashInit), bucketCount);
        }
      };
    case "sourceip-sourceport":
      return () => {
        for (let i = 0; i < buckets.length; i += 1) {
          buckets[i] = bucketOfHash(jhash2words(saddr[i] ?? 0, sport[i] ?? 0, hashInit), bucketCount);
        }
      };
    case "sourceip-sourceport-destport":
      return () => {
        for (let i = 0; i < buckets.length; i += 1) {
          buckets[i] = bucketOfHash(
            jhash3words(saddr[i] ?? 0, sport[i] ?? 0, dport[i] ?? 0, hashInit),
            bucketCount,
          );
        }
      };
  }
}

/** The way of `explain` and the library's users: a flow with its ports as people write them. */
function typescriptFlows({ mode, bucketCount, hashInit, flows, buckets }: HashJob): () => void {
  const settings = { hashMode: mode, bucketCount, hashInit };
  const objects = Array.from(flows.saddr, (saddrHost, i) => ({
    protocol: TCP,
    saddrHost,
    sourcePort: portWireLittleEndian(flows.sport[i] ?? 0),
    destinationPort: portWireLittleEndian(flows.dport[i] ?? 0),
  }));
  return () => {
    for (const [i, flow] of objects.entries()) buckets[i] = bucketOf(flow, settings);
  };
}
