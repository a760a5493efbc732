/** The reference dataplane in plain TypeScript (cap, classify(), raw-socket): what the native engine buys. */
import { renderTables } from "../../../src/host/nft.ts";
import { parseIpv4Address } from "../../../src/model/address.ts";
import { toClusterMac } from "../../../src/model/mac.ts";
import { NIC } from "../../../test/support/lab/host.ts";
import { supportProgram } from "../../../test/support/lab/paths.ts";
import { Hopeless, until } from "../../../test/support/wait.ts";
import type { Contender } from "../contender.ts";

export const reference: Contender = {
  name: "reference",
  title: "the reference in TypeScript (cap, raw-socket)",
  hasFront: false,
  sharesAddress: true,
  async setUp(site) {
    const virtualIps = site.vips.map((vip) => ({
      ...{ address: parseIpv4Address(vip), nic: NIC, clusterMac: toClusterMac(site.clusterMac(vip)) },
    }));
    for (const [index, node] of site.nodes.entries()) {
      await node.exec(["nft", "-f", "-"], {
        input: renderTables(virtualIps, [{ name: NIC, carriesOthers: false, isBridge: false, own: [] }]),
      });
      for (const vip of site.vips) {
        await node.ip("addr", "add", `${vip}/32`, "dev", NIC);
        const settings = ["--total-nodes", String(site.bucketCount), "--local-node", String(index + 1)];
        const child = node.spawn([
          process.execPath,
          supportProgram("reference-node"),
          "--vip",
          vip,
          ...settings,
        ]);
        site.pids.push(child.pid);
        let output = "";
        for (const pipe of [child.child.stdout, child.child.stderr]) {
          pipe?.setEncoding("utf8").on("data", (text: string) => {
            output += text;
          });
        }
        await until(() => {
          if (!child.running) throw new Hopeless(`the reference did not start: ${output.trim()}`);
          if (!output.includes("ready")) throw new Error("the reference does not capture");
        });
      }
    }
  },
};
