/** What a capture file holds, whatever its format. */
import { ClusterIpError } from "../core/errors.ts";

/** Link types that the tools understand (the tcpdump.org LINKTYPE_ registry). */
export const linkTypes = {
  ethernet: 1,
  raw: 101,
  linuxSll: 113,
  ipv4: 228,
  linuxSll2: 276,
} as const;

/**
 * The largest frame that a record may hold: tcpdump's own MAXIMUM_SNAPLEN. A length above it
 * is a damaged or hostile file, and nothing larger is ever allocated.
 */
export const MAX_RECORD_BYTES = 256 * 1024;

export interface CaptureRecord {
  /** Since 1970-01-01 UTC; 0 where the format has no time (pcapng's simple packet block). */
  readonly timestampNs: bigint;
  readonly capturedLength: number;
  /** Length on the wire: more than `capturedLength` when the snap length cut the frame. */
  readonly originalLength: number;
  readonly linkType: number;
  /** Index of the interface in its section of the file; always 0 in pcap. */
  readonly interfaceIndex: number;
  /** The captured octets: a view that is valid until the next record is asked for. */
  readonly data: Uint8Array;
}

/** Something that the reader could not use but that is no reason to give up what it has read. */
export interface CaptureWarning {
  /** Offset in the file, in octets. */
  readonly offset: number;
  /** A full sentence. */
  readonly message: string;
}

export interface ReadCaptureOptions {
  /** Called once where a capture ends inside a record: what was whole has been yielded by then. */
  readonly onWarning?: (warning: CaptureWarning) => void;
}

/** The refusal of a damaged capture; every one says where. */
export function badCapture(offset: number, what: string): ClusterIpError {
  return new ClusterIpError("CLUSTERIP_BAD_CAPTURE", `The capture is damaged at byte ${offset}: ${what}.`);
}
