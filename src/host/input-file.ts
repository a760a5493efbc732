/**
 * What a program reads as its standard input: a file in memory. Node.js gives a child a socket, and nft refuses one
 * from 1.0.8 or so until 1.1 ("Not a regular file: /dev/stdin"; Ubuntu 24.04 has 1.0.9). A pipe would take two more
 * processes for each program, and an argument of a program ends at 128 KiB.
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";

/** open(2): a file without a name, which nobody else can open or take the place of, and which ends with its last user. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** Directories for such a file. The first two are in memory; the disk may be full when something has to be repaired. */
const directories: readonly string[] = ["/dev/shm", "/run", tmpdir()];

/**
 * A file with the text, to be read from its start.
 *
 * @param from tried in order, until one has room and can do it
 * @returns its descriptor, which the caller closes; undefined where no directory will do
 */
export function openInput(text: string, from: readonly string[] = directories): number | undefined {
  const octets = Buffer.from(text);
  for (const directory of from) {
    let descriptor: number | undefined;
    try {
      descriptor = openSync(directory, O_TMPFILE | constants.O_RDWR, 0o600);
      writeAll(descriptor, octets);
      return descriptor;
    } catch {
      if (descriptor !== undefined) closeSync(descriptor);
    }
  }
  return undefined;
}

/** At explicit positions, since the child gets the descriptor with its position: that has to stay at the start. */
function writeAll(descriptor: number, octets: Buffer): void {
  for (let at = 0; at < octets.length; ) at += writeSync(descriptor, octets, at, octets.length - at, at);
}
