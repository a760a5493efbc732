/** HTTP + JSON on a UNIX socket: requests in, transactions of the daemon out. */
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import type { Daemon } from "../daemon/daemon.ts";
import { LockFile, type TryLockFile } from "../daemon/lock-file.ts";
import type { Log } from "../daemon/log.ts";
import { prepareSocketDirectory } from "../daemon/socket-directory.ts";
import { parseIpv4Address } from "../model/address.ts";
import { inKernelWords } from "../model/kernel-words.ts";
import { parseVirtualIp } from "../settings/virtual-ip.ts";
import { agentHandlers } from "./agent-handlers.ts";
import { answerRequest } from "./answer.ts";
import { toStatusBody } from "./contract.ts";
import { type Handlers, type Route, routesOf } from "./route.ts";
import { parseBody } from "./schemas.ts";

/** A client that stops in the middle of a request is let go. */
const REQUEST_TIMEOUT_MS = 10_000;

function handlersOf(daemon: Daemon, reload: () => Promise<void>): Handlers {
  return {
    ...agentHandlers(daemon),
    status: async () => toStatusBody(await daemon.status()),
    virtualIps: async () => (await daemon.status()).virtualIps.map(inKernelWords),
    add: async ({ body }) => inKernelWords(await daemon.add(parseVirtualIp(await body()))),
    virtualIp: async ({ vip }) => inKernelWords(await daemon.statusOf(parseIpv4Address(vip))),
    remove: async ({ vip }) => {
      const { settings, origin } = await daemon.remove(parseIpv4Address(vip));
      return { vip: settings.address, origin };
    },
    buckets: async ({ vip }) => inKernelWords({ ownBuckets: daemon.buckets(parseIpv4Address(vip)) }),
    changeBuckets: async ({ vip, body }) => {
      const { change } = parseBody("changeBuckets", await body());
      return inKernelWords({ ownBuckets: await daemon.changeBuckets(parseIpv4Address(vip), change) });
    },
    reload: async () => {
      await reload();
      return {};
    },
  };
}

/** Whether a process answers on the socket; a file that nobody listens on is stale. */
function isAlive(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.on("error", () => resolve(false));
  });
}

/** The control socket: taken before anything on the host is touched, so that a second daemon is refused. */
export class ControlSocket {
  readonly #path: string;
  readonly #server: Server;
  readonly #lock: LockFile;
  #routes: readonly Route[] | undefined;

  private constructor(path: string, log: Log, lock: LockFile) {
    this.#path = path;
    this.#lock = lock;
    this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      void answerRequest(this.#routes, request, response, log);
    });
    // The daemon must not keep running for idle connections.
    this.#server.keepAliveTimeout = 1;
  }

  /** Throws CLUSTERIP_ALREADY_RUNNING or CLUSTERIP_SOCKET. */
  static async take(path: string, log: Log, tryLock: TryLockFile): Promise<ControlSocket> {
    prepareSocketDirectory(path);
    const lock = takeLock(path, tryLock);
    try {
      if (lock === undefined || (await isAlive(path))) throw await alreadyRunning(path);
      const control = new ControlSocket(path, log, lock);
      await control.#listen();
      return control;
    } catch (error) {
      lock?.release();
      throw error;
    }
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      const refuse = (error: unknown): void =>
        reject(
          new ClusterIpError(
            "CLUSTERIP_SOCKET",
            `The control socket ${this.#path} cannot be made: ${messageOf(error)}.`,
            {
              cause: error,
            },
          ),
        );
      try {
        unlinkIfPresent(this.#path);
      } catch (error) {
        refuse(error);
        return;
      }
      this.#server.once("error", refuse);
      // The umask, so that there is no moment at which the socket is open to everybody.
      const umask = process.umask(0o117);
      this.#server.listen(this.#path, () => {
        this.#server.off("error", refuse);
        this.#server.on("error", () => {});
        chmodSync(this.#path, 0o660);
        resolve();
      });
      process.umask(umask);
    });
  }

  /** From now on requests reach the daemon; before, it says that it is starting. */
  serve(daemon: Daemon, reload: () => Promise<void>): void {
    this.#routes = routesOf(handlersOf(daemon, reload));
  }

  /** Ends connections and removes the socket. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    unlinkIfPresent(this.#path);
    this.#lock.release();
  }
}

/** Where two sockets would share the saved state (`NAME` and `NAME.sock`), they share the lock. */
function takeLock(socket: string, tryLock: TryLockFile): LockFile | undefined {
  const file = `${socket.replace(/\.sock$/, "")}.lock`;
  try {
    return LockFile.take(file, tryLock);
  } catch (error) {
    throw new ClusterIpError("CLUSTERIP_SOCKET", `The lock ${file} cannot be taken: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

async function alreadyRunning(path: string): Promise<ClusterIpError> {
  const message = (await isAlive(path))
    ? `Another clusteripd answers on ${path}: stop it, or give this one another socket with --socket.`
    : `Another clusteripd has just taken ${path}: stop it first.`;
  return new ClusterIpError("CLUSTERIP_ALREADY_RUNNING", message);
}

/**
 * Removes the socket of a dead daemon; tells whether there was one.
 *
 * @param tryLock undefined where the addon cannot be loaded: then no daemon can take the socket meanwhile either
 */
export async function removeStaleSocket(path: string, tryLock: TryLockFile | undefined): Promise<boolean> {
  const isSocket = lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
  if (!isSocket) return false;
  const lock = tryLock === undefined ? undefined : takeLock(path, tryLock);
  try {
    const isHeld = tryLock !== undefined && lock === undefined;
    if (isHeld || (await isAlive(path))) return false;
    unlinkIfPresent(path);
    return true;
  } finally {
    lock?.release();
  }
}

/** Removes a socket that nobody listens on; never a file of another kind. */
function unlinkIfPresent(path: string): void {
  try {
    if (!lstatSync(path).isSocket()) {
      throw new ClusterIpError("CLUSTERIP_SOCKET", "a file of that name is there and is no socket");
    }
    unlinkSync(path);
  } catch (error) {
    const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
    if (code !== "ENOENT") throw error;
  }
}
