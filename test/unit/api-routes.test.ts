/** One table says what the API takes: the server answers it, the client asks by it, document and agent know it. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { pathOf, paths, type RouteName, routes } from "../../src/api/contract.ts";
import { type Call, type Handlers, routesOf } from "../../src/api/route.ts";
import { parseBody } from "../../src/api/schemas.ts";
import { packageRoot } from "../../src/package.ts";

const names = Object.keys(routes) as RouteName[];
const lineOf = (name: RouteName): string => `${routes[name].method} ${routes[name].path}`;

/** Every handler answers with its own name and what it got of the path. */
const handlers = Object.fromEntries(
  names.map((name) => [name, async ({ vip, bucket }: Call) => ({ name, vip, bucket })]),
) as unknown as Handlers;

test("docs/api.md lists every route, in its order, and no other", () => {
  const text = readFileSync(path.join(packageRoot(), "docs/api.md"), "utf8");
  const documented = [...text.matchAll(/^\| `((?:GET|PUT|POST|DELETE) [^`]*)` \|/gm)].map(([, line]) => line);
  expect(documented).toEqual(names.map(lineOf));
});

test.each(names)("the server takes what the client sends for %s", async (name) => {
  const sent = pathOf(name, "192.0.2.10", 3);
  const found = routesOf(handlers).filter(
    (route) => route.method === routes[name].method && route.path.test(sent),
  );
  expect(found).toHaveLength(1);
  const { vip = "", bucket = "" } = found[0]?.path.exec(sent)?.groups ?? {};
  const answer = await found[0]?.handle({ vip, bucket, body: async () => undefined });
  expect(answer).toEqual({
    status: name === "add" ? 201 : 200,
    body: {
      name,
      vip: routes[name].path.includes("VIP") ? "192.0.2.10" : "",
      bucket: routes[name].path.endsWith("/N") ? "3" : "",
    },
  });
});

test("a name that is no word of a path is escaped, and stays one word", () => {
  expect(pathOf("virtualIp", "10.0.0.1/../x y")).toBe("/v1/virtual-ips/10.0.0.1%2F..%2Fx%20y");
  expect(paths.bucket("192.0.2.10", 2)).toBe("/v1/virtual-ips/192.0.2.10/nodes/2");
  const matching = routesOf(handlers).filter((route) => route.path.test("/v1/virtual-ips/a/b/c/d"));
  expect(matching).toEqual([]);
});

test("the paths that the resource agent asks for are routes", () => {
  const agent = readFileSync(path.join(packageRoot(), "packaging/ocf/ClusterIP"), "utf8");
  // BUCKET="$OCF_RESKEY_ip/nodes/$N"
  const bucket = /^\s*BUCKET="?\$OCF_RESKEY_ip\/(\w+)\//m.exec(agent)?.[1];
  const asked = [...agent.matchAll(/\b(GET|PUT|POST|DELETE) "(\$BUCKET|\$OCF_RESKEY_ip)([^"]*)"/g)].map(
    ([, method, what, rest]) =>
      `${method} ${routes.virtualIp.path}${what === "$BUCKET" ? `/${bucket}/N` : ""}${rest}`,
  );
  expect(new Set(asked)).toEqual(
    new Set([lineOf("checkBucket"), lineOf("takeBucket"), lineOf("releaseBucket"), lineOf("announce")]),
  );
});

test.each([
  ["changeBuckets", { change: 2 }, 'The body must be {"change": "+N"} or {"change": "-N"}.'],
  ["changeBuckets", { change: "+2", more: 1 }, "The body must be"],
  ["announce", { count: 0 }, 'An announcement may have "count" (1 to 100)'],
  ["takeBucket", { create: "yes" }, "The body must have the settings of the virtual IP"],
  ["takeBucket", { broadcast: "10.0.0" }, '"broadcast" (an address, + or -)'],
  ["checkBucket", [], "The body must have the settings of the virtual IP"],
] as const)("a body for %s with %j is refused with what is expected", (name, raw, sentence) => {
  expect(() => parseBody(name, raw)).toThrow(
    expect.objectContaining({ code: "CLUSTERIP_BAD_REQUEST", message: expect.stringContaining(sentence) }),
  );
});

test("what a body does not say has its default, and settings pass as they are", () => {
  expect(parseBody("announce", {})).toEqual({ count: 5, "interval-ms": 200, wait: false });
  expect(parseBody("takeBucket", { nic: "eth0", "total-nodes": "3" })).toEqual({
    ...{ nic: "eth0", "total-nodes": "3" },
    ...{ create: true, check: false },
  });
});
