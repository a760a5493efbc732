/** Reading a capture file or stream of either format, record by record, in constant memory. */
import { createReadStream } from "node:fs";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { ByteSource } from "./byte-source.ts";
import { pcapVariant, readPcapRecords } from "./pcap-reader.ts";
import { pcapngMagic, readPcapngRecords } from "./pcapng-reader.ts";
import type { CaptureRecord, ReadCaptureOptions } from "./record.ts";

const FILE_CHUNK_BYTES = 256 * 1024;

/** First octets of what users hand over by mistake, and what to do about it. */
const notCaptures: ReadonlyArray<{ readonly magic: readonly number[]; readonly advice: string }> = [
  { magic: [0x1f, 0x8b], advice: "it is compressed with gzip: unpack it first (zcat)" },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], advice: "it is compressed with zstd: unpack it first (zstdcat)" },
  { magic: [0xfd, 0x37, 0x7a, 0x58], advice: "it is compressed with xz: unpack it first (xzcat)" },
  {
    magic: [0xa1, 0xb2, 0xcd, 0x34],
    advice: "it is a 'modified' pcap of old Linux patches: convert it with editcap",
  },
  {
    magic: [0x34, 0xcd, 0xb2, 0xa1],
    advice: "it is a 'modified' pcap of old Linux patches: convert it with editcap",
  },
];

/**
 * The records of a pcap or pcapng, in file order. Throws CLUSTERIP_BAD_CAPTURE, with the offset,
 * at the first thing that cannot be true; a capture that merely ends too early yields what was
 * whole and then calls `options.onWarning`.
 *
 * @param source the path of a file, or its octets as a stream of chunks
 */
export async function* readCapture(
  source: string | AsyncIterable<Uint8Array>,
  options: ReadCaptureOptions = {},
): AsyncGenerator<CaptureRecord, void, undefined> {
  const octets = new ByteSource(typeof source === "string" ? readFileChunks(source) : source);
  try {
    const magicOctets = await octets.read(4);
    if (pcapVariant(magicOctets) !== undefined) {
      yield* readPcapRecords(octets, magicOctets, options);
    } else if (beginsWith(magicOctets, pcapngMagic)) {
      yield* readPcapngRecords(octets, options);
    } else {
      throw new ClusterIpError(
        "CLUSTERIP_BAD_CAPTURE",
        `This is not a pcap or pcapng file: ${why(magicOctets)}.`,
      );
    }
  } finally {
    await octets.close();
  }
}

function why(magicOctets: Uint8Array): string {
  if (magicOctets.length === 0) return "it is empty";
  if (magicOctets.length < 4) return `it ends after ${magicOctets.length} octets`;
  const known = notCaptures.find(({ magic }) => beginsWith(magicOctets, magic));
  return known?.advice ?? `it begins with the octets ${Buffer.from(magicOctets).toString("hex")}`;
}

function beginsWith(octets: Uint8Array, prefix: ArrayLike<number>): boolean {
  return (
    octets.length >= prefix.length && Array.from(prefix).every((octet, index) => octets[index] === octet)
  );
}

/** The chunks of a file; failures to open or read it become CLUSTERIP_BAD_CAPTURE. */
export async function* readFileChunks(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* createReadStream(path, { highWaterMark: FILE_CHUNK_BYTES }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_CAPTURE",
      `The capture '${path}' cannot be read: ${messageOf(error)}.`,
      {
        cause: error,
      },
    );
  }
}
