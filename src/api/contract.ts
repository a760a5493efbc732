/** The control API: its paths and bodies, for server and client. `docs/api.md` describes it. */
import type { ErrorCode } from "../core/errors.ts";

export const API_PREFIX = "/v1";

/** The body of every answer that is not 2xx. */
export interface ErrorBody {
  readonly error: { readonly code: ErrorCode; readonly message: string };
}

export interface NodesBody {
  readonly nodes: readonly number[];
}

/** What a virtual IP was that is served no longer. */
export interface RemovedBody {
  readonly vip: string;
  /** `config`: the configuration file has it, so a reload or the next start serves it again */
  readonly origin: "config" | "request";
}

export interface NodeChangeBody {
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
  nodes: (vip: string): string => `${API_PREFIX}/virtual-ips/${vip}/nodes`,
  node: (vip: string, node: number): string => `${API_PREFIX}/virtual-ips/${vip}/nodes/${node}`,
  announce: (vip: string): string => `${API_PREFIX}/virtual-ips/${vip}/announce`,
  reload: `${API_PREFIX}/reload`,
};
