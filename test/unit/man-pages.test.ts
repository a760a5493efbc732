/** The man pages and the completion that are checked in say what the programs say. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { metaDataOf } from "../../scripts/generate/man/agent.ts";
import { generatedFiles } from "../../scripts/generate/man/pages.ts";
import { renderManPage, text } from "../../scripts/generate/man/roff.ts";
import { virtualIpOptions } from "../../src/settings/options.ts";
import { projectRoot } from "../support/lab/paths.ts";

const files = generatedFiles(projectRoot);

it.each([...files])(
  "%s is up to date (node dist/scripts/generate/write-man-pages.js writes it)",
  (name, content) => {
    const file = path.join(projectRoot, name);
    expect(existsSync(file) ? readFileSync(file, "utf8") : "").toBe(content);
  },
);

it("every setting of a virtual IP is in clusterip(8) and clusteripd.yaml(5)", () => {
  for (const { name } of virtualIpOptions) {
    const escaped = name.replaceAll("-", "\\-");
    expect(files.get("packaging/man/clusterip.8")).toContain(escaped);
    expect(files.get("packaging/man/clusteripd.yaml.5")).toContain(escaped);
  }
});

it("the agent's meta-data has no variable left", () => {
  const source = readFileSync(path.join(projectRoot, "packaging/ocf/ClusterIP"), "utf8");
  expect(metaDataOf(source)).toContain('<content type="integer" default="200"/>');
  expect(metaDataOf(source)).not.toContain("${");
});

it("text cannot be taken for a request of roff", () => {
  const page = renderManPage({
    name: "x",
    section: 1,
    summary: "s",
    sections: [{ title: "t", blocks: [text(".SH \\fBno-break")] }],
  });
  expect(page).toContain("\n\\&.SH \\efBno\\-break\n");
});
