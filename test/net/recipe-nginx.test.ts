/** docs/recipes.md, "nginx": a real nginx with the document's site, on an address that comes later. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { curl, place, RecipeCluster, recipes, Service } from "../support/cluster/recipe.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { listening } from "../support/lab/host-state.ts";
import type { Lab } from "../support/lab/lab.ts";
import { until } from "../support/wait.ts";

const PORT = 80;
const PER_SOURCE = 4;
const RELOADS = 5;

describeNet("nginx", { tools: ["nginx", "curl", "sysctl", "hostname", "unshare"] }, () => {
  let recipe: RecipeCluster;
  const withoutSysctl: { status: number; stderr: string }[] = [];
  const services = new Map<Host, Service>();

  beforeAll(async () => {
    recipe = await RecipeCluster.start("tcp", async (lab) => {
      for (const node of lab.nodes) {
        const file = configuration(lab, node, recipes.block("nginx"));
        withoutSysctl.push(await node.tryExec(foreground(file)));
        const beside = configuration(lab, node, `server { listen 80; }\n${recipes.block("nginx")}`);
        await node.exec(["nginx", "-t", "-e", "stderr", "-c", beside]);
        configuration(lab, node, recipes.block("nginx"));
        const sysctl = place(lab, node, "60-virtual-ip.conf", recipes.block("sysctl"));
        await node.exec(["sysctl", "-p", sysctl]);
        services.set(node, new Service(lab, node, foreground(file)));
        await listening(node, { address: lab.vip, port: PORT });
      }
    });
  });

  afterAll(() => recipe?.close());

  it("without the sysctl it fails where the address is not there yet, unless a site has the wildcard", () => {
    for (const { status, stderr } of withoutSysctl) {
      expect(status).toBe(1);
      expect(stderr).toContain("bind() to 192.0.2.10:80 failed (99: Cannot assign requested address)");
    }
  });

  it("the owner alone answers, by its name", async () => {
    await ask();
  });

  it("reloads lose no request", async () => {
    const asked = ask();
    for (let reload = 0; reload < RELOADS; reload += 1) {
      for (const node of recipe.lab.nodes) {
        await node.exec(["nginx", "-c", configurationOf(recipe.lab, node), "-s", "reload"]);
      }
    }
    await asked;
  });

  it("after a move of a bucket every client is answered", async () => {
    await recipe.move(1, 3);
    await ask();
  });

  it("after a node's death every client is answered", async () => {
    await recipe.die(2, 1);
    await ask();
  });

  it("a reload does not lead from the wildcard address to the virtual IP, a restart does", async () => {
    const [node] = recipe.lab.nodes;
    if (node === undefined) throw new Error("no node");
    const site = recipes.block("nginx");
    await services.get(node)?.process.kill("SIGQUIT");
    const file = configuration(recipe.lab, node, site.replace("192.0.2.10:80", "80"));
    const service = new Service(recipe.lab, node, foreground(file));
    await listening(node, { address: "0.0.0.0", port: PORT });
    configuration(recipe.lab, node, site);
    await node.exec(["nginx", "-c", file, "-s", "reload"]);
    await until(() => {
      expect(service.output).toContain("bind() to 192.0.2.10:80 failed (98: Address already in use)");
    });
    await ask();
    await service.process.kill("SIGQUIT");
    new Service(recipe.lab, node, foreground(file));
    await listening(node, { address: "192.0.2.10", port: PORT });
    await ask();
  });

  async function ask(): Promise<void> {
    for (const request of await recipe.ask(PORT, PER_SOURCE, curl(recipe.vip))) {
      expect(request.answer, `${request.saddr}:${request.sport}`).toBe(`${recipe.ownerOf(request, PORT)}\n`);
    }
  }
});

/** What Debian's nginx.conf is to a site, with all files where the lab keeps the node's. */
function configuration(lab: Lab, node: Host, site: string): string {
  const directory = lab.directoryOf(node);
  const included = place(lab, node, "virtual-ip", site);
  const text = `pid ${directory}/nginx.pid;\nevents {}\nhttp { access_log off; include ${included}; }\n`;
  return place(lab, node, "nginx.conf", text);
}

function configurationOf(lab: Lab, node: Host): string {
  return `${lab.directoryOf(node)}/nginx.conf`;
}

function foreground(file: string): string[] {
  return ["nginx", "-e", "stderr", "-c", file, "-g", "daemon off; error_log stderr;"];
}
