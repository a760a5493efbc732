/** Without a balancer, and the kernel's own successors of the CLUSTERIP target, as their users set them up. */
import { endianness } from "node:os";
import { bucketOfHash } from "../../../src/core/bucket.ts";
import { jhash1word } from "../../../src/index.ts";
import { type Host, NIC } from "../../../test/support/lab/host.ts";
import { until } from "../../../test/support/wait.ts";
import type { Contender } from "../contender.ts";
import type { Site } from "../site.ts";

/** The seed of the hash: 0 as in clusteripd's default, so that all are asked the same. */
const SEED = 0;

async function addAddresses(node: Host, vips: readonly string[]): Promise<void> {
  const commands = vips.map((vip) => `address add ${vip}/32 dev ${NIC}\n`).join("");
  await node.exec(["ip", "-batch", "-"], { input: commands });
}

/** The cluster MAC in all ARP that speaks for the virtual IPs. */
function arpTable(site: Site): string {
  const rules = site.vips.map((vip) => `arp saddr ip ${vip} arp saddr ether set ${site.clusterMac(vip)}`);
  return [
    "table arp peer {",
    "  chain output {",
    "    type filter hook output priority 0; policy accept;",
    ...rules.map((rule) => `    oifname "${NIC}" ${rule}`),
    "  }",
    "}",
    "",
  ].join("\n");
}

export const plain: Contender = {
  name: "plain",
  title: "a plain address, no balancer",
  hasFront: false,
  sharesAddress: false,
  async setUp(site) {
    await addAddresses(site.node, site.vips);
  },
};

/** IPaddr2 of resource-agents after its rewrite of 2026 (pull request 2183), with cluster_firewall=nft. */
export const nft: Contender = {
  name: "nft",
  title: "nft jhash, as IPaddr2 of 2026 writes it",
  hasFront: false,
  sharesAddress: true,
  async setUp(site) {
    for (const [index, node] of site.nodes.entries()) {
      await addAddresses(node, site.vips);
      const tables = site.vips.map((vip, at) =>
        renderNftTable(`cluster${at}`, vip, site.bucketCount, [index + 1]),
      );
      await node.exec(["nft", "-f", "-"], { input: tables.join("") + arpTable(site) });
    }
  },
};

/** A table for each virtual IP, a rule for each bucket that the node has, and a last rule for all others. */
export function renderNftTable(
  name: string,
  vip: string,
  bucketCount: number,
  localBuckets: readonly number[],
): string {
  const hash = `jhash ip saddr mod ${bucketCount} seed ${SEED} offset 1`;
  const toVip = `iif "${NIC}" ip daddr ${vip}`;
  return [
    `table ip ${name} {`,
    "  chain prerouting {",
    "    type filter hook prerouting priority mangle; policy accept;",
    ...localBuckets.map((bucket) => `    ${toVip} ${hash} == ${bucket} meta pkttype set host accept`),
    `    ${toVip} drop`,
    "  }",
    "}",
    "",
  ].join("\n");
}

/** The bucket of a source address under the hash of nft and xt_cluster: in network order, read as a word. */
export function nftBucketOf(saddrHost: number, bucketCount: number): number {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(saddrHost);
  const word = endianness() === "LE" ? octets.readUInt32LE() : saddrHost;
  return bucketOfHash(jhash1word(word, SEED), bucketCount);
}

export const xtCluster: Contender = {
  name: "xt-cluster",
  title: "iptables -m cluster (xt_cluster, with conntrack)",
  hasFront: false,
  sharesAddress: true,
  async setUp(site) {
    for (const [index, node] of site.nodes.entries()) {
      await addAddresses(node, site.vips);
      // Not --cluster-local-nodemask, as most examples have it: iptables 1.8 refuses masks above 32, node 7 and on.
      const match = `--cluster-total-nodes ${site.bucketCount} ! --cluster-local-node ${index + 1}`;
      const rules = site.vips.map(
        (vip) =>
          `-A PREROUTING -d ${vip} -i ${NIC} -m cluster ${match} --cluster-hash-seed 0x${SEED.toString(16)} -j DROP`,
      );
      await node.exec(["iptables-restore"], { input: ["*mangle", ...rules, "COMMIT", ""].join("\n") });
      await node.exec(["nft", "-f", "-"], { input: arpTable(site) });
    }
  },
};

/** One rule at nft's ingress hook: the least that nft can do to get rid of a frame. */
export const ingressDrop: Contender = {
  name: "nft-ingress",
  title: "nft ingress: one rule that drops",
  hasFront: false,
  sharesAddress: false,
  async setUp(site) {
    const rules = site.vips.map((vip) => `    ip daddr ${vip} drop`);
    const chain = ["  chain ingress {", `    type filter hook ingress device "${NIC}" priority 0;`, ...rules];
    const table = ["table netdev peer {", ...chain, "  }", "}", ""].join("\n");
    await site.node.exec(["nft", "-f", "-"], { input: table });
  },
};

/** What engine userspace cannot go below: a tap whose filter takes nothing, and the guard. */
export const tapLimit: Contender = {
  name: "tap-limit",
  title: "nft ingress drop and an AF_PACKET tap whose filter takes nothing",
  hasFront: false,
  sharesAddress: false,
  async setUp(site) {
    await ingressDrop.setUp(site);
    const tap = ["tcpdump", "-p", "-i", NIC, "-w", "/dev/null", "ether proto 0x88b6"];
    site.node.spawn(tap, { stdio: "ignore" });
    // A line for each packet socket of the network namespace, below the titles.
    const sockets = async (): Promise<string> => site.node.exec(["cat", "/proc/net/packet"]);
    await until(async () => {
      if (!(await sockets()).trim().includes("\n")) throw new Error("tcpdump does not capture");
    });
  },
};
