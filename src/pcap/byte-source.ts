/**
 * Reads exact numbers of octets from a stream of chunks of any size. It holds one chunk and,
 * where a read crosses a boundary, one copy of the octets asked for: memory is bounded by the
 * largest read, which callers check against a limit before they ask.
 */
export class ByteSource {
  /** Offset in the whole stream of the next octet to be read. */
  offset = 0;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #position = 0;
  #ended = false;

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** The next `length` octets if they lie in the current chunk: the fast path, without a promise. */
  tryRead(length: number): Uint8Array | undefined {
    const end = this.#position + length;
    if (end > this.#chunk.length) return undefined;
    const octets = this.#chunk.subarray(this.#position, end);
    this.#position = end;
    this.offset += length;
    return octets;
  }

  /** The next `length` octets, or what is left of them when the stream ends first. */
  async read(length: number): Promise<Uint8Array> {
    const atOnce = this.tryRead(length);
    if (atOnce !== undefined) return atOnce;
    const octets = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (this.#position === this.#chunk.length && !(await this.#nextChunk())) break;
      const part = this.#chunk.subarray(this.#position, this.#position + length - filled);
      octets.set(part, filled);
      filled += part.length;
      this.#position += part.length;
    }
    this.offset += filled;
    return octets.subarray(0, filled);
  }

  /** Passes over `length` octets without keeping them; returns how many there were. */
  async skip(length: number): Promise<number> {
    let skipped = 0;
    while (skipped < length) {
      if (this.#position === this.#chunk.length && !(await this.#nextChunk())) break;
      const step = Math.min(length - skipped, this.#chunk.length - this.#position);
      this.#position += step;
      skipped += step;
    }
    this.offset += skipped;
    return skipped;
  }

  /** Lets the stream release what it holds (the file) when the reader stops early. */
  async close(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#chunks.return?.();
  }

  async #nextChunk(): Promise<boolean> {
    if (this.#ended) return false;
    const next = await this.#chunks.next();
    if (next.done === true) {
      this.#ended = true;
      return false;
    }
    this.#chunk = next.value;
    this.#position = 0;
    return true;
  }
}

/** A DataView of exactly these octets. */
export function viewOf(octets: Uint8Array): DataView {
  return new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
}
