/** All man pages and the shell completion, as files below packaging/. */
import path from "node:path";
import { clusteripProgram } from "../../../src/cli/clusterip.ts";
import { clusteripdProgram } from "../../../src/cli/clusteripd.ts";
import { configOptions } from "../../../src/settings/config-options.ts";
import {
  DEFAULT_SOCKET,
  type OptionEntry,
  SOCKET_VARIABLE,
  vipOption,
  virtualIpOptions,
} from "../../../src/settings/options.ts";
import { agentPage } from "./agent.ts";
import {
  capital,
  commandBlocks,
  exitStatusSection,
  optionTerms,
  synopsis,
  synopsisSection,
} from "./commands.ts";
import { completionOf } from "./completion.ts";
import { literal, type ManPage, renderManPage, type Section, term, text } from "./roff.ts";

const seeAlso = (self: string): Section => ({
  title: "See also",
  blocks: [
    text(
      ["clusteripd(8)", "clusterip(8)", "clusteripd.yaml(5)", "ocf_clusteripd_ClusterIP(7)"]
        .filter((page) => page !== self)
        .join(", "),
    ),
  ],
});

const environment: Section = {
  title: "Environment",
  blocks: [term(SOCKET_VARIABLE, "The control socket, where --socket does not say it.")],
};

function daemonPage(): ManPage {
  const program = clusteripdProgram();
  return {
    name: "clusteripd",
    section: 8,
    summary: "serve IP addresses that several hosts share",
    sections: [
      synopsisSection(synopsis(program)),
      {
        title: "Description",
        blocks: [
          text(program.description()),
          text(
            "Every host of a cluster receives every packet to the virtual IP, because the address resolves to a multicast MAC address. Each host hashes the source of a packet into one of a number of buckets, as the CLUSTERIP target of iptables did, and answers only for the buckets that are its own.",
          ),
          text(
            "The daemon sets up addresses, nftables rules and a packet engine, puts back what others change, and removes everything when it ends by SIGTERM. Which buckets it had is saved beside the control socket: the next start goes on with them, unless the host was booted, the configuration file asks for others than before or gives them another meaning (total-nodes, hashmode, hash-init), or clusterip cleanup has forgotten them.",
          ),
          text(
            "It logs to standard error, one JSON object a line. It does not put itself into the background.",
          ),
        ],
      },
      { title: "Options", blocks: optionTerms(program) },
      {
        title: "Signals",
        blocks: [
          term("SIGHUP", "Reads the configuration file again and changes only what differs."),
          term("SIGTERM, SIGINT", "Removes everything from the host and ends; the buckets stay saved."),
          term(
            "SIGKILL",
            "Removes nothing. Until the next start or clusterip cleanup the host goes on answering for its buckets with the engine bpf, and is silent with the engine userspace.",
          ),
        ],
      },
      environment,
      {
        title: "Files",
        blocks: [
          term("/etc/clusteripd/clusteripd.yaml", "The configuration file of the service."),
          term(DEFAULT_SOCKET, "The control socket."),
          term(DEFAULT_SOCKET.replace(/sock$/, "state"), "The saved buckets."),
        ],
      },
      exitStatusSection(["done", "refused", "usage"]),
      seeAlso("clusteripd(8)"),
    ],
  };
}

function clientPage(): ManPage {
  const program = clusteripProgram();
  return {
    name: "clusterip",
    section: 8,
    summary: "control clusteripd, and explain which host answers whom",
    sections: [
      synopsisSection(`${program.name()} [options] command [arguments]`),
      { title: "Description", blocks: [text(program.description())] },
      { title: "Options", blocks: optionTerms(program) },
      { title: "Commands", blocks: commandBlocks(program) },
      environment,
      exitStatusSection(["done", "refused", "usage", "unreachable"]),
      seeAlso("clusterip(8)"),
    ],
  };
}

function configPage(): ManPage {
  const terms = (entries: readonly OptionEntry[]) =>
    entries.map(({ name, required, defaultText, description }) => {
      const note = required ? " Required." : defaultText === undefined ? "" : ` Default: ${defaultText}.`;
      return term(name, `${capital(description)}.${note}`);
    });
  return {
    name: "clusteripd.yaml",
    section: 5,
    summary: "configuration file of clusteripd",
    sections: [
      {
        title: "Description",
        blocks: [
          text(
            "A YAML file. A key that is not known is an error. clusteripd --check reads the file and says what is wrong with it, with the line; a reload that finds an error changes nothing.",
          ),
        ],
      },
      { title: "Keys", blocks: terms(configOptions) },
      { title: "Keys of a virtual IP", blocks: terms([vipOption, ...virtualIpOptions]) },
      {
        title: "Example",
        blocks: [
          literal(
            "virtual-ips:",
            "  - vip: 192.168.1.100",
            "    nic: eth0",
            "    total-nodes: 3",
            "    local-node: 1",
            "    hashmode: sourceip-sourceport",
          ),
        ],
      },
      seeAlso("clusteripd.yaml(5)"),
    ],
  };
}

/** By path below the project's directory. */
export function generatedFiles(root: string): ReadonlyMap<string, string> {
  const pages = [
    daemonPage(),
    clientPage(),
    configPage(),
    agentPage(path.join(root, "packaging/ocf/ClusterIP")),
  ];
  return new Map([
    ...pages.map((page) => [`packaging/man/${page.name}.${page.section}`, renderManPage(page)] as const),
    ...[clusteripProgram(), clusteripdProgram()].map(
      (program) => [`packaging/completion/${program.name()}`, completionOf(program)] as const,
    ),
  ]);
}
