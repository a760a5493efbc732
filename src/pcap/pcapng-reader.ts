/**
 * The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks. A section header gives the
 * byte order, interface blocks give link type and unit of time, packet blocks hold the frames.
 *
 * Blocks are read field by field and what is not needed is passed over, so that a block may
 * claim any length without a buffer of that length ever being made.
 */
import { type ByteSource, viewOf } from "./byte-source.ts";
import { type CaptureInterface, readInterface, timestampNsOf } from "./pcapng-interface.ts";
import { badCapture, type CaptureRecord, MAX_RECORD_BYTES, type ReadCaptureOptions } from "./record.ts";

/** Block types of the draft, section 4. */
const block = {
  sectionHeader: 0x0a0d0d0a,
  interface: 1,
  obsoletePacket: 2,
  simplePacket: 3,
  enhancedPacket: 6,
};
const BYTE_ORDER_MAGIC = 0x1a2b3c4d;
/** Type, length and the length again at the end. */
const BLOCK_FRAMING_BYTES = 12;
const SECTION_HEADER_FIXED_BYTES = 16;
/** A section may not make us remember interfaces without end. */
const MAX_INTERFACES = 65_536;

/** A file that ends inside a block; turned into a warning at the top. */
export class CutOff extends Error {}

export const pcapngMagic = Uint8Array.of(0x0a, 0x0d, 0x0d, 0x0a);

/** Reads exactly `length` octets of a block, or throws {@link CutOff}. */
async function take(source: ByteSource, length: number): Promise<Uint8Array> {
  const octets = source.tryRead(length) ?? (await source.read(length));
  if (octets.length < length) throw new CutOff();
  return octets;
}

async function pass(source: ByteSource, length: number): Promise<void> {
  if ((await source.skip(length)) < length) throw new CutOff();
}

/** The records of a pcapng whose first four octets have been read. */
export async function* readPcapngRecords(
  source: ByteSource,
  options: ReadCaptureOptions,
): AsyncGenerator<CaptureRecord, void, undefined> {
  const section = new Section(source);
  let start = 0;
  try {
    section.littleEndian = await readSectionHeader(source, start);
    for (;;) {
      start = source.offset;
      const typeOctets = source.tryRead(4) ?? (await source.read(4));
      if (typeOctets.length === 0) return;
      if (typeOctets.length < 4) throw new CutOff();
      const record = await section.readBlock(start, typeOctets);
      if (record !== undefined) yield record;
    }
  } catch (error) {
    if (!(error instanceof CutOff)) throw error;
    if (start === 0) throw badCapture(source.offset, "it ends inside its first section header");
    options.onWarning?.({
      offset: start,
      message: `The capture was cut off: it ends inside the block at byte ${start}.`,
    });
  }
}

/** Reads a section header after its type; returns whether the section is little-endian. */
async function readSectionHeader(source: ByteSource, start: number): Promise<boolean> {
  const lengthAndMagic = viewOf(await take(source, 8));
  const littleEndian = lengthAndMagic.getUint32(4, true) === BYTE_ORDER_MAGIC;
  if (!littleEndian && lengthAndMagic.getUint32(4, false) !== BYTE_ORDER_MAGIC) {
    throw badCapture(start + 8, "the section header has no byte-order magic");
  }
  const totalLength = lengthAndMagic.getUint32(0, littleEndian);
  checkBlockLength(start, totalLength, SECTION_HEADER_FIXED_BYTES, "section header");
  const major = viewOf(await take(source, 12)).getUint16(0, littleEndian);
  if (major !== 1) throw badCapture(start + 12, `it says pcapng version ${major}, and only version 1 exists`);
  await endBlock(source, start, totalLength, littleEndian);
  return littleEndian;
}

function checkBlockLength(start: number, totalLength: number, fixedBytes: number, name: string): void {
  if (totalLength < BLOCK_FRAMING_BYTES + fixedBytes || totalLength % 4 !== 0) {
    throw badCapture(
      start + 4,
      `the ${name} claims a length of ${totalLength}: expected a multiple of 4, ` +
        `at least ${BLOCK_FRAMING_BYTES + fixedBytes}`,
    );
  }
}

/** Passes over the rest of a block and compares the length at its end with the one at its start. */
async function endBlock(
  source: ByteSource,
  start: number,
  totalLength: number,
  littleEndian: boolean,
): Promise<void> {
  await pass(source, start + totalLength - 4 - source.offset);
  const repeated = viewOf(await take(source, 4)).getUint32(0, littleEndian);
  if (repeated !== totalLength) {
    throw badCapture(
      start + totalLength - 4,
      `the block at byte ${start} claims a length of ${totalLength} at its start and ${repeated} at its end`,
    );
  }
}

