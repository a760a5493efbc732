/**
 * The pcap format (draft-ietf-opsawg-pcap): a header of 24 octets, then records of 16 octets
 * and the frame. The magic number gives the byte order and the unit of the timestamps.
 */
import { type ByteSource, viewOf } from "./byte-source.ts";
import { badCapture, type CaptureRecord, MAX_RECORD_BYTES, type ReadCaptureOptions } from "./record.ts";

export const PCAP_MAGIC_MICROSECONDS = 0xa1b2c3d4;
export const PCAP_MAGIC_NANOSECONDS = 0xa1b23c4d;

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
/** libpcap's LT_LINKTYPE(): above these bits lie flags about the frame check sequence. */
const LINK_TYPE_MASK = 0x03ffffff;

/** Byte order and unit by the first four octets, or undefined when this is no pcap. */
export function pcapVariant(
  magicOctets: Uint8Array,
): { readonly littleEndian: boolean; readonly nsPerTick: bigint } | undefined {
  if (magicOctets.length < 4) return undefined;
  for (const littleEndian of [true, false]) {
    const magic = viewOf(magicOctets).getUint32(0, littleEndian);
    if (magic === PCAP_MAGIC_MICROSECONDS) return { littleEndian, nsPerTick: 1000n };
    if (magic === PCAP_MAGIC_NANOSECONDS) return { littleEndian, nsPerTick: 1n };
  }
  return undefined;
}

/** The records of a pcap whose magic number (four octets) has been read. */
export async function* readPcapRecords(
  source: ByteSource,
  magicOctets: Uint8Array,
  options: ReadCaptureOptions,
): AsyncGenerator<CaptureRecord, void, undefined> {
  const variant = pcapVariant(magicOctets);
  if (variant === undefined) throw badCapture(0, "it does not begin with the magic number of pcap");
  const { littleEndian, nsPerTick } = variant;

  const rest = await source.read(FILE_HEADER_BYTES - 4);
  if (rest.length < FILE_HEADER_BYTES - 4) throw badCapture(source.offset, "it ends inside the file header");
  const header = viewOf(rest);
  const major = header.getUint16(0, littleEndian);
  if (major !== 2) throw badCapture(4, `it says pcap version ${major}, and only version 2 exists`);
  const linkType = header.getUint32(16, littleEndian) & LINK_TYPE_MASK;

  for (;;) {
    const start = source.offset;
    const recordHeader = source.tryRead(RECORD_HEADER_BYTES) ?? (await source.read(RECORD_HEADER_BYTES));
    if (recordHeader.length === 0) return;
    if (recordHeader.length < RECORD_HEADER_BYTES) {
      options.onWarning?.({
        offset: start,
        message: `The capture was cut off: it ends inside the header of the record at byte ${start}.`,
      });
      return;
    }
    const view = viewOf(recordHeader);
    const seconds = view.getUint32(0, littleEndian);
    const fraction = view.getUint32(4, littleEndian);
    const capturedLength = view.getUint32(8, littleEndian);
    const originalLength = view.getUint32(12, littleEndian);
    checkLengths(start + 8, capturedLength, originalLength);
    const data = source.tryRead(capturedLength) ?? (await source.read(capturedLength));
    if (data.length < capturedLength) {
      options.onWarning?.({
        offset: start,
        message:
          `The capture was cut off: the record at byte ${start} should hold ${capturedLength} octets, ` +
          `and the file ends after ${data.length} of them.`,
      });
      return;
    }
    const timestampNs = BigInt(seconds) * 1_000_000_000n + BigInt(fraction) * nsPerTick;
    yield { timestampNs, capturedLength, originalLength, linkType, interfaceIndex: 0, data };
  }
}

/** `offset` is where the two lengths lie in the file. */
function checkLengths(offset: number, capturedLength: number, originalLength: number): void {
  if (capturedLength > MAX_RECORD_BYTES) {
    throw badCapture(
      offset,
      `the record claims ${capturedLength} captured octets, more than any capture holds (${MAX_RECORD_BYTES})`,
    );
  }
  if (capturedLength > originalLength) {
    throw badCapture(
      offset,
      `the record claims ${capturedLength} captured octets of a frame of ${originalLength}`,
    );
  }
}
