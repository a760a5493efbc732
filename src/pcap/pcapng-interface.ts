/** pcapng's interface description block: link type, snap length, and how its timestamps count. */
import { viewOf } from "./byte-source.ts";
import { badCapture } from "./record.ts";

/** Options of the interface block (draft-ietf-opsawg-pcapng, table 4). */
const option = { end: 0, timestampResolution: 9, timestampOffset: 14 };

export interface CaptureInterface {
  readonly linkType: number;
  /** 0: no limit */
  readonly snapLength: number;
  /** A timestamp in nanoseconds is `ticks * nsNumerator / nsDenominator + offsetNs`. */
  readonly nsNumerator: bigint;
  readonly nsDenominator: bigint;
  readonly offsetNs: bigint;
}

/** How the block is read: the section's source, bounded by the block's end. */
export interface BlockReader {
  readonly take: (length: number) => Promise<Uint8Array>;
  readonly pass: (length: number) => Promise<void>;
  readonly offset: () => number;
  /** Offset of the length that ends the block: options may not reach beyond it. */
  readonly optionsEnd: number;
  readonly littleEndian: boolean;
}

const NS_PER_SECOND = 1_000_000_000n;

/** Reads the block after its type and length, up to the end of its options. */
export async function readInterface(reader: BlockReader): Promise<CaptureInterface> {
  const fixed = viewOf(await reader.take(8));
  const linkType = fixed.getUint16(0, reader.littleEndian);
  const snapLength = fixed.getUint32(4, reader.littleEndian);
  let ticksPerSecond = 1_000_000n;
  let offsetNs = 0n;

  while (reader.offset() + 4 <= reader.optionsEnd) {
    const start = reader.offset();
    const head = viewOf(await reader.take(4));
    const code = head.getUint16(0, reader.littleEndian);
    const length = head.getUint16(2, reader.littleEndian);
    const paddedLength = (length + 3) & ~3;
    if (code === option.end) break;
    if (start + 4 + paddedLength > reader.optionsEnd) {
      throw badCapture(start, `an interface option claims ${length} octets and reaches beyond its block`);
    }
    if (code === option.timestampResolution && length >= 1) {
      ticksPerSecond = resolutionOf((await reader.take(paddedLength))[0] ?? 6);
    } else if (code === option.timestampOffset && length >= 8) {
      const octets = await reader.take(paddedLength);
      offsetNs = viewOf(octets).getBigInt64(0, reader.littleEndian) * NS_PER_SECOND;
    } else {
      await reader.pass(paddedLength);
    }
  }
  return { linkType, snapLength, ...nsPerTick(ticksPerSecond), offsetNs };
}

/** The high bit of if_tsresol says a power of two instead of ten. */
function resolutionOf(octet: number): bigint {
  return (octet & 0x80) !== 0 ? 1n << BigInt(octet & 0x7f) : 10n ** BigInt(octet);
}

/** The fraction NS_PER_SECOND / ticksPerSecond, whole where it can be: the usual units need no division. */
function nsPerTick(ticksPerSecond: bigint): Pick<CaptureInterface, "nsNumerator" | "nsDenominator"> {
  return NS_PER_SECOND % ticksPerSecond === 0n
    ? { nsNumerator: NS_PER_SECOND / ticksPerSecond, nsDenominator: 1n }
    : { nsNumerator: NS_PER_SECOND, nsDenominator: ticksPerSecond };
}

/** The time of a packet on this interface. */
export function timestampNsOf(captureInterface: CaptureInterface, ticks: bigint): bigint {
  const { nsNumerator, nsDenominator, offsetNs } = captureInterface;
  const scaled = ticks * nsNumerator;
  return (nsDenominator === 1n ? scaled : scaled / nsDenominator) + offsetNs;
}
