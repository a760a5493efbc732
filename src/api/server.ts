/** HTTP + JSON on a UNIX socket: requests in, transactions of the daemon out. */
import { createHash } from "node:crypto";
import { chmodSync, existsSync, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, createServer as createNetServer, type Server as NetServer } from "node:net";
import { dirname, resolve as resolvePath } from "node:path";
import { z } from "zod";
import { ClusterIpError, type ErrorCode, isClusterIpError, messageOf } from "../core/errors.ts";
import { parseIpv4 } from "../core/ipv4.ts";
import type { Daemon } from "../daemon/daemon.ts";
import type { Log } from "../daemon/log.ts";
import { parseVirtualIp } from "../settings/virtual-ip.ts";
import { agentRoutes } from "./agent-routes.ts";
import type { ErrorBody } from "./contract.ts";
import { type Answer, ok, type Route, VIP } from "./route.ts";

/** No request of ours is near it. */
const MAX_BODY_BYTES = 65_536;
/** A client that stops in the middle of a request is let go. */
const REQUEST_TIMEOUT_MS = 10_000;

/** The status of an answer with an error; 400 for a code that is not here. `docs/api.md` lists them. */
export const httpStatusByCode: Partial<Record<ErrorCode, number>> = {
  CLUSTERIP_NOT_FOUND: 404,
  CLUSTERIP_EXISTS: 409,
  CLUSTERIP_NODE_ALREADY_LOCAL: 409,
  CLUSTERIP_NODE_NOT_LOCAL: 409,
  CLUSTERIP_ADDRESS_IN_USE: 409,
  CLUSTERIP_HOST: 500,
  CLUSTERIP_ENGINE: 500,
  CLUSTERIP_INTERNAL: 500,
  CLUSTERIP_STATE: 500,
  CLUSTERIP_BROKEN: 500,
  CLUSTERIP_STARTING: 503,
  CLUSTERIP_STOPPING: 503,
};

const nodeChangeSchema = z.strictObject({ change: z.string() });

