/** Writing pcap: for tests, and for cutting an interesting frame out of a larger capture. */
import { PCAP_MAGIC_MICROSECONDS, PCAP_MAGIC_NANOSECONDS } from "./pcap-reader.ts";
import { linkTypes, MAX_RECORD_BYTES } from "./record.ts";

export interface PcapFormat {
  /** By default Ethernet. */
  readonly linkType?: number;
  readonly byteOrder?: "little" | "big";
  readonly timestampUnit?: "microseconds" | "nanoseconds";
  readonly snapLength?: number;
}

export interface PcapFrame {
  readonly data: Uint8Array;
  readonly timestampNs?: bigint;
  /** By default the length of `data`. */
  readonly originalLength?: number;
}

/** The header of the file: 24 octets. */
export function pcapFileHeader(format: PcapFormat = {}): Uint8Array {
  const header = new DataView(new ArrayBuffer(24));
  const littleEndian = format.byteOrder !== "big";
  const magic = format.timestampUnit === "nanoseconds" ? PCAP_MAGIC_NANOSECONDS : PCAP_MAGIC_MICROSECONDS;
  header.setUint32(0, magic, littleEndian);
  header.setUint16(4, 2, littleEndian);
  header.setUint16(6, 4, littleEndian);
  header.setUint32(16, format.snapLength ?? MAX_RECORD_BYTES, littleEndian);
  header.setUint32(20, format.linkType ?? linkTypes.ethernet, littleEndian);
  return new Uint8Array(header.buffer);
}

/** One record: its header of 16 octets and the frame. */
export function pcapRecord(frame: PcapFrame, format: PcapFormat = {}): Uint8Array {
  const record = new Uint8Array(16 + frame.data.length);
  const header = new DataView(record.buffer);
  const littleEndian = format.byteOrder !== "big";
  const timestampNs = frame.timestampNs ?? 0n;
  const fractionNs = Number(timestampNs % 1_000_000_000n);
  const fraction = format.timestampUnit === "nanoseconds" ? fractionNs : Math.floor(fractionNs / 1000);
  header.setUint32(0, Number(timestampNs / 1_000_000_000n), littleEndian);
  header.setUint32(4, fraction, littleEndian);
  header.setUint32(8, frame.data.length, littleEndian);
  header.setUint32(12, frame.originalLength ?? frame.data.length, littleEndian);
  record.set(frame.data, 16);
  return record;
}

/** A whole capture in memory. */
export function writePcap(frames: Iterable<PcapFrame>, format: PcapFormat = {}): Uint8Array {
  return Buffer.concat([pcapFileHeader(format), ...Array.from(frames, (frame) => pcapRecord(frame, format))]);
}
