/** What a route of the control API is. */

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export interface Call {
  /** the virtual IP of the path, not checked */
  readonly vip: string;
  /** the bucket of the path, not checked */
  readonly bucket: string;
  /** undefined where GET and DELETE have none */
  readonly body: () => Promise<unknown>;
}

export interface Route {
  readonly method: string;
  readonly path: RegExp;
  readonly handle: (call: Call) => Promise<Answer>;
}

/** The beginning of every path below one virtual IP. */
export const VIP = "/v1/virtual-ips/(?<vip>[^/]+)";

export const ok = (body: unknown): Answer => ({ status: 200, body });
