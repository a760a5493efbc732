/**
 * The directory of the control socket. The daemon, often root, believes and writes what lies there: the socket, its
 * lock, the saved state and the notes of the resource agent. So nobody else may make, replace or remove a name in it, or
 * a name on the way to it. In a directory with the sticky bit (/tmp) others can still take a name first.
 */
import { lstatSync, mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { ClusterIpError, messageOf } from "../core/errors.ts";

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;
/** As the kernel's own limit (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * Makes the directory of the socket if only that is missing, and checks it.
 *
 * @throws CLUSTERIP_SOCKET
 */
export function prepareSocketDirectory(socket: string): void {
  const directory = dirname(socket);
  let why: string | undefined;
  try {
    makeDirectory(directory);
    why = whyOthersMayWrite(directory);
  } catch (error) {
    throw new ClusterIpError(
      "CLUSTERIP_SOCKET",
      `The control socket ${socket} cannot be made: ${messageOf(error)}.`,
      { cause: error },
    );
  }
  if (why === undefined) return;
  throw new ClusterIpError(
    "CLUSTERIP_SOCKET",
    `The control socket ${socket} is refused: ${why}, and what lies beside it (the saved state) is believed. Use a directory of root's, which nobody else may write to.`,
  );
}

/** Why what lies beside the socket is to be left alone, half a sentence; undefined where it is safe, or not there. */
export function whyLeaveAlone(socket: string): string | undefined {
  try {
    return whyOthersMayWrite(dirname(socket));
  } catch {
    return undefined;
  }
}

/** Not recursive: Node.js never comes back from that below /proc. */
function makeDirectory(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o755 });
  } catch (error) {
    const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "EEXIST") throw error;
  }
}

/**
 * Who else could put something in the place of a file in this directory.
 *
 * @returns half a sentence; undefined when nobody could
 * @throws what lstat(2) throws on the way
 */
export function whyOthersMayWrite(directory: string): string | undefined {
  const path = isAbsolute(directory) ? directory : `${process.cwd()}/${directory}`;
  const names = path.split("/").filter((name) => name !== "");
  let at = "/";
  let links = 0;
  for (;;) {
    const name = names.shift();
    const why = whyNotOurs(at, name === undefined);
    if (why !== undefined || name === undefined) return why;
    const next = join(at, name);
    const status = lstatSync(next);
    if (!status.isSymbolicLink()) {
      at = next;
      continue;
    }
    // In a directory with the sticky bit the owner of a link, and nobody else, can make it point elsewhere.
    if (!isTrusted(status.uid)) return `${next} is a link of user ${status.uid}`;
    links += 1;
    if (links > MAX_LINKS) throw new Error(`${next}: too many symbolic links`);
    const target = readlinkSync(next);
    names.unshift(...target.split("/").filter((part) => part !== ""));
    if (isAbsolute(target)) at = "/";
  }
}

function whyNotOurs(directory: string, isLast: boolean): string | undefined {
  const { uid, mode } = lstatSync(directory);
  if (!isTrusted(uid)) return `${directory} belongs to user ${uid}`;
  const isSafe = (mode & WRITABLE_BY_OTHERS) === 0 || (!isLast && (mode & STICKY) !== 0);
  return isSafe ? undefined : `others may write to ${directory} (mode ${(mode & 0o7777).toString(8)})`;
}

/** Whether what belongs to this user may be believed: root's, this process's own, and what no user of this namespace can own. */
export function isTrusted(uid: number): boolean {
  return uid === 0 || uid === process.geteuid?.() || isUnmappedRoot(uid);
}

/** In a user namespace everything that belongs to others, also to the machine's root, shows one owner without a name. */
function isUnmappedRoot(uid: number): boolean {
  try {
    const [, , count = 0] = readFileSync("/proc/self/uid_map", "utf8").trim().split(/\s+/).map(Number);
    return count === 1 && uid === Number(readFileSync("/proc/sys/kernel/overflowuid", "utf8"));
  } catch {
    return false;
  }
}
