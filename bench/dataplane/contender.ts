/** What shares an address, or stands in for it: the engines of clusteripd and their peers. */
import type { Site } from "./site.ts";

export const contenderNames = [
  "plain",
  "nft",
  "nft-ingress",
  "tap-limit",
  "xt-cluster",
  "haproxy",
  "reference",
  "userspace",
  "userspace-bound",
  "bpf",
] as const;
export type ContenderName = (typeof contenderNames)[number];

export interface Contender {
  readonly name: ContenderName;
  /** for people */
  readonly title: string;
  /** whether a host in front of the nodes takes the traffic */
  readonly hasFront: boolean;
  /** whether it can share an address among several nodes */
  readonly sharesAddress: boolean;
  /** Makes the site's virtual IPs answer. Node i has bucket i of the site's `bucketCount`. */
  setUp(site: Site): Promise<void>;
}
