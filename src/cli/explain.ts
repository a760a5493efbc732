/** `clusterip explain FROM TO`: which bucket a flow has, why, and who answers it. */
import {
  bucketOfHash,
  type Flow,
  type HashSettings,
  hashOf,
  hashWords,
  portsOffset,
  protocolNumbers,
} from "../core/bucket.ts";
import { ClusterIpError } from "../core/errors.ts";
import { formatIpv4, parseIpv4 } from "../core/ipv4.ts";
import { countOf } from "../tools/numbers.ts";

export interface Endpoint {
  /** host order */
  readonly addressHost: number;
  readonly port: number | undefined;
}

/** Reads `192.0.2.1` or `192.0.2.1:80`. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^([^:]*)(?::(\d{1,5}))?$/.exec(text);
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  if (match === null || (port ?? 0) > 65_535) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_FLOW",
      `'${text}' is not an endpoint: expected ADDRESS or ADDRESS:PORT, such as 198.51.100.7:40000.`,
    );
  }
  return { addressHost: parseIpv4(match[1] ?? ""), port };
}

export interface Explanation {
  readonly from: string;
  readonly to: string;
  readonly protocol: string;
  readonly hashMode: string;
  readonly bucketCount: number;
  readonly hashInit: number;
  /** the words in the order in which they enter the hash, as 8 hexadecimal digits */
  readonly words: readonly { readonly name: string; readonly hex: string }[];
  readonly hash: string;
  readonly bucket: number;
  /** whether this host has the bucket; undefined when no daemon was asked */
  readonly isLocal: boolean | undefined;
}

const wordNames = ["source address", "source port", "destination port"] as const;

export function explainFlow(
  from: Endpoint,
  to: Endpoint,
  protocol: number,
  settings: HashSettings,
  localBuckets: readonly number[] | undefined,
): Explanation {
  const hasPorts = portsOffset(protocol) !== undefined;
  if (hasPorts && (from.port === undefined || to.port === undefined)) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_FLOW",
      `${protocolName(protocol)} has ports: give both, such as 198.51.100.7:40000 192.0.2.10:80, or --icmp for a protocol without ports.`,
    );
  }
  const flow: Flow = {
    protocol,
    saddrHost: from.addressHost,
    sourcePort: from.port ?? 0,
    destinationPort: to.port ?? 0,
  };
  const hash = hashOf(flow, settings);
  const bucket = bucketOfHash(hash, settings.bucketCount);
  return {
    from: endpointText(from, hasPorts),
    to: endpointText(to, hasPorts),
    protocol: protocolName(protocol),
    hashMode: settings.hashMode,
    bucketCount: settings.bucketCount,
    hashInit: settings.hashInit,
    words: hashWords(flow, settings.hashMode).map((word, index) => ({
      name: wordNames[index] ?? "",
      hex: hex32(word),
    })),
    hash: hex32(hash),
    bucket,
    isLocal: localBuckets?.includes(bucket),
  };
}

export function renderExplanation(explanation: Explanation): string {
  const { from, to, protocol, hashMode, hashInit, bucketCount, words, hash, bucket, isLocal } = explanation;
  const owner =
    isLocal === undefined
      ? "answered by the node that has this bucket"
      : isLocal
        ? "answered by this node"
        : "another node's: dropped here in silence";
  return [
    `${protocol} ${from} -> ${to}`,
    `  hash mode  ${hashMode}, hash-init ${hashInit}, ${countOf(bucketCount, "bucket")}`,
    ...words.map(
      ({ name, hex }) =>
        `  word       ${hex}  ${name}${name.endsWith("port") ? " (wire octets read little-endian)" : ""}`,
    ),
    `  hash       ${hash}`,
    `  bucket     ${bucket}  (0x${hash} * ${bucketCount} >> 32) + 1`,
    `  verdict    ${owner}`,
    "",
  ].join("\n");
}

function endpointText({ addressHost, port }: Endpoint, hasPorts: boolean): string {
  return hasPorts ? `${formatIpv4(addressHost)}:${port ?? 0}` : formatIpv4(addressHost);
}

function protocolName(protocol: number): string {
  return Object.entries(protocolNumbers).find(([, number]) => number === protocol)?.[0] ?? `proto${protocol}`;
}

function hex32(word: number): string {
  return word.toString(16).padStart(8, "0");
}
