/** Finding the virtual IP of a capture: the address whose frames go to a cluster MAC. */
import { ClusterIpError } from "../core/errors.ts";
import { formatIpv4, whyNotVirtualIp } from "../core/ipv4.ts";
import { ipv4Addresses, linkFrameOf } from "../pcap/link-layer.ts";
import type { CaptureRecord } from "../pcap/record.ts";
import { formatCount } from "./numbers.ts";

/** More candidates than these are not worth counting: no person would choose among them. */
const MAX_CANDIDATES = 1000;
const MAX_LISTED = 8;

/**
 * The one unicast IPv4 destination that is sent to a multicast MAC. With none or several the
 * user has to say which, and the error lists the candidates.
 */
export async function findVirtualIp(records: AsyncIterable<CaptureRecord>): Promise<number> {
  const multicast = new Map<number, number>();
  const unicast = new Map<number, number>();
  for await (const record of records) {
    const frame = linkFrameOf(record);
    if (frame?.ipv4Offset === undefined) continue;
    const destination = ipv4Addresses(frame.data, frame.ipv4Offset)?.destination;
    if (destination === undefined || whyNotVirtualIp(destination) !== undefined) continue;
    const candidates = frame.isMulticast ? multicast : unicast;
    const count = candidates.get(destination);
    if (count !== undefined || candidates.size < MAX_CANDIDATES)
      candidates.set(destination, (count ?? 0) + 1);
  }
  const [only, second] = multicast.keys();
  if (only !== undefined && second === undefined) return only;
  throw new ClusterIpError("CLUSTERIP_BAD_CAPTURE", refusal(multicast, unicast));
}

function refusal(multicast: ReadonlyMap<number, number>, unicast: ReadonlyMap<number, number>): string {
  if (multicast.size > 0) {
    return `Several addresses are sent to a multicast MAC; say with --vip which are meant: ${listed(multicast)}.`;
  }
  const noCluster =
    "No IPv4 address in this capture is sent to a multicast MAC, as frames to a virtual IP are";
  if (unicast.size === 0) return `${noCluster}, and there is no other IPv4 traffic to a possible virtual IP.`;
  return `${noCluster}; say with --vip which address is meant. The destinations are ${listed(unicast)}.`;
}

/** The busiest first. */
function listed(candidates: ReadonlyMap<number, number>): string {
  const busiest = [...candidates].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  const shown = busiest
    .slice(0, MAX_LISTED)
    .map(([address, frames]) => `${formatIpv4(address)} (${formatCount(frames)})`);
  const hidden = busiest.length - shown.length;
  return shown.join(", ") + (hidden > 0 ? ` and ${hidden} more` : "");
}
