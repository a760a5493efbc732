/** The part of `cap` (libpcap for Node, which has no types of its own) that is used here. */
declare module "cap" {
  import type { EventEmitter } from "node:events";

  class Cap extends EventEmitter {
    /** Returns the link type, "ETHERNET" for an Ethernet interface. */
    open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
    setMinBytes?(bytes: number): void;
    send(frame: Buffer, length?: number): void;
    close(): void;
  }

  const cap: { Cap: typeof Cap };
  export default cap;
}
