/** docs/api.md is true: its examples are run, in its order, and it names every field of the answers. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { DEFAULT_SOCKET } from "../../src/settings/options.ts";
import { describeBpf } from "../support/bpf/describe-bpf.ts";
import { add, del, statusOf } from "../support/daemon/api.ts";
import { type Daemon, startDaemon } from "../support/daemon/daemon.ts";
import { Lab } from "../support/lab/lab.ts";
import { projectRoot } from "../support/lab/paths.ts";

const documentation = readFileSync(path.join(projectRoot, "docs/api.md"), "utf8");
const EXAMPLE = /```sh\n([^`]*)```\s+(\d{3})\s+```json\n([^`]*)```/g;

/** Fields whose numbers are of the moment. */
const OF_THE_MOMENT = new Set(["pid", "uptimeSeconds", "ifindex", "frames", "bytes", "version"]);

describeBpf("daemon: docs/api.md, with engine bpf", { tools: ["curl"] }, () => {
  let lab: Lab;
  let daemon: Daemon;

  beforeAll(async () => {
    lab = await Lab.create({ nodes: 1, network: "192.0.2" });
    const vips = [{ "total-nodes": 3, "local-node": [1] }];
    daemon = await startDaemon(lab, lab.node(1), { vips });
  });
  afterAll(() => lab.close());

  it("runs every example", async () => {
    const examples = [...documentation.matchAll(EXAMPLE)];
    const shellBlocks = documentation.match(/```sh/g) ?? [];
    expect(examples.length).toBe(shellBlocks.length);
    expect(examples.length).toBeGreaterThanOrEqual(10);
    for (const [, command = "", status, json = ""] of examples) {
      expect(command).toContain(DEFAULT_SOCKET);
      const script = `${command.trim().replace(DEFAULT_SOCKET, daemon.socket)} --write-out '%{http_code}'`;
      const output = await lab.node(1).exec(["sh", "-ec", script]);
      const [body = "", answered] = output.split(/\n(?=\d{3}$)/);
      expect(answered, command).toBe(status);
      const documented: unknown = JSON.parse(json, ofTheMoment);
      const actual: unknown = JSON.parse(body, ofTheMoment);
      if (Array.isArray(documented)) expect(actual, command).toHaveLength(documented.length);
      expect({ answer: actual }, command).toMatchObject({ answer: documented });
    }
  });

  it("names every field, of both engines", async () => {
    const other = { vip: "192.0.2.150", nic: "eth0", "total-nodes": 2, "local-node": 1, engine: "userspace" };
    await add(daemon, other);
    const fields = new Set<string>();
    JSON.stringify(await statusOf(daemon), (key, value: unknown) => {
      fields.add(key);
      // The reasons have a table of their own.
      return key === "byReason" ? undefined : value;
    });
    const missing = [...fields].filter((field) => field !== "" && !/^\d+$/.test(field) && !names(field));
    expect(missing).toEqual([]);
    expect(fields.size).toBeGreaterThan(30);
    expect(names("noSuchField")).toBe(false);
    for (const field of ["programs", "prefilter"]) expect([...fields]).toContain(field);
    await del(daemon, other.vip);
  });

  it("names every route", async () => {
    const routes = [...documentation.matchAll(/^\| `([A-Z]+) (\/v1\/\S+)`/gm)];
    expect(routes).toHaveLength(12);
    for (const [, method = "", route = ""] of routes) {
      const url = `http://localhost${route.replace("VIP", "192.0.2.250").replace("/N", "/1")}`;
      const curl = ["curl", "-sS", "--unix-socket", daemon.socket, "-X", method, url];
      const answer = await lab.node(1).exec(curl);
      // Whatever it answers, it knows the route and the method.
      expect(answer).not.toMatch(/There is no \/v1| takes /);
    }
  });
});

function ofTheMoment(key: string, value: unknown): unknown {
  return OF_THE_MOMENT.has(key) ? typeof value : value;
}

function names(field: string): boolean {
  return documentation.includes(`\`${field}\``) || documentation.includes(`"${field}"`);
}
