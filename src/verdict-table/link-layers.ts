/** `eth to cluster`, `vlan 5`, `qinq 5`. */
import type { PacketType } from "../core/classify.ts";
import { parseMac } from "../core/mac.ts";
import { be16, concat, type Layer } from "./layer.ts";
import type { Words } from "./words.ts";

/** Who a frame can be sent to by name, and the packet type with which Linux receives it. */
const destinations: Readonly<Record<string, { readonly mac: string; readonly packetType: PacketType }>> = {
  cluster: { mac: "01:00:5e:00:02:64", packetType: "multicast" },
  nic: { mac: "02:00:00:00:00:01", packetType: "host" },
  broadcast: { mac: "ff:ff:ff:ff:ff:ff", packetType: "broadcast" },
  other: { mac: "02:00:00:00:00:02", packetType: "otherHost" },
};
const SENDER_MAC = "02:00:00:00:00:c1";
const ETHERTYPE_VLAN = 0x8100; // IEEE 802.1Q
const ETHERTYPE_QINQ = 0x88a8; // IEEE 802.1ad

export interface LinkLayer extends Layer {
  readonly packetType: PacketType;
}

/** `eth to cluster|nic|broadcast|other [type N]` */
export function readEthernet(words: Words): LinkLayer {
  words.expect("to");
  const name = words.peek() ?? "";
  const destination = Object.hasOwn(destinations, name) ? destinations[name] : undefined;
  if (destination === undefined) words.fail(`a destination: ${Object.keys(destinations).join(", ")}`);
  words.next("a destination");
  const readType = typeOption(words);
  return {
    kind: "link",
    packetType: destination.packetType,
    encode: (held, { heldType }) =>
      concat(parseMac(destination.mac), parseMac(SENDER_MAC), be16(readType(heldType)), held),
  };
}

/** `vlan ID [priority N] [type N]`; `qinq` is the same with the EtherType of the outer tag of two. */
export function readTag(words: Words, name: "vlan" | "qinq"): Layer {
  const id = words.number("a VLAN", 0, 4095);
  const priority = words.takes("priority") ? words.number("a priority", 0, 7) : 0;
  const readType = typeOption(words);
  return {
    kind: "tag",
    type: name === "vlan" ? ETHERTYPE_VLAN : ETHERTYPE_QINQ,
    encode: (held, { heldType }) => concat(be16((priority << 13) | id, readType(heldType)), held),
  };
}

/** The EtherType: what the next layer is, or what `type N` says. */
function typeOption(words: Words): (heldType: number | undefined) => number {
  let told: number | undefined;
  words.options({
    type: () => {
      told = words.number("an EtherType", 0, 0xffff);
    },
  });
  return (heldType) => told ?? heldType ?? words.fail("a layer on top, or 'type N'");
}
