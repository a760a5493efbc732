/** What documents say of the example address holds; what they tell to run is run by test/net. */
import { existsSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { deriveClusterMac, parseIpv4 } from "../../src/index.ts";
import { packageRoot } from "../../src/native.ts";
import { Document } from "../document.ts";

test("docs/network.md: every MAC in it is the cluster MAC of 192.0.2.10/24, in whatever notation", () => {
  const { text } = new Document("docs/network.md");
  const notations =
    /\b(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}\b|\b(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}\b|\b[0-9a-f]{12}\b/g;
  const macs = [...text.matchAll(notations)].map(([mac]) => mac.replaceAll(/[:.-]/g, ""));
  expect(macs.length).toBeGreaterThan(8);
  const clusterMac = deriveClusterMac(parseIpv4("192.0.2.10"), 24).replaceAll(":", "");
  expect([...new Set(macs)]).toEqual([clusterMac]);
});

test.each(["docs/network.md", "docs/recipes.md", "docs/pacemaker.md"])(
  "%s: every link leads to a place",
  (file) => {
    const { text } = new Document(file);
    for (const [, target = "", anchor] of text.matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g)) {
      const linked = target === "" ? file : path.posix.join("docs", target);
      expect(existsSync(path.join(packageRoot(), linked)), linked).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(linked), `${linked}#${anchor}`).toContain(anchor);
    }
  },
);

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  return [...new Document(file).text.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );
}
