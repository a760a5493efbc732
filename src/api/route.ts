/** What a route of the control API is for the server: a row of the table in `contract.ts` with what answers it. */
import { type Answers, type RouteName, routes } from "./contract.ts";

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

export type Handler<Name extends RouteName> = (call: Call) => Promise<Answers[Name]>;
export type Handlers = { readonly [Name in RouteName]: Handler<Name> };

export interface Route {
  readonly method: string;
  readonly path: RegExp;
  readonly handle: (call: Call) => Promise<Answer>;
}

/** What is made anew is answered with 201. */
const created: ReadonlySet<RouteName> = new Set(["add"]);

export function routesOf(handlers: Handlers): readonly Route[] {
  return (Object.keys(routes) as RouteName[]).map((name) => ({
    method: routes[name].method,
    path: patternOf(routes[name].path),
    handle: async (call) => ({ status: created.has(name) ? 201 : 200, body: await handlers[name](call) }),
  }));
}

function patternOf(path: string): RegExp {
  const pattern = path.replace(/\/VIP\b/, "/(?<vip>[^/]+)").replace(/\/N$/, "/(?<bucket>[^/]+)");
  return new RegExp(`^${pattern}$`);
}
