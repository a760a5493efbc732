/** One request to the daemon over its control socket. */
import { request } from "node:http";
import { ClusterIpError, type ErrorCode, errorCatalogue } from "../core/errors.ts";
import { type Answers, pathOf, type RouteName, routes } from "./contract.ts";

const TIMEOUT_MS = 60_000;

/**
 * Asks for one of the routes.
 *
 * @param vip where its path has one
 * @throws as {@link call}
 */
export async function ask<Name extends RouteName>(
  socket: string,
  name: Name,
  vip?: string,
  body?: unknown,
): Promise<Answers[Name]> {
  return (await call(socket, routes[name].method, pathOf(name, vip), body)) as Answers[Name];
}

/**
 * Sends a request and returns the body of its answer.
 *
 * @throws CLUSTERIP_UNREACHABLE when no daemon answers, or the daemon's own error
 */
export function call(
  socket: string,
  method: (typeof routes)[RouteName]["method"],
  path: string,
  body?: unknown,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers =
      text === undefined
        ? {}
        : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const outgoing = request(
      { socketPath: socket, method, path, headers, timeout: TIMEOUT_MS },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", (error) => reject(unreachable(socket, error)));
        response.on("end", () => {
          let answer: unknown;
          try {
            answer = JSON.parse(Buffer.concat(chunks).toString("utf8"));
          } catch (error) {
            reject(unreachable(socket, error));
            return;
          }
          const isGood = response.statusCode !== undefined && response.statusCode < 300;
          if (isGood) resolve(answer);
          else reject(toError(answer));
        });
      },
    );
    outgoing.on("timeout", () => outgoing.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    outgoing.on("error", (error) => reject(unreachable(socket, error)));
    outgoing.end(text);
  });
}

function unreachable(socket: string, error: unknown): ClusterIpError {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  const why =
    code === "ENOENT"
      ? "there is no such socket"
      : code === "ECONNREFUSED"
        ? "nobody listens on it"
        : code === "EACCES"
          ? "permission denied; run this as root"
          : error instanceof Error
            ? error.message
            : String(error);
  return new ClusterIpError(
    "CLUSTERIP_UNREACHABLE",
    `No clusteripd answers on ${socket}: ${why}. Is the daemon running? Another socket is given with --socket.`,
    { cause: error },
  );
}

function toError(answer: unknown): ClusterIpError {
  const error: unknown =
    typeof answer === "object" && answer !== null && "error" in answer ? answer.error : undefined;
  if (typeof error === "object" && error !== null && "code" in error && "message" in error) {
    const { code, message } = error;
    if (typeof code === "string" && code in errorCatalogue)
      return new ClusterIpError(code as ErrorCode, String(message));
  }
  return new ClusterIpError(
    "CLUSTERIP_INTERNAL",
    `The daemon gave an answer that is not understood: ${JSON.stringify(answer)}`,
  );
}
