/** The two packages of the reference dataplane, as far as it uses them: neither has types, both are optional. */
import type { EventEmitter } from "node:events";
import { ClusterIpError, messageOf } from "../core/errors.ts";

/** `cap`: libpcap. It emits `packet` with the length and whether it was cut; the octets are in the buffer. */
export interface Cap extends EventEmitter {
  /** @returns the link type, `ETHERNET` for an Ethernet interface */
  open(device: string, filter: string, bufferBytes: number, buffer: Buffer): string;
  close(): void;
}

/** `raw-socket`: IPv4 with the header written by us. */
export interface RawSocket extends EventEmitter {
  send(
    packet: Buffer,
    offset: number,
    length: number,
    address: string,
    done: (error: Error | null, octets: number) => void,
  ): void;
  close(): void;
}

interface Packages {
  readonly cap: { readonly Cap: new () => Cap };
  readonly "raw-socket": { createSocket(options: { protocol: number }): RawSocket };
}

/** Loads one of them; CLUSTERIP_NO_TOOL when it is not installed or was not built. */
export async function loadPackage<Name extends keyof Packages>(name: Name): Promise<Packages[Name]> {
  try {
    const loaded: { default: Packages[Name] } = await import(name);
    return loaded.default;
  } catch (error) {
    throw new ClusterIpError(
      "CLUSTERIP_NO_TOOL",
      `The reference dataplane needs the npm package '${name}', which cannot be loaded (${messageOf(error)}): install it with 'npm install ${name}'.`,
      { cause: error },
    );
  }
}
