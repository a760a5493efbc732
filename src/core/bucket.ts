/** From a flow to its bucket: what `clusterip_hashfn` of `ipt_CLUSTERIP.c` (kernel 5.10) does. */
import { jhash1word, jhash2words, jhash3words } from "./jhash.ts";

/** The hash modes under their iptables names, with the number of ports that enter the hash. */
export const hashModeNumbers = {
  sourceip: 0,
  "sourceip-sourceport": 1,
  "sourceip-sourceport-destport": 2,
} as const;
export type HashMode = keyof typeof hashModeNumbers;
/** The index is the number. */
export const hashModes: readonly [HashMode, ...HashMode[]] = Object.keys(hashModeNumbers) as [
  HashMode,
  ...HashMode[],
];

/** IPv4 protocols by the names of /etc/protocols (IANA protocol numbers). */
export const protocolNumbers = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  dccp: 33,
  gre: 47,
  esp: 50,
  ah: 51,
  sctp: 132,
  udplite: 136,
} as const;
export type ProtocolName = keyof typeof protocolNumbers;

/**
 * Where the two port words of a protocol lie, in octets from the start of its header: the
 * kernel's `proto_ports_offset`. For ESP and AH they are the halves of the SPI.
 *
 * @returns undefined for a protocol without ports, which hashes as ports 0 and 0.
 */
export function portsOffset(protocol: number): number | undefined {
  switch (protocol) {
    case protocolNumbers.tcp:
    case protocolNumbers.udp:
    case protocolNumbers.dccp:
    case protocolNumbers.esp:
    case protocolNumbers.sctp:
    case protocolNumbers.udplite:
      return 0;
    case protocolNumbers.ah:
      return 4;
    default:
      return undefined;
  }
}

/** What the hash sees of a packet. */
export interface Flow {
  /** IANA protocol number. */
  readonly protocol: number;
  /** Source address, host order. */
  readonly saddrHost: number;
  /** Source port as a number (40000 for port 40000); not used by protocols without ports. */
  readonly sourcePort: number;
  /** Destination port as a number. */
  readonly destinationPort: number;
}

/** What the hash needs of a virtual IP's settings. */
export interface HashSettings {
  readonly hashMode: HashMode;
  /** 1 to 16 */
  readonly bucketCount: number;
  /** seed, unsigned 32 bits */
  readonly hashInit: number;
}

/** A port as the kernel hashes it: the two octets on the wire, read little-endian. */
export function portWireLittleEndian(port: number): number {
  return ((port & 0xff) << 8) | (port >>> 8);
}

/** The words that enter the hash, in order: 1, 2 or 3 of them according to the mode. */
export function hashWords(flow: Flow, hashMode: HashMode): readonly number[] {
  const hasPorts = portsOffset(flow.protocol) !== undefined;
  const words = [
    flow.saddrHost,
    hasPorts ? portWireLittleEndian(flow.sourcePort) : 0,
    hasPorts ? portWireLittleEndian(flow.destinationPort) : 0,
  ];
  return words.slice(0, 1 + hashModes.indexOf(hashMode));
}

/** The hash of a flow: an unsigned 32-bit number. */
export function hashOf(flow: Flow, settings: Pick<HashSettings, "hashMode" | "hashInit">): number {
  const hasPorts = portsOffset(flow.protocol) !== undefined;
  const sportWord = hasPorts ? portWireLittleEndian(flow.sourcePort) : 0;
  switch (settings.hashMode) {
    case "sourceip":
      return jhash1word(flow.saddrHost, settings.hashInit);
    case "sourceip-sourceport":
      return jhash2words(flow.saddrHost, sportWord, settings.hashInit);
    case "sourceip-sourceport-destport": {
      const dportWord = hasPorts ? portWireLittleEndian(flow.destinationPort) : 0;
      return jhash3words(flow.saddrHost, sportWord, dportWord, settings.hashInit);
    }
  }
}

/**
 * The bucket of a hash, 1 to `bucketCount`: `((u64)hash * bucketCount >> 32) + 1`, the kernel's
 * `reciprocal_scale`; not a modulo. The product is below 2^36, exact in a double.
 */
export function bucketOfHash(hash: number, bucketCount: number): number {
  return Math.floor((hash * bucketCount) / 0x1_0000_0000) + 1;
}

/** The bucket of a flow, 1 to `bucketCount`. */
export function bucketOf(flow: Flow, settings: HashSettings): number {
  return bucketOfHash(hashOf(flow, settings), settings.bucketCount);
}
