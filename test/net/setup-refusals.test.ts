/** scripts/setup.sh by an ordinary user, in a clone that is root's. */

import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeNet } from "../support/lab/describe-net.ts";
import { projectRoot } from "../support/lab/paths.ts";

describeNet("a clone of another user", { tools: ["setpriv"] }, () => {
  let clone: string;

  beforeAll(() => {
    clone = mkdtempSync(path.join(tmpdir(), "clusteripd-clone-"));
    chmodSync(clone, 0o755);
    cpSync(path.join(projectRoot, "scripts"), path.join(clone, "scripts"), { recursive: true });
  });
  afterAll(() => rmSync(clone, { recursive: true, force: true }));

  it("is refused in one sentence, before anything is installed or built", () => {
    const asNobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    const demo = path.join(clone, "scripts/demo");
    const options = { encoding: "utf8", timeout: 60_000 } as const;
    const { status, stdout, stderr } = spawnSync("setpriv", [...asNobody, demo], options);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(
      /^setup: \S+ belongs to root and \w+ may not write to it: run this as root, or from a clone of your own\n$/,
    );
  });
});
