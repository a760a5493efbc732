/** pcapng blocks by hand, for the tests of the reader (draft-ietf-opsawg-pcapng, section 4). */

export interface BlockOption {
  readonly code: number;
  readonly value: Uint8Array;
}

/** Writes the blocks of one byte order. */
export class PcapngWriter {
  readonly #littleEndian: boolean;

  constructor(byteOrder: "little" | "big") {
    this.#littleEndian = byteOrder === "little";
  }

  /** Any block: `body` is padded to 32 bits; `totalLength` lies when it is given. */
  block(
    type: number,
    body: Uint8Array,
    lies: { readonly first?: number; readonly last?: number } = {},
  ): Uint8Array {
    const padded = padTo32(body);
    const totalLength = padded.length + 12;
    return Buffer.concat([
      this.uint32(type, lies.first ?? totalLength),
      padded,
      this.uint32(lies.last ?? totalLength),
    ]);
  }

  sectionHeader(major = 1): Uint8Array {
    const body = Buffer.concat([
      this.uint32(0x1a2b3c4d),
      this.uint16(major, 0),
      this.uint32(0xffffffff, 0xffffffff),
    ]);
    return this.block(0x0a0d0d0a, body);
  }

  interface(linkType: number, snapLength = 0, options: readonly BlockOption[] = []): Uint8Array {
    return this.block(
      1,
      Buffer.concat([this.uint16(linkType, 0), this.uint32(snapLength), this.#options(options)]),
    );
  }

  enhancedPacket(
    packet: {
      readonly data: Uint8Array;
      readonly interfaceIndex?: number;
      readonly ticks?: bigint;
      readonly capturedLength?: number;
      readonly originalLength?: number;
    },
    options: readonly BlockOption[] = [],
  ): Uint8Array {
    const ticks = packet.ticks ?? 0n;
    const head = this.uint32(
      packet.interfaceIndex ?? 0,
      Number(ticks >> 32n),
      Number(ticks & 0xffffffffn),
      packet.capturedLength ?? packet.data.length,
      packet.originalLength ?? packet.data.length,
    );
    return this.block(6, Buffer.concat([head, padTo32(packet.data), this.#options(options)]));
  }

  simplePacket(data: Uint8Array, originalLength = data.length): Uint8Array {
    return this.block(3, Buffer.concat([this.uint32(originalLength), data]));
  }

  /** The obsolete packet block: interface and drop counter share a word. */
  obsoletePacket(data: Uint8Array, interfaceIndex: number): Uint8Array {
    const head = Buffer.concat([
      this.uint16(interfaceIndex, 7),
      this.uint32(0, 1_000_000, data.length, data.length),
    ]);
    return this.block(2, Buffer.concat([head, data]));
  }

  uint32(...values: readonly number[]): Buffer {
    const octets = new DataView(new ArrayBuffer(values.length * 4));
    values.forEach((value, index) => {
      octets.setUint32(index * 4, value, this.#littleEndian);
    });
    return Buffer.from(octets.buffer);
  }

  uint16(...values: readonly number[]): Buffer {
    const octets = new DataView(new ArrayBuffer(values.length * 2));
    values.forEach((value, index) => {
      octets.setUint16(index * 2, value, this.#littleEndian);
    });
    return Buffer.from(octets.buffer);
  }

  #options(options: readonly BlockOption[]): Buffer {
    if (options.length === 0) return Buffer.alloc(0);
    const written = options.map(({ code, value }) =>
      Buffer.concat([this.uint16(code, value.length), padTo32(value)]),
    );
    return Buffer.concat([...written, this.uint16(0, 0)]);
  }
}

function padTo32(octets: Uint8Array): Buffer {
  return Buffer.concat([octets, Buffer.alloc((4 - (octets.length % 4)) % 4)]);
}
