/** Which contenders can be measured on this machine; the others are skipped, and said why. */
import { messageOf } from "../../src/core/errors.ts";
import type { Book } from "./book.ts";
import type { Contender } from "./contender.ts";
import { bpf, userspace, userspaceBound } from "./contenders/clusteripd.ts";
import { haproxy } from "./contenders/haproxy.ts";
import { nft, plain, xtCluster } from "./contenders/netfilter.ts";
import { reference } from "./contenders/reference.ts";
import { note } from "./progress.ts";
import { Site } from "./site.ts";

const all: readonly Contender[] = [plain, nft, xtCluster, haproxy, reference, userspace, userspaceBound, bpf];

/** Sets each up once, on a LAN of its own. Without the plain address there is nothing to compare with. */
export async function availableContenders(book: Book): Promise<Contender[]> {
  const available: Contender[] = [];
  for (const contender of all) {
    try {
      const site = await Site.create(contender, { nodes: 1 });
      // Several, because the reference overlooks the first frame.
      const ping = ["ping", "-q", "-c", "5", "-i", "0.2", "-W", "2", site.vip];
      await site.client.exec(ping).finally(() => site.close());
      available.push(contender);
    } catch (error) {
      if (contender === plain) throw error;
      const reason = messageOf(error).trim();
      book.skip(contender.name, reason);
      note(`skipped: ${contender.title}: ${reason}`);
    }
  }
  return available;
}
