/** `ipv4 A > B …`, and what is not IPv4: `arp`, `ipv6`. */
import { protocolNumbers } from "../core/bucket.ts";
import { internetChecksum } from "./checksums.ts";
import { type Bytes, be16, be32, concat, type Layer } from "./layer.ts";
import type { Words } from "./words.ts";

const HEADER = 20; // RFC 791, without options
const NO_OPERATION = 1; // the IPv4 option of one octet
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

interface Ipv4Fields {
  optionsLength: number;
  tos: number;
  id: number;
  flagsAndOffset: number;
  ttl: number;
  protocol: number | undefined;
  version: number;
  headerLength: number | undefined;
  totalLength: number | undefined;
  hasBadChecksum: boolean;
}

/**
 * `ipv4 SOURCE > DESTINATION` and any of: `options N` (octets of options), `tos N`, `id N`,
 * `ttl N`, `dont-fragment`, `fragment OFFSET [more]`, `proto NAME|N`; and lies: `version N`,
 * `header-length N`, `total-length N` (octets), `bad-checksum`.
 */
export function readIpv4(words: Words): Layer {
  const source = words.address("the source");
  words.expect(">");
  const destination = words.address("the destination");
  const fields = readFields(words);
  return {
    kind: "ipv4",
    type: 0x0800,
    inside: {
      addresses: be32(source, destination),
      isWhole: (fields.flagsAndOffset & ~DONT_FRAGMENT) === 0,
    },
    encode: (held, { heldType }) => {
      const protocol = fields.protocol ?? heldType ?? words.fail("a layer on top, or 'proto N'");
      return concat(encodeHeader(fields, protocol, be32(source, destination), held.length), held);
    },
  };
}

function readFields(words: Words): Ipv4Fields {
  const fields: Ipv4Fields = {
    optionsLength: 0,
    tos: 0,
    id: 1,
    flagsAndOffset: 0,
    ttl: 64,
    protocol: undefined,
    version: 4,
    headerLength: undefined,
    totalLength: undefined,
    hasBadChecksum: false,
  };
  words.options({
    options: () => {
      fields.optionsLength = inFours(words, "octets of options", 40);
    },
    tos: () => {
      fields.tos = words.number("a type of service", 0, 255);
    },
    id: () => {
      fields.id = words.number("an identification", 0, 0xffff);
    },
    ttl: () => {
      fields.ttl = words.number("a time to live", 0, 255);
    },
    "dont-fragment": () => {
      fields.flagsAndOffset |= DONT_FRAGMENT;
    },
    fragment: () => {
      const offset = words.number("an offset in octets", 0, 65_528);
      if (offset % 8 !== 0) words.fail(`an offset of whole 8 octets instead of ${offset}`);
      fields.flagsAndOffset |= offset / 8;
      if (words.takes("more")) fields.flagsAndOffset |= MORE_FRAGMENTS;
    },
    proto: () => {
      fields.protocol = readProtocol(words);
    },
    version: () => {
      fields.version = words.number("a version", 0, 15);
    },
    "header-length": () => {
      fields.headerLength = inFours(words, "a header length in octets", 60);
    },
    "total-length": () => {
      fields.totalLength = words.number("a total length", 0, 0xffff);
    },
    "bad-checksum": () => {
      fields.hasBadChecksum = true;
    },
  });
  return fields;
}

function inFours(words: Words, what: string, max: number): number {
  const octets = words.number(what, 0, max);
  return octets % 4 === 0 ? octets : words.fail(`${what} in fours instead of ${octets}`);
}

function readProtocol(words: Words): number {
  const name = words.peek() ?? "";
  if (!Object.hasOwn(protocolNumbers, name)) return words.number("a protocol by name or", 0, 255);
  words.next("a protocol");
  return protocolNumbers[name as keyof typeof protocolNumbers];
}

function encodeHeader(fields: Ipv4Fields, protocol: number, addresses: Bytes, heldLength: number): Bytes {
  const length = HEADER + fields.optionsLength;
  const header = concat(
    Uint8Array.of((fields.version << 4) | ((fields.headerLength ?? length) / 4), fields.tos),
    be16(fields.totalLength ?? length + heldLength, fields.id, fields.flagsAndOffset),
    Uint8Array.of(fields.ttl, protocol),
    be16(0),
    addresses,
    new Uint8Array(fields.optionsLength).fill(NO_OPERATION),
  );
  header.set(be16(internetChecksum(header) ^ (fields.hasBadChecksum ? 0x5555 : 0)), 10);
  return header;
}

/** `arp who-has ADDRESS from ADDRESS`: a request (RFC 826). */
export function readArp(words: Words): Layer {
  words.expect("who-has");
  const target = words.address("the address asked for");
  words.expect("from");
  const sender = words.address("the sender");
  words.options({});
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 0xc1);
  return {
    kind: "network",
    type: 0x0806,
    encode: () =>
      concat(
        be16(1, 0x0800),
        Uint8Array.of(6, 4),
        be16(1),
        mac,
        be32(sender),
        new Uint8Array(6),
        be32(target),
      ),
  };
}

/** `ipv6`: an empty packet from :: to ff02::1 (RFC 8200). */
export function readIpv6(words: Words): Layer {
  words.options({});
  const NO_NEXT_HEADER = 59;
  const allNodes = Uint8Array.of(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  return {
    kind: "network",
    type: 0x86dd,
    encode: () =>
      concat(be32(0x6000_0000), be16(0), Uint8Array.of(NO_NEXT_HEADER, 255), new Uint8Array(16), allNodes),
  };
}
