/** docs/recipes.md, "unbound": real unbounds with the document's file, asked by dig. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { place, RecipeCluster, recipes, Service } from "../support/cluster/recipe.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { listening } from "../support/lab/host-state.ts";
import type { Lab } from "../support/lab/lab.ts";
import { capture } from "../support/wire/capture.ts";
import { readFrames } from "../support/wire/frames.ts";

const PORT = 53;
const PER_SOURCE = 4;

describeNet("unbound", { tools: ["unbound", "dig", "hostname", "unshare"] }, () => {
  let recipe: RecipeCluster;
  const withoutFreebind: { status: number; stderr: string }[] = [];
  const services = new Map<Host, Service>();

  beforeAll(async () => {
    recipe = await RecipeCluster.start("udp", async (lab) => {
      for (const node of lab.nodes) {
        const recipeFile = recipes.block("unbound");
        const bare = configuration(lab, node, recipeFile.replace(/.*ip-freebind.*\n/, ""));
        withoutFreebind.push(await node.tryExec(foreground(bare)));
        services.set(node, await serve(lab, node, recipeFile, lab.vip));
      }
    });
  });

  afterAll(() => recipe?.close());

  it("without ip-freebind it fails where the address is not there yet", () => {
    for (const { status, stderr } of withoutFreebind) {
      expect(status).toBe(1);
      expect(stderr).toContain("can't bind socket: Cannot assign requested address");
    }
  });

  it("the owner alone answers, once, from the virtual IP", async () => {
    await ask();
  });

  it("and tells its name", async () => {
    const command = recipes.command("id.server").split(" ");
    const requests = await recipe.ask(PORT, 2, ({ saddr, sport }) => [
      ...command,
      ...["-b", `${saddr}#${sport}`],
    ]);
    for (const request of requests) expect(request.answer).toBe(`"${recipe.ownerOf(request, PORT)}"\n`);
  });

  it("after a move of a bucket every client is answered", async () => {
    await recipe.move(1, 3);
    await ask();
  });

  it("after a node's death every client is answered", async () => {
    await recipe.die(2, 1);
    await ask();
  });

  it("on the wildcard address it answers from the node's own", async () => {
    const [node] = recipe.lab.nodes;
    if (node === undefined) throw new Error("no node");
    await services.get(node)?.process.kill("SIGTERM");
    await serve(recipe.lab, node, recipes.block("unbound").replace("192.0.2.10", "0.0.0.0"), "0.0.0.0");
    const saddr = recipe.cluster.sources[0] ?? "";
    let sport = 40_000;
    while (recipe.ownerOf({ saddr, sport }, PORT) !== node.name) sport += 1;
    const recording = await capture(recipe.lab, recipe.lab.client(), `udp src port ${PORT}`);
    const { status } = await recipe.lab.client().tryExec(dig(recipe.vip)({ saddr, sport }));
    const answers = await readFrames(await recording.stop());
    expect(answers.map(({ ip }) => ip?.from)).toEqual([node.address]);
    expect(status).not.toBe(0);
  });

  async function ask(): Promise<void> {
    for (const { answer } of await recipe.ask(PORT, PER_SOURCE, dig(recipe.vip))) {
      expect(answer).toBe("198.51.100.5\n");
    }
  }
});

/** One question, asked once. */
function dig(vip: string): (flow: { saddr: string; sport: number }) => readonly string[] {
  return ({ saddr, sport }) => [
    ...["dig", "+short", "+tries=1", "+time=10", `@${vip}`, "-b", `${saddr}#${sport}`],
    "www.example.com",
  ];
}

async function serve(lab: Lab, node: Host, recipe: string, address: string): Promise<Service> {
  const service = new Service(lab, node, foreground(configuration(lab, node, recipe)));
  await listening(node, { protocol: "udp", address, port: PORT });
  return service;
}

/** What Debian's unbound.conf is to a file in unbound.conf.d; nothing of the machine's own unbound is touched. */
function configuration(lab: Lab, node: Host, recipe: string): string {
  const included = place(lab, node, "virtual-ip.conf", recipe);
  const text = `server:
    username: ""
    chroot: ""
    pidfile: ""
    use-syslog: no
    module-config: "iterator"
remote-control:
    control-enable: no
include: "${included}"
`;
  return place(lab, node, "unbound.conf", text);
}

function foreground(file: string): string[] {
  return ["unbound", "-d", "-p", "-c", file];
}
