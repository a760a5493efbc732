/** Captures from memory, for the tests of the reader. */
import { readCapture } from "../../../src/pcap/read-capture.ts";
import type { CaptureRecord, CaptureWarning } from "../../../src/pcap/record.ts";

/** The path of a capture that tcpdump made. */
export function fixture(name: string): string {
  return new URL(`../../fixtures/captures/${name}`, import.meta.url).pathname;
}

/** Octets as a stream of chunks of a given size, so that every read may cross a boundary. */
export async function* inChunks(
  octets: Uint8Array,
  size: number = octets.length,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let offset = 0; offset < octets.length; offset += size) yield octets.subarray(offset, offset + size);
}

export interface ReadResult {
  readonly records: readonly CaptureRecord[];
  readonly warnings: readonly CaptureWarning[];
}

/** All records (copied, since a record's data is valid for a moment only) and warnings. */
export async function readAll(
  source: Uint8Array | AsyncIterable<Uint8Array> | string,
  chunkSize?: number,
): Promise<ReadResult> {
  const records: CaptureRecord[] = [];
  const warnings: CaptureWarning[] = [];
  const stream = source instanceof Uint8Array ? inChunks(source, chunkSize) : source;
  for await (const record of readCapture(stream, { onWarning: (warning) => warnings.push(warning) })) {
    records.push({ ...record, data: Uint8Array.from(record.data) });
  }
  return { records, warnings };
}
