/**
 * The routes to the clients. Wanted: where only the virtual IP is of its network, its interface has no route to the
 * clients, and gets one of ours. Had is what the kernel's main table says.
 */
import { syncRoutes, type WantedRoute } from "../../host/routes.ts";
import type { ServedMap } from "../asked.ts";
import { findPrefixLength } from "../find-network.ts";
import type { Repairs } from "../repairs.ts";
import type { Links } from "./links.ts";

export class Routes {
  readonly #links: Links;
  readonly #repairs: Repairs;

  constructor(links: Links, repairs: Repairs) {
    this.#links = links;
    this.#repairs = repairs;
  }

  wanted(served: ServedMap): readonly WantedRoute[] {
    return [...served.values()].flatMap(({ settings: { nic, address, prefixLength } }) => {
      const link = this.#links.of(nic);
      if (prefixLength === undefined || prefixLength > 31 || link?.isUp !== true) return [];
      const hasOwn = findPrefixLength(address, link, [], prefixLength) !== undefined;
      return hasOwn ? [] : [{ device: nic, address, prefixLength }];
    });
  }

  async apply(served: ServedMap): Promise<readonly string[]> {
    return syncRoutes(this.wanted(served));
  }

  async repair(served: ServedMap): Promise<void> {
    const routes = await this.apply(served);
    if (routes.length > 0) this.#repairs.count({ kind: "address", did: "routes", routes });
  }
}
