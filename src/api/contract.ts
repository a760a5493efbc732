/** The control API: its paths and bodies, for server and client. `docs/api.md` describes it. */
import type { ErrorCode } from "../core/errors.ts";
import type { DaemonStatus, VirtualIpStatus } from "../daemon/status.ts";
import type { BucketSet } from "../model/bucket-set.ts";
import { BUCKETS_PATH, type InKernelWords, inKernelWords, inOurWords } from "../model/kernel-words.ts";

export const API_PREFIX = "/v1";

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

export const paths = {
  status: `${API_PREFIX}/status`,
  virtualIps: `${API_PREFIX}/virtual-ips`,
  virtualIp: (vip: string): string => `${API_PREFIX}/virtual-ips/${vip}`,
  buckets: (vip: string): string => `${API_PREFIX}/virtual-ips/${vip}/${BUCKETS_PATH}`,
  bucket: (vip: string, bucket: number): string =>
    `${API_PREFIX}/virtual-ips/${vip}/${BUCKETS_PATH}/${bucket}`,
  announce: (vip: string): string => `${API_PREFIX}/virtual-ips/${vip}/announce`,
  reload: `${API_PREFIX}/reload`,
};
