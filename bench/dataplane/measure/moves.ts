/** From the request to move a bucket to its effect, as a client sees it; see move.c. */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { call } from "../../../src/api/client.ts";
import { paths } from "../../../src/api/contract.ts";
import { bucketOf, parseIpv4, protocolNumbers } from "../../../src/index.ts";
import type { Contender } from "../contender.ts";
import { nftBucketOf, renderNftTable } from "../contenders/netfilter.ts";
import type { Programs } from "../flood-tool.ts";
import { Site } from "../site.ts";

export interface MoveTimes {
  readonly gainsMs: readonly number[];
  readonly lossesMs: readonly number[];
}

const TOTAL_NODES = 2;
/** A daemon looks at its host once more when its monitors hear, half a second after its start; a move waits for that. */
const START_IS_OVER_MS = 1500;

/** Builds a site whose node lacks the bucket of the client, and moves that bucket there and away again. */
export async function measureMoves(
  contender: Contender,
  programs: Programs,
  moves: number,
): Promise<MoveTimes> {
  const site = await Site.create(contender, { nodes: 1, bucketCount: TOTAL_NODES });
  try {
    const argv = [programs.move, site.vip, String(moves), ...(await moverArguments(site))];
    const output = await site.client.exec(argv, { timeoutMs: 60_000 + moves * 100 });
    return parseMoves(output);
  } finally {
    await site.close();
  }
}

async function moverArguments(site: Site): Promise<string[]> {
  const [daemon] = site.daemons;
  if (daemon === undefined) return nftArguments(site);
  await leaveCpuToProber(site, daemon.pid);
  await sleep(START_IS_OVER_MS);
  const bucket = clientsBucket(site);
  // Node 1 has bucket 1: if that is the client's, it goes to nobody first.
  if (bucket === 1) await call(daemon.socket, "POST", paths.buckets(site.vip), { change: "-1" });
  return ["api", daemon.socket, String(bucket)];
}

/** move.c has the last CPU: a node would not share its CPUs with the client. */
async function leaveCpuToProber({ node }: Site, pid: number): Promise<void> {
  const last = availableParallelism() - 1;
  if (last > 0)
    await node.exec(["taskset", "--all-tasks", "--pid", "--cpu-list", `0-${last - 1}`, String(pid)]);
}

/** Echo requests are hashed with ports 0 and 0. */
function clientsBucket(site: Site): number {
  const flow = {
    protocol: protocolNumbers.icmp,
    saddrHost: parseIpv4(site.client.address),
    sourcePort: 0,
    destinationPort: 0,
  };
  return bucketOf(flow, { hashMode: "sourceip-sourceport", totalNodes: site.bucketCount, hashInit: 0 });
}

/** The peer's move: its table is replaced in one transaction, with the rule of the bucket or without. */
async function nftArguments(site: Site): Promise<string[]> {
  const bucket = nftBucketOf(parseIpv4(site.client.address), TOTAL_NODES);
  const other = bucket === 1 ? 2 : 1;
  const files = [[other, bucket], [other]].map((localBuckets, index) => {
    const file = path.join(site.lab.directoryOf(site.node), `move${index}.nft`);
    const replaced = ["table ip cluster0", "delete table ip cluster0", ""].join("\n");
    writeFileSync(file, replaced + renderNftTable("cluster0", site.vip, TOTAL_NODES, localBuckets));
    return file;
  });
  await site.node.exec(["nft", "-f", files[1] ?? ""]);
  return ["nft", site.node.namespace, ...files];
}

function parseMoves(output: string): MoveTimes {
  const times = (kind: string): number[] =>
    [...output.matchAll(new RegExp(`^${kind} (\\d+)$`, "gm"))].map((match) => Number(match[1]) / 1e6);
  return { gainsMs: times("gain"), lossesMs: times("lose") };
}
