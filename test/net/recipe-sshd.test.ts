/** docs/recipes.md, "sshd": real sshds with keys of their own, and a client that checks them. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { place, RecipeCluster, recipes, Service } from "../support/cluster/recipe.ts";
import { describeNet } from "../support/lab/describe-net.ts";
import type { Host } from "../support/lab/host.ts";
import { listening } from "../support/lab/host-state.ts";
import type { Lab } from "../support/lab/lab.ts";
import type { ExecResult } from "../support/lab/processes.ts";
import { inParallel } from "../support/programs/parallel.ts";
import { capture } from "../support/wire/capture.ts";

const PORT = 22;
const AT_ONCE = 4;
/** A client's port is the kernel's choice; so it has no say in who answers. */
const hashMode = { hashMode: "sourceip" } as const;
const HOST_KEY = "ssh_host_ed25519_key";
const CHANGED = "REMOTE HOST IDENTIFICATION HAS CHANGED";
const tools = ["ssh", "sshd", "ssh-keygen", "ssh-keyscan", "hostname", "unshare"];

describeNet("sshd", { tools }, () => {
  let recipe: RecipeCluster;
  /** The client's: its own key, what it knows, and the certificate authority. */
  let home: string;
  const services = new Map<Host, Service>();

  beforeAll(async () => {
    recipe = await RecipeCluster.start(
      "tcp",
      async (lab) => {
        home = lab.directoryOf(lab.client());
        await lab.client().exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", `${home}/id`]);
        await inHome(lab, recipes.command("-f cluster_ca"));
        // Debian's sshd has its privilege separation there.
        mkdirSync("/run/sshd", { recursive: true });
        for (const node of lab.nodes) await serve(lab, node);
      },
      hashMode,
    );
  });

  afterAll(() => recipe?.close());
  beforeEach(() => rmSync(`${home}/known_hosts`, { force: true }));

  it("keys of their own: the client that knows one node's is warned of the others", async () => {
    const [first] = recipe.lab.nodes;
    await inHome(
      recipe.lab,
      `ssh-keyscan -t ed25519 ${first?.address} | sed 's/^[^ ]*/${recipe.vip}/' >known_hosts`,
    );
    const results = await logIn([]);
    expect(results.filter(({ status }) => status === 0).length).toBeGreaterThan(0);
    const warned = results.filter(({ status, stderr }) => status !== 0 && stderr.includes(CHANGED));
    expect(warned.length).toBeGreaterThan(0);
  });

  it("signed keys: the client knows the authority and is let in by each node", async () => {
    await inHome(recipe.lab, recipes.command("@cert-authority"));
    await letIn([]);
  });

  it("all keys under one name: the client is let in by each node", async () => {
    await inHome(recipe.lab, recipes.command("ssh-keyscan"));
    const option = /-o \S+/.exec(recipes.command("HostKeyAlias"))?.[0] ?? "";
    await letIn(option.split(" "));
  });

  it("after a move of a bucket the client is let in", async () => {
    await inHome(recipe.lab, recipes.command("@cert-authority"));
    await recipe.move(1, 3);
    await letIn([]);
  });

  it("after a node's death the client is let in", async () => {
    await inHome(recipe.lab, recipes.command("@cert-authority"));
    await recipe.die(2, 1);
    await letIn([]);
  });

  it("the same private key on all nodes: the client knows the address by it and is let in by each", async () => {
    // Of the nodes that live, after the test before.
    const [first, other] = [recipe.lab.node(1), recipe.lab.node(3)];
    writeFileSync(keyOf(recipe.lab, other), readFileSync(keyOf(recipe.lab, first)));
    for (const node of [first, other]) await services.get(node)?.process.kill("SIGTERM");
    for (const node of [first, other]) await listen(recipe.lab, node, "");
    await inHome(recipe.lab, `ssh-keyscan -t ed25519 ${recipe.vip} >known_hosts`);
    await letIn([]);
  });

  it("beside another ListenAddress it starts without the address that is not there", async () => {
    // Where no daemon is: the client has neither the address nor the sysctl.
    const listen = `ListenAddress 127.0.0.1\nListenAddress ${recipe.vip}\nPidFile none\n`;
    const key = `HostKey ${keyOf(recipe.lab, recipe.lab.node(1))}\n`;
    const file = place(recipe.lab, recipe.lab.client(), "sshd_config", `${listen}${key}`);
    const service = new Service(recipe.lab, recipe.lab.client(), ["/usr/sbin/sshd", "-D", "-e", "-f", file]);
    await listening(recipe.lab.client(), { address: "127.0.0.1", port: PORT });
    expect(service.output).toContain(`Bind to port 22 on ${recipe.vip} failed`);
    expect(service.process.running).toBe(true);
  });

  async function letIn(options: readonly string[]): Promise<void> {
    const recording = await capture(recipe.lab, recipe.lab.switch, `tcp port ${PORT} and host ${recipe.vip}`);
    const results = await logIn(options);
    await recipe.expectOwners(recording, PORT);
    expect(results.filter(({ status }) => status !== 0)).toEqual([]);
  }

  /** Logs in once from each source, by ports that the kernel chooses. */
  function logIn(options: readonly string[]): Promise<ExecResult[]> {
    const { sources } = recipe.cluster;
    const known = ["-o", `UserKnownHostsFile=${home}/known_hosts`, "-o", "StrictHostKeyChecking=yes"];
    const batch = ["-F", "none", "-i", `${home}/id`, "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"];
    return inParallel(sources.length, AT_ONCE, (index) =>
      recipe.lab
        .client()
        .tryExec([
          "ssh",
          ...batch,
          ...known,
          ...options,
          "-b",
          sources[index] ?? "",
          `root@${recipe.vip}`,
          "true",
        ]),
    );
  }

  /** A command of the document, run by the client in its directory. */
  function inHome(lab: Lab, command: string): Promise<string> {
    return lab.client().exec(["sh", "-c", `cd ${home} && ${command}`]);
  }

  /** A node's sshd with a host key of its own, signed as the document says, and the document's file. */
  async function serve(lab: Lab, node: Host): Promise<void> {
    const key = keyOf(lab, node);
    await node.exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key]);
    writeFileSync(`${home}/${HOST_KEY}.pub`, readFileSync(`${key}.pub`));
    await inHome(lab, recipes.command("-s cluster_ca").replace("node1", node.name));
    writeFileSync(`${key}-cert.pub`, readFileSync(`${home}/${HOST_KEY}-cert.pub`));
    await listen(lab, node, recipes.block("sshd").replace("/etc/ssh", lab.directoryOf(node)));
  }

  async function listen(lab: Lab, node: Host, recipeFile: string): Promise<void> {
    const login = `AuthorizedKeysFile ${home}/id.pub\nStrictModes no\nPidFile none\n`;
    const file = place(lab, node, "sshd_config", `HostKey ${keyOf(lab, node)}\n${login}${recipeFile}`);
    services.set(node, new Service(lab, node, ["/usr/sbin/sshd", "-D", "-e", "-f", file]));
    await listening(node, { address: "0.0.0.0", port: PORT });
  }
});

function keyOf(lab: Lab, node: Host): string {
  return path.join(lab.directoryOf(node), HOST_KEY);
}
