/** The man page of the resource agent, from its meta-data. */
import { readFileSync } from "node:fs";
import { capital } from "./commands.ts";
import { literal, type ManPage, term, text } from "./roff.ts";

interface Parameter {
  readonly name: string;
  readonly required: boolean;
  readonly fallback: string;
  readonly description: string;
}

/**
 * The meta-data as the agent prints it. Read from its source instead of run: an agent needs the cluster's
 * shell functions, which the machine that builds the pages may not have.
 */
export function metaDataOf(source: string): string {
  const template = /^meta_data\(\) \{\n\tcat <<END\n([\s\S]*?)\nEND$/m.exec(source)?.[1];
  if (template === undefined) throw new Error("the agent has no meta-data");
  return template.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = new RegExp(`^${name}="?([^"\\n]*)"?$`, "m").exec(source)?.[1];
    if (value === undefined) throw new Error(`the agent's meta-data has \${${name}}, which it does not set`);
    return value;
  });
}

export function agentPage(agentFile: string): ManPage {
  const metaData = metaDataOf(readFileSync(agentFile, "utf8"));
  const parameters = parametersOf(metaData);
  const [longDescription = ""] = elements(
    metaData.replace(/<parameters>[\s\S]*<\/parameters>/, ""),
    "longdesc",
  );
  return {
    name: "ocf_clusteripd_ClusterIP",
    section: 7,
    summary: "one IPv4 address on all nodes",
    sections: [
      {
        title: "Synopsis",
        blocks: [literal("ClusterIP {start|stop|monitor|validate-all|meta-data}")],
      },
      { title: "Description", blocks: longDescription.trim().split(/\n\n/).map(text) },
      {
        title: "Supported parameters",
        blocks: parameters.map(({ name, required, fallback, description }) =>
          term(
            name,
            `${description} (${required ? "required" : fallback === "" ? "optional" : `default: ${fallback}`})`,
          ),
        ),
      },
      { title: "Supported actions", blocks: actionsOf(metaData) },
      {
        title: "Example crm shell",
        blocks: [
          literal(
            "primitive vip ocf:clusteripd:ClusterIP \\",
            "  params ip=192.168.1.100 cidr_netmask=24 nic=eth0 \\",
            "  op monitor interval=3s timeout=20s",
            "clone vips vip \\",
            "  meta globally-unique=true clone-max=3 clone-node-max=3 \\",
            "  interleave=true resource-stickiness=0",
          ),
        ],
      },
      {
        title: "Example pcs",
        blocks: [
          literal(
            "pcs resource create vip ocf:clusteripd:ClusterIP \\",
            "  ip=192.168.1.100 cidr_netmask=24 nic=eth0 \\",
            "  op monitor interval=3s timeout=20s \\",
            "  clone vips globally-unique=true clone-max=3 clone-node-max=3 \\",
            "  interleave=true meta resource-stickiness=0",
          ),
        ],
      },
      {
        title: "See also",
        blocks: [text("clusteripd(8), clusterip(8), clusteripd.yaml(5), crm(8), pcs(8)")],
      },
    ],
  };
}

function parametersOf(metaData: string): Parameter[] {
  return [...metaData.matchAll(/<parameter name="([^"]+)"([^>]*)>([\s\S]*?)<\/parameter>/g)].map(
    ([, name = "", attributes = "", body = ""]) => ({
      name,
      required: attributes.includes('required="1"'),
      fallback: /default="([^"]*)"/.exec(body)?.[1] ?? "",
      description: (elements(body, "longdesc")[0] ?? "").trim(),
    }),
  );
}

function actionsOf(metaData: string) {
  return [...metaData.matchAll(/<action name="([^"]+)"([^>]*)\/>/g)].map(([, name = "", attributes = ""]) => {
    const facts = [...attributes.matchAll(/(timeout|interval)="([^"]+)"/g)].map(
      ([, fact = "", value = ""]) => `${fact} ${value}`,
    );
    return term(name, capital(`${facts.join(", ")}.`));
  });
}

function elements(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}[^>]*>([\\s\\S]*?)</${name}>`, "g"))].map(
    ([, body = ""]) => body,
  );
}