function routesOf(daemon: Daemon, reload: () => Promise<void>): readonly Route[] {
  return [
    ...agentRoutes(daemon),
    { method: "GET", path: /^\/v1\/status$/, handle: async () => ok(await daemon.status()) },
    {
      method: "GET",
      path: /^\/v1\/virtual-ips$/,
      handle: async () => ok((await daemon.status()).virtualIps),
    },
    {
      method: "POST",
      path: /^\/v1\/virtual-ips$/,
      handle: async ({ body }) => ({ status: 201, body: await daemon.add(parseVirtualIp(await body())) }),
    },
    {
      method: "GET",
      path: new RegExp(`^${VIP}$`),
      handle: async ({ vip }) => ok(await daemon.statusOf(parseIpv4(vip))),
    },
    {
      method: "DELETE",
      path: new RegExp(`^${VIP}$`),
      handle: async ({ vip }) => {
        await daemon.remove(parseIpv4(vip));
        return ok({});
      },
    },
    {
      method: "GET",
      path: new RegExp(`^${VIP}/nodes$`),
      handle: async ({ vip }) => ok({ nodes: daemon.nodes(parseIpv4(vip)) }),
    },
    {
      method: "POST",
      path: new RegExp(`^${VIP}/nodes$`),
      handle: async ({ vip, body }) => {
        const parsed = nodeChangeSchema.safeParse(await body());
        if (!parsed.success) {
          throw new ClusterIpError(
            "CLUSTERIP_BAD_REQUEST",
            `The body must be {"change": "+N"} or {"change": "-N"}.`,
          );
        }
        return ok({ nodes: await daemon.changeNodes(parseIpv4(vip), parsed.data.change) });
      },
    },
    {
      method: "POST",
      path: /^\/v1\/reload$/,
      handle: async () => {
        await reload();
        return ok({});
      },
    },
  ];
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Kept open when we stop reading: the refusal has to reach the client.
  const body: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) {
      throw new ClusterIpError("CLUSTERIP_BAD_REQUEST", `The body is larger than ${MAX_BODY_BYTES} bytes.`);
    }
    chunks.push(chunk);
  }
  if (size === 0 && (request.method === "GET" || request.method === "DELETE")) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new ClusterIpError("CLUSTERIP_BAD_REQUEST", `The body is not JSON: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

function toAnswer(error: unknown, log: Log): Answer {
  const known = isClusterIpError(error)
    ? error
    : new ClusterIpError("CLUSTERIP_INTERNAL", `A defect in clusteripd: ${messageOf(error)}`);
  if (!isClusterIpError(error)) log.error({ err: error }, "a request failed unexpectedly");
  const body: ErrorBody = { error: { code: known.code, message: known.message } };
  return { status: httpStatusByCode[known.code] ?? 400, body };
}

async function answerRequest(
  routes: readonly Route[] | undefined,
  request: IncomingMessage,
): Promise<Answer> {
  if (routes === undefined)
    throw new ClusterIpError("CLUSTERIP_STARTING", "The daemon is still starting; try again.");
  const path = (request.url ?? "").split("?")[0] ?? "";
  const onPath = routes.filter((route) => route.path.test(path));
  const route = onPath.find(({ method }) => method === request.method);
  if (route === undefined) {
    if (onPath.length === 0) throw new ClusterIpError("CLUSTERIP_NOT_FOUND", `There is no ${path}.`);
    const methods = onPath.map(({ method }) => method).join(", ");
    throw new ClusterIpError("CLUSTERIP_BAD_REQUEST", `${path} takes ${methods}, not ${request.method}.`);
  }
  const { vip = "", node = "" } = route.path.exec(path)?.groups ?? {};
  return route.handle({ vip, node, body: () => readBody(request) });
}

function send(response: ServerResponse, { status, body }: Answer): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
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

/**
 * Of two daemons that start at once and both find the same stale socket, one gets past this: an abstract
 * socket (unix(7)) belongs to one process, and goes away with it.
 */
function lockPath(path: string): Promise<NetServer> {
  const digest = createHash("sha256").update(resolvePath(path)).digest("hex").slice(0, 32);
  return new Promise((resolve, reject) => {
    const lock = createNetServer((socket) => socket.destroy());
    lock.once("error", (error) =>
      reject(
        new ClusterIpError(
          "CLUSTERIP_ALREADY_RUNNING",
          `Another clusteripd has just taken ${path}: stop it first.`,
          {
            cause: error,
          },
        ),
      ),
    );
    lock.listen(`\0clusteripd-${digest}`, () => resolve(lock.unref()));
  });
}

/** The control socket: taken before anything on the host is touched, so that a second daemon is refused. */
export class ControlSocket {
  readonly #path: string;
  readonly #server: Server;
  readonly #lock: NetServer;
  #routes: readonly Route[] | undefined;

  private constructor(path: string, log: Log, lock: NetServer) {
    this.#path = path;
    this.#lock = lock;
    this.#server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
      answerRequest(this.#routes, request)
        .catch((error: unknown) => toAnswer(error, log))
        .then((answer) => send(response, answer))
        .catch(() => response.destroy());
    });
    // The daemon must not keep running for idle connections.
    this.#server.keepAliveTimeout = 1;
  }

  /** Throws CLUSTERIP_ALREADY_RUNNING or CLUSTERIP_SOCKET. */
  static async take(path: string, log: Log): Promise<ControlSocket> {
    if (await isAlive(path)) {
      throw new ClusterIpError(
        "CLUSTERIP_ALREADY_RUNNING",
        `Another clusteripd answers on ${path}: stop it, or give this one another socket with --socket.`,
      );
    }
    const control = new ControlSocket(path, log, await lockPath(path));
    try {
      await control.#listen();
    } catch (error) {
      control.#lock.close();
      throw error;
    }
    return control;
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
        // Not recursive: Node.js never comes back from that below /proc.
        if (!existsSync(dirname(this.#path))) mkdirSync(dirname(this.#path), { mode: 0o755 });
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
    this.#routes = routesOf(daemon, reload);
  }

  /** Ends connections and removes the socket. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    unlinkIfPresent(this.#path);
    this.#lock.close();
  }
}

/** Removes the socket of a dead daemon; tells whether there was one. */
export async function removeStaleSocket(path: string): Promise<boolean> {
  const isSocket = lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true;
  if (!isSocket || (await isAlive(path))) return false;
  unlinkIfPresent(path);
  return true;
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