/** One section of the file: its byte order and its interfaces. */
class Section {
  littleEndian = true;
  readonly #source: ByteSource;
  #interfaces: CaptureInterface[] = [];

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Reads the block that begins at `start` and whose type has been read. */
  async readBlock(start: number, typeOctets: Uint8Array): Promise<CaptureRecord | undefined> {
    const type = viewOf(typeOctets).getUint32(0, this.littleEndian);
    if (type === block.sectionHeader) {
      this.littleEndian = await readSectionHeader(this.#source, start);
      this.#interfaces = [];
      return undefined;
    }
    const totalLength = viewOf(await take(this.#source, 4)).getUint32(0, this.littleEndian);
    let record: CaptureRecord | undefined;
    switch (type) {
      case block.interface:
        checkBlockLength(start, totalLength, 8, "interface block");
        await this.#readInterface(start, totalLength);
        break;
      case block.enhancedPacket:
      case block.obsoletePacket:
        checkBlockLength(start, totalLength, 20, "packet block");
        record = await this.#readPacket(start, totalLength, type);
        break;
      case block.simplePacket:
        checkBlockLength(start, totalLength, 4, "simple packet block");
        record = await this.#readSimplePacket(start, totalLength);
        break;
      default:
        checkBlockLength(start, totalLength, 0, "block");
    }
    await endBlock(this.#source, start, totalLength, this.littleEndian);
    return record;
  }

  async #readInterface(start: number, totalLength: number): Promise<void> {
    if (this.#interfaces.length >= MAX_INTERFACES) {
      throw badCapture(start, `the section has more than ${MAX_INTERFACES} interfaces`);
    }
    const optionsEnd = start + totalLength - 4;
    this.#interfaces.push(
      await readInterface({
        take: (length) => take(this.#source, length),
        pass: (length) => pass(this.#source, length),
        offset: () => this.#source.offset,
        optionsEnd,
        littleEndian: this.littleEndian,
      }),
    );
  }

  /** Enhanced packet block and its obsolete forerunner, whose interface has 16 bits and a drop counter. */
  async #readPacket(start: number, totalLength: number, type: number): Promise<CaptureRecord> {
    const view = viewOf(await take(this.#source, 20));
    const interfaceIndex =
      type === block.obsoletePacket
        ? view.getUint16(0, this.littleEndian)
        : view.getUint32(0, this.littleEndian);
    const ticks =
      (BigInt(view.getUint32(4, this.littleEndian)) << 32n) | BigInt(view.getUint32(8, this.littleEndian));
    const capturedLength = view.getUint32(12, this.littleEndian);
    const originalLength = view.getUint32(16, this.littleEndian);
    const captureInterface = this.#interfaceAt(interfaceIndex, start);
    if (capturedLength > originalLength) {
      throw badCapture(
        start + 20,
        `the block claims ${capturedLength} captured octets of a frame of ${originalLength}`,
      );
    }
    const data = await this.#takeFrame(capturedLength, start, totalLength - BLOCK_FRAMING_BYTES - 20);
    const timestampNs = timestampNsOf(captureInterface, ticks);
    const { linkType } = captureInterface;
    return { timestampNs, capturedLength, originalLength, linkType, interfaceIndex, data };
  }

  /** A simple packet block has no captured length: the snap length of interface 0 gives it. */
  async #readSimplePacket(start: number, totalLength: number): Promise<CaptureRecord> {
    const originalLength = viewOf(await take(this.#source, 4)).getUint32(0, this.littleEndian);
    const { linkType, snapLength } = this.#interfaceAt(0, start);
    const capturedLength = snapLength === 0 ? originalLength : Math.min(originalLength, snapLength);
    const data = await this.#takeFrame(capturedLength, start, totalLength - BLOCK_FRAMING_BYTES - 4);
    return { timestampNs: 0n, capturedLength, originalLength, linkType, interfaceIndex: 0, data };
  }

  #interfaceAt(index: number, start: number): CaptureInterface {
    const found = this.#interfaces[index];
    if (found === undefined) {
      throw badCapture(
        start + 8,
        `the packet names interface ${index}, and its section has described ${this.#interfaces.length} so far`,
      );
    }
    return found;
  }

  async #takeFrame(capturedLength: number, start: number, roomInBlock: number): Promise<Uint8Array> {
    if (capturedLength > roomInBlock) {
      throw badCapture(
        start,
        `the packet claims ${capturedLength} captured octets in a block that has room for ${roomInBlock}`,
      );
    }
    if (capturedLength > MAX_RECORD_BYTES) {
      throw badCapture(
        start,
        `the packet claims ${capturedLength} captured octets, more than any capture holds (${MAX_RECORD_BYTES})`,
      );
    }
    return take(this.#source, capturedLength);
  }
}
