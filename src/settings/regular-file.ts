/** Reads a file that must not hold the program up, whatever its name leads to: a FIFO, a device, a file without end. */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";

const { O_RDONLY, O_NONBLOCK, O_NOCTTY, O_NOFOLLOW } = constants;

export interface ReadLimits {
  readonly maxBytes: number;
  /** whether a symbolic link is opened; default true */
  readonly followsLink?: boolean;
  /** throws where the open file is not to be believed */
  readonly check?: (status: Stats) => void;
}

/**
 * The text of a regular file.
 *
 * @throws Error with half a sentence where it is none, or larger than allowed; what open(2) and read(2) fail with
 */
export function readRegularFile(path: string, { maxBytes, followsLink = true, check }: ReadLimits): string {
  // Without O_NONBLOCK the open of a FIFO waits for somebody to write.
  const fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | (followsLink ? 0 : O_NOFOLLOW));
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw new Error(`${path} is ${kindOf(status)}, not a regular file`);
    check?.(status);
    return readBounded(fd, path, maxBytes);
  } finally {
    closeSync(fd);
  }
}

/** By what can be read, not by what fstat(2) says: a file may grow, and those below /proc say 0. */
function readBounded(fd: number, path: string, maxBytes: number): string {
  const buffer = Buffer.allocUnsafe(maxBytes + 1);
  let length = 0;
  for (;;) {
    const read = readSync(fd, buffer, length, buffer.length - length, null);
    length += read;
    if (length > maxBytes) throw new Error(`${path} is larger than ${maxBytes.toLocaleString("en")} bytes`);
    if (read === 0) return buffer.toString("utf8", 0, length);
  }
}

function kindOf(status: Stats): string {
  if (status.isDirectory()) return "a directory";
  if (status.isFIFO()) return "a FIFO";
  if (status.isSocket()) return "a socket";
  return "a device";
}
