/** docs/recipes.md, "HAProxy on all nodes": real HAProxys with the document's file, and a backend on each node. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { curl, place, RecipeCluster, type Request, recipes, Service } from "../support/cluster/recipe.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import { listening } from "../support/lab/host-state.ts";
import type { ExecResult } from "../support/lab/processes.ts";
import { startServer } from "../support/traffic/traffic.ts";

const PORT = 80;
const BACKEND_PORT = 8080;
const PER_SOURCE = 6;
/** The backend that goes with node 2. */
const DEAD = "node2";

describeNet("HAProxy on all nodes", { tools: ["haproxy", "curl", "hostname", "unshare"] }, () => {
  let recipe: RecipeCluster;
  let backends: Map<string, string>;
  const withoutTransparent: ExecResult[] = [];

  beforeAll(async () => {
    recipe = await RecipeCluster.start("tcp", async (lab) => {
      for (const node of lab.nodes) {
        await startServer(lab, node, { http: BACKEND_PORT });
        const file = place(lab, node, "haproxy.cfg", recipes.block("haproxy"));
        await node.exec(["haproxy", "-c", "-f", file]);
        const bare = place(lab, node, "bare.cfg", recipes.block("haproxy").replace(" transparent", ""));
        withoutTransparent.push(await node.tryExec(["haproxy", "-db", "-f", bare]));
        new Service(lab, node, ["haproxy", "-db", "-f", file]);
        await listening(node, { address: lab.vip, port: PORT });
      }
    });
  });

  afterAll(() => recipe?.close());

  it("without transparent it fails where the address is not there yet", () => {
    for (const { status, stderr } of withoutTransparent) {
      expect(status).toBe(1);
      expect(stderr).toContain("cannot bind socket (Cannot assign requested address)");
    }
  });

  it("the owner's HAProxy alone answers, and a client has one backend through whichever it is", async () => {
    backends = backendsOf(await recipe.ask(PORT, PER_SOURCE, curl(recipe.vip)));
    expect(new Set(backends.values()).size).toBeGreaterThan(1);
  });

  it("after a move of a bucket every client is answered, and by the backend that it had", async () => {
    await recipe.move(1, 3);
    expect(backendsOf(await recipe.ask(PORT, PER_SOURCE, curl(recipe.vip)))).toEqual(backends);
    await recipe.move(1, 1);
  });

  it("after a node's death every client is answered, by its own backend where that lives", async () => {
    await recipe.die(2, 3);
    const now = backendsOf(await recipe.ask(PORT, PER_SOURCE, curl(recipe.vip)), true);
    for (const [client, backend] of backends) {
      if (backend !== DEAD) expect(now.get(client), client).toBe(backend);
    }
    expect([...now.values()]).not.toContain(DEAD);
  });
});

/**
 * The backend of each client; one that has two is an error.
 *
 * @param mayChange a client of a dead backend may be sent to two others, before and after it is known to be dead
 */
function backendsOf(requests: readonly Request[], mayChange = false): Map<string, string> {
  const backends = new Map<string, string>();
  for (const { saddr, answer } of requests) {
    const { node } = JSON.parse(answer) as { node: string };
    if (!mayChange && backends.has(saddr)) expect(node, `the backend of ${saddr}`).toBe(backends.get(saddr));
    backends.set(saddr, node);
  }
  return backends;
}
