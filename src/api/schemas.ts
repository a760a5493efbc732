/** What the bodies of requests have, and what is said of one that has something else. */
import { z } from "zod";
import { ClusterIpError } from "../core/errors.ts";
import { tryParseIpv4 } from "../core/ipv4.ts";
import type { RouteName } from "./contract.ts";

interface BodySchema<T> {
  readonly schema: z.ZodType<T>;
  /** a sentence that says what is expected */
  readonly expected: string;
}

function body<T>(schema: z.ZodType<T>, expected: string): BodySchema<T> {
  return { schema, expected };
}

const change = z.strictObject({ change: z.string() });

const announcement = z.strictObject({
  count: z.int().min(1).max(100).default(5),
  "interval-ms": z.int().min(1).max(10_000).default(200),
  wait: z.boolean().default(false),
});

/** Beside these fields a body has the settings of the virtual IP, which `parseVirtualIp` checks. */
const bucket = z.looseObject({
  announce: z.unknown().optional(),
  create: z.boolean().default(true),
  check: z.boolean().default(false),
  broadcast: z
    .string()
    .refine((text) => text === "+" || text === "-" || tryParseIpv4(text) !== undefined)
    .optional(),
});
const bucketExpected = `The body must have the settings of the virtual IP, and may have "announce", "create" and "check" (true or false) and "broadcast" (an address, + or -).`;

/** Of the routes whose body is more, or something else, than the settings of a virtual IP. */
export const schemas = {
  changeBuckets: body(change, `The body must be {"change": "+N"} or {"change": "-N"}.`),
  checkBucket: body(bucket, bucketExpected),
  takeBucket: body(bucket, bucketExpected),
  releaseBucket: body(bucket, bucketExpected),
  announce: body(
    announcement,
    `An announcement may have "count" (1 to 100), "interval-ms" (1 to 10000) and "wait" (true or false).`,
  ),
} as const satisfies Partial<Record<RouteName, BodySchema<unknown>>>;

export type BodyOf<R extends keyof typeof schemas> = z.infer<(typeof schemas)[R]["schema"]>;

/** @throws CLUSTERIP_BAD_REQUEST */
export function parseBody<R extends keyof typeof schemas>(route: R, raw: unknown): BodyOf<R> {
  const { schema, expected } = schemas[route];
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data as BodyOf<R>;
  throw new ClusterIpError("CLUSTERIP_BAD_REQUEST", expected);
}
