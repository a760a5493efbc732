/**
 * A file that one process can hold, across network namespaces: of two daemons that start at once on one socket path,
 * one gets past it. The kernel ends a lock (flock(2)) with its process, so none is left by a crash. An ordinary user
 * cannot take it: the file is root's alone, in a directory where nobody else can make one.
 */
import { closeSync, constants, fstatSync, openSync, rmSync, statSync } from "node:fs";

/** `NativeAddon.tryLockFile` */
export type TryLockFile = (fd: number) => boolean;

export class LockFile {
  readonly #path: string;
  readonly #fd: number;

  private constructor(path: string, fd: number) {
    this.#path = path;
    this.#fd = fd;
  }

  /**
   * @returns undefined when another process holds it
   * @throws when the file cannot be made or locked
   */
  static take(path: string, tryLock: TryLockFile): LockFile | undefined {
    for (;;) {
      const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
      let isOurs = false;
      try {
        if (!tryLock(fd)) return undefined;
        // Its last holder may have removed it between our two calls: then it locks nothing any more.
        isOurs = isFileAt(path, fd);
      } finally {
        if (!isOurs) closeSync(fd);
      }
      if (isOurs) return new LockFile(path, fd);
    }
  }

  /** Removes the file and lets go. */
  release(): void {
    try {
      rmSync(this.#path, { force: true });
    } finally {
      closeSync(this.#fd);
    }
  }
}

function isFileAt(path: string, fd: number): boolean {
  const there = statSync(path, { throwIfNoEntry: false });
  const held = fstatSync(fd);
  return there?.ino === held.ino && there.dev === held.dev;
}
