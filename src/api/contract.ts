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

export interface NodeChangeBody {
  /** `+N` or `-N` */
  readonly change: string;
}

export const paths = {
  status: `${API_PREFIX}/status`,
  virtualIps: `${API_PREFIX}/virtual-ips`,
  virtualIp: (vip: string): string => `${API_PREFIX}/virtual-ips/${vip}`,
  nodes: (vip: string): string => `${API_PREFIX}/virtual-ips/${vip}/nodes`,
  reload: `${API_PREFIX}/reload`,
};
