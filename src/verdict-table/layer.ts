/** What the layers of a frame description have in common. */

export type Bytes = Uint8Array<ArrayBuffer>;

/** Where a layer may stand. `data` stands on every other layer and holds nothing. */
export type LayerKind = "link" | "tag" | "ipv4" | "network" | "transport" | "icmp" | "data";

export interface LayerContext {
  /** The EtherType or IP protocol of the layer that this one holds, undefined for none or for data. */
  readonly heldType: number | undefined;
  /** The pseudo-header's addresses, four octets each, for layers on IPv4. */
  readonly addresses: Bytes;
  /**
   * False inside a fragment: its transport checksum covers the whole datagram, of which a
   * description has one piece, so it is left 0.
   */
  readonly isWhole: boolean;
}

/** One part of a description, parsed: it can put its header before what it holds. */
export interface Layer {
  readonly kind: LayerKind;
  /** What the layer below says that it holds: an EtherType or an IP protocol. */
  readonly type?: number;
  /** Of IPv4: the context of the layers that it holds. */
  readonly inside?: Pick<LayerContext, "addresses" | "isWhole">;
  encode(held: Bytes, context: LayerContext): Bytes;
}

/** Which kinds may stand on which. */
export const holds: Readonly<Record<LayerKind, readonly LayerKind[]>> = {
  link: ["tag", "ipv4", "network", "data"],
  tag: ["tag", "ipv4", "network", "data"],
  ipv4: ["transport", "icmp", "data"],
  network: [],
  transport: ["data"],
  icmp: ["ipv4", "data"],
  data: [],
};

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Big-endian, as on the wire. */
export function be16(...values: readonly number[]): Bytes {
  return Uint8Array.from(values.flatMap((value) => [(value >>> 8) & 255, value & 255]));
}

export function be32(...values: readonly number[]): Bytes {
  return be16(...values.flatMap((value) => [value >>> 16, value & 0xffff]));
}
