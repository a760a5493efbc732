/** The control API: its paths and bodies, for server and client. `docs/api.md` describes it. */
import type { ErrorCode } from "../core/errors.ts";
import type { DaemonStatus, VirtualIpStatus } from "../daemon/status.ts";
import type { Bucket, BucketSet } from "../model/bucket-set.ts";
import { BUCKETS_PATH, type InKernelWords, inKernelWords, inOurWords } from "../model/kernel-words.ts";

export const API_PREFIX = "/v1";
const VIPS = `${API_PREFIX}/virtual-ips`;

/** The body of every answer that is not 2xx. */
export interface ErrorBody {
  readonly error: { readonly code: ErrorCode; readonly message: string };
}

/** The buckets of this node: `{"nodes": [1, 3]}`. */
export type BucketsBody = InKernelWords<{ readonly ownBuckets: BucketSet }>;

export type VirtualIpBody = InKernelWords<VirtualIpStatus>;

export interface StatusBody extends Omit<DaemonStatus, "virtualIps"> {
  readonly virtualIps: readonly VirtualIpBody[];
}

export function toStatusBody(status: DaemonStatus): StatusBody {
  return { ...status, virtualIps: status.virtualIps.map(inKernelWords) };
}

export function fromStatusBody(body: StatusBody): DaemonStatus {
  return { ...body, virtualIps: body.virtualIps.map(inOurWords) };
}

/** What a virtual IP was that is served no longer. */
export interface RemovedBody {
  readonly vip: string;
  /** `config`: the configuration file has it, so a reload or the next start serves it again */
  readonly origin: "config" | "request";
}

export interface BucketChangeBody {
  /** `+N` or `-N` */
  readonly change: string;
}

export interface AnnounceBody {
  /** how often, 1 to 100; default 5 */
  readonly count?: number;
  /** between two of them, 1 to 10000; default 200 */
  readonly "interval-ms"?: number;
  /** whether the answer comes after the last one; default false */
  readonly wait?: boolean;
}

/**
 * Every request that the daemon takes. `VIP` stands for a virtual IP and `N` for the number of a bucket. Server, client and
 * the test of `docs/api.md` read this table; `schemas.ts` says what a body has.
 */
export const routes = {
  status: { method: "GET", path: `${API_PREFIX}/status` },
  virtualIps: { method: "GET", path: VIPS },
  add: { method: "POST", path: VIPS },
  virtualIp: { method: "GET", path: `${VIPS}/VIP` },
  remove: { method: "DELETE", path: `${VIPS}/VIP` },
  buckets: { method: "GET", path: `${VIPS}/VIP/${BUCKETS_PATH}` },
  changeBuckets: { method: "POST", path: `${VIPS}/VIP/${BUCKETS_PATH}` },
  checkBucket: { method: "GET", path: `${VIPS}/VIP/${BUCKETS_PATH}/N` },
  takeBucket: { method: "PUT", path: `${VIPS}/VIP/${BUCKETS_PATH}/N` },
  releaseBucket: { method: "DELETE", path: `${VIPS}/VIP/${BUCKETS_PATH}/N` },
  announce: { method: "POST", path: `${VIPS}/VIP/announce` },
  reload: { method: "POST", path: `${API_PREFIX}/reload` },
} as const;

export type RouteName = keyof typeof routes;

/** The body of a good answer. */
export interface Answers {
  readonly status: StatusBody;
  readonly virtualIps: readonly VirtualIpBody[];
  readonly add: VirtualIpBody;
  readonly virtualIp: VirtualIpBody;
  readonly remove: RemovedBody;
  readonly buckets: BucketsBody;
  readonly changeBuckets: BucketsBody;
  readonly checkBucket: InKernelWords<{ readonly ownBucket: Bucket; readonly state: "running" }>;
  readonly takeBucket: BucketsBody;
  readonly releaseBucket: BucketsBody;
  readonly announce: Readonly<Record<string, never>>;
  readonly reload: Readonly<Record<string, never>>;
}

/** The path of a request; what is not a word of a path is escaped. */
export function pathOf(name: RouteName, vip = "", bucket: Bucket | string = ""): string {
  const given: Readonly<Record<string, string>> = { VIP: vip, N: String(bucket) };
  const words = routes[name].path.split("/");
  return words.map((word) => encodeURIComponent(given[word] ?? word)).join("/");
}

export const paths = {
  status: pathOf("status"),
  virtualIps: pathOf("virtualIps"),
  virtualIp: (vip: string): string => pathOf("virtualIp", vip),
  buckets: (vip: string): string => pathOf("buckets", vip),
  bucket: (vip: string, bucket: Bucket): string => pathOf("takeBucket", vip, bucket),
  announce: (vip: string): string => pathOf("announce", vip),
  reload: pathOf("reload"),
};
