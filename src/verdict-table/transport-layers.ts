/** The protocols with ports, `esp`, `ah` and `icmp`. */
import { protocolNumbers } from "../core/bucket.ts";
import { crc32c, internetChecksum } from "./checksums.ts";
import { type Bytes, be16, be32, concat, type Layer, type LayerContext } from "./layer.ts";
import type { Words } from "./words.ts";

export const portProtocols = ["tcp", "udp", "udplite", "dccp", "sctp"] as const;
export type PortProtocol = (typeof portProtocols)[number];

const tcpFlags = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 } as const;

/** `tcp 40000 > 80 [syn] [ack] …`, `udp 40000 > 80`, …; `bad-checksum` and `no-checksum` for all. */
export function readPorts(words: Words, name: PortProtocol): Layer {
  const source = words.number("the source port", 0, 0xffff);
  words.expect(">");
  const destination = words.number("the destination port", 0, 0xffff);
  let flags = 0;
  let wrong: "bad" | "none" | undefined;
  const flagReaders = Object.entries(tcpFlags).map(([flag, bit]) => [
    flag,
    () => {
      flags |= bit;
    },
  ]);
  words.options({
    ...(name === "tcp" ? Object.fromEntries(flagReaders) : {}),
    "bad-checksum": () => {
      wrong = "bad";
    },
    "no-checksum": () => {
      wrong = "none";
    },
  });
  const type = protocolNumbers[name];
  return {
    kind: "transport",
    type,
    encode: (held, context) => {
      const segment = concat(be16(source, destination), restOfHeader(name, flags, held.length), held);
      const { at, octets } = checksumOf(name, type, segment, context);
      if (wrong === "bad")
        segment.set(
          octets.map((octet) => octet ^ 0x55),
          at,
        );
      else if (wrong === undefined && context.isWhole) segment.set(octets, at);
      return segment;
    },
  };
}

/** The header behind the ports, its checksum 0. */
function restOfHeader(name: PortProtocol, flags: number, heldLength: number): Bytes {
  switch (name) {
    case "tcp": // RFC 9293: sequence, acknowledgement, data offset, flags, window
      return concat(be32(1, 0), Uint8Array.of(5 << 4, flags), be16(0xffff, 0, 0));
    case "udp": // RFC 768
      return be16(8 + heldLength, 0);
    case "udplite": // RFC 3828: coverage 0 is the whole packet
      return be16(0, 0);
    case "dccp": // RFC 4340: data offset 4, a DCCP-Request with short sequence numbers
      return concat(Uint8Array.of(4, 0), be16(0), be32(0, 1));
    case "sctp": // RFC 9260: verification tag, checksum
      return be32(1, 0);
  }
}

function checksumOf(
  name: PortProtocol,
  protocol: number,
  segment: Bytes,
  { addresses }: LayerContext,
): { readonly at: number; readonly octets: Bytes } {
  if (name === "sctp") {
    const crc = crc32c(segment);
    return { at: 8, octets: be32(crc).reverse() };
  }
  const pseudoHeader = concat(addresses, be16(protocol, segment.length));
  const checksum = internetChecksum(pseudoHeader, segment);
  // 0 would mean that there is none (RFC 768, RFC 3828).
  const isUdp = name === "udp" || name === "udplite";
  return { at: name === "tcp" ? 16 : 6, octets: be16(isUdp && checksum === 0 ? 0xffff : checksum) };
}

/** `esp SPI` (RFC 4303) and `ah SPI` (RFC 4302, with the 12 octets of HMAC-SHA1-96). */
export function readIpsec(words: Words, name: "esp" | "ah"): Layer {
  const spi = words.number("an SPI", 0, 0xffffffff);
  words.options({});
  const header =
    name === "esp"
      ? be32(spi, 1)
      : concat(Uint8Array.of(protocolNumbers.tcp, 4), be16(0), be32(spi, 1, 0, 0, 0));
  return { kind: "transport", type: protocolNumbers[name], encode: (held) => concat(header, held) };
}

/** ICMP types by name (RFC 792, 950, 1256), with the names of those codes that matter here. */
const icmpTypes: Readonly<
  Record<string, { readonly type: number; readonly codes?: Readonly<Record<string, number>> }>
> = {
  "echo-reply": { type: 0 },
  unreachable: { type: 3, codes: { net: 0, host: 1, protocol: 2, port: 3, "frag-needed": 4, filtered: 13 } },
  "source-quench": { type: 4 },
  redirect: { type: 5, codes: { net: 0, host: 1 } },
  "echo-request": { type: 8 },
  "router-advertisement": { type: 9 },
  "router-solicitation": { type: 10 },
  "time-exceeded": { type: 11, codes: { ttl: 0, reassembly: 1 } },
  "parameter-problem": { type: 12 },
  "timestamp-request": { type: 13 },
  "timestamp-reply": { type: 14 },
  "info-request": { type: 15 },
  "info-reply": { type: 16 },
  "mask-request": { type: 17 },
  "mask-reply": { type: 18 },
};

/**
 * `icmp NAME [CODE]` or `icmp type N [code N]`, then `quoting N` (octets of the packet inside
 * that are kept, as a router does that keeps only its header and 8 octets), `bad-checksum`.
 */
export function readIcmp(words: Words): Layer {
  const { type, code } = words.takes("type") ? readIcmpNumbers(words) : readIcmpName(words);
  let quoted: number | undefined;
  let mask = 0;
  words.options({
    quoting: () => {
      quoted = words.number("octets", 0, 0xffff);
    },
    "bad-checksum": () => {
      mask = 0x5555;
    },
  });
  return {
    kind: "icmp",
    type: protocolNumbers.icmp,
    encode: (held, { isWhole }) => {
      const message = concat(Uint8Array.of(type, code), be16(0, 0, 0), held.subarray(0, quoted));
      if (isWhole) message.set(be16(internetChecksum(message) ^ mask), 2);
      return message;
    },
  };
}

function readIcmpNumbers(words: Words): { readonly type: number; readonly code: number } {
  const type = words.number("an ICMP type", 0, 255);
  return { type, code: words.takes("code") ? words.number("an ICMP code", 0, 255) : 0 };
}

function readIcmpName(words: Words): { readonly type: number; readonly code: number } {
  const name = words.peek() ?? "";
  const known = Object.hasOwn(icmpTypes, name) ? icmpTypes[name] : undefined;
  if (known === undefined) words.fail(`'type N' or an ICMP type: ${Object.keys(icmpTypes).join(", ")}`);
  words.next("an ICMP type");
  const code = Object.entries(known.codes ?? {}).find(([word]) => words.takes(word));
  return { type: known.type, code: code?.[1] ?? 0 };
}
