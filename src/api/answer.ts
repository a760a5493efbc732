/** How a request becomes an answer: its body is read, a route handles it, a failure gets its code and status. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { ClusterIpError, httpStatuses, isClusterIpError, messageOf } from "../core/errors.ts";
import type { Log } from "../daemon/log.ts";
import type { ErrorBody } from "./contract.ts";
import type { Answer, Route } from "./route.ts";

/** No request of ours is near it. */
const MAX_BODY_BYTES = 65_536;

/** The client is gone before its request was complete: there is nobody to answer, and nothing to report. */
class ClientGone extends Error {}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  // Kept open when we stop reading: the refusal has to reach the client.
  const body: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  try {
    for await (const chunk of body) {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) {
        throw new ClusterIpError("CLUSTERIP_BAD_REQUEST", `The body is larger than ${MAX_BODY_BYTES} bytes.`);
      }
      chunks.push(chunk);
    }
  } catch (error) {
    // Whatever else ends a stream of octets: the connection was closed or cut, or what came on it is no HTTP.
    throw isClusterIpError(error) ? error : new ClientGone(messageOf(error), { cause: error });
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

function toAnswer(error: unknown, log: Log): Answer | undefined {
  if (error instanceof ClientGone) {
    log.debug({ error: error.message }, "a client went away in the middle of its request");
    return undefined;
  }
  const known = isClusterIpError(error)
    ? error
    : new ClusterIpError("CLUSTERIP_INTERNAL", `A defect in clusteripd: ${messageOf(error)}`);
  if (!isClusterIpError(error)) log.error({ err: error }, "a request failed unexpectedly");
  const body: ErrorBody = { error: { code: known.code, message: known.message } };
  return { status: httpStatuses[known.code], body };
}

async function handle(routes: readonly Route[] | undefined, request: IncomingMessage): Promise<Answer> {
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
  const { vip = "", bucket = "" } = route.path.exec(path)?.groups ?? {};
  return route.handle({ vip, bucket, body: () => readBody(request) });
}

function send(response: ServerResponse, { status, body }: Answer): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(text),
  });
  response.end(text);
}

/** Never rejects. */
export async function answerRequest(
  routes: readonly Route[] | undefined,
  request: IncomingMessage,
  response: ServerResponse,
  log: Log,
): Promise<void> {
  const answer = await handle(routes, request).catch((error: unknown) => toAnswer(error, log));
  if (answer === undefined || response.destroyed) response.destroy();
  else send(response, answer);
}
