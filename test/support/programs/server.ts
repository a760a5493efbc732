/**
 * The services of one node, in one process. Prints "ready" when all of them listen.
 *
 *   --name NAME            what every answer carries
 *   --tcp PORT,…           answers "NAME\n" to a connection and closes it
 *   --udp PORT,…           answers "NAME ID BYTES" to a datagram that starts with the word ID
 *   --udp-address ADDRESS  where UDP answers come from (a UDP socket on the wildcard address would answer from
 *                          the node's own address, and the client would not take that for an answer)
 *   --http PORT            GET /?id=ID → {"node":NAME,"id":ID}, GET /big?bytes=N → N bytes
 *   --log FILE             one line "PROTOCOL ID" for each request seen, to find requests that two nodes saw
 */
import dgram from "node:dgram";
import { openSync, writeSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    name: { type: "string", default: "node" },
    tcp: { type: "string", default: "" },
    udp: { type: "string", default: "" },
    "udp-address": { type: "string", default: "0.0.0.0" },
    http: { type: "string", default: "" },
    log: { type: "string", default: "/dev/null" },
  },
});

const { name } = options;
const logDescriptor = openSync(options.log, "a");
const CHUNK = Buffer.alloc(64 * 1024, "clusterip ");

/** Written before the answer is sent, and synchronously: what a client got is always in the log. */
function logRequest(protocol: string, id: string): void {
  writeSync(logDescriptor, `${protocol} ${id}\n`);
}

function ports(list: string): number[] {
  return list === "" ? [] : list.split(",").map(Number);
}

function listenTcp(port: number): Promise<void> {
  const server = net.createServer({ noDelay: true }, (socket) => {
    socket.on("error", () => {});
    logRequest("tcp", `${socket.remoteAddress}:${socket.remotePort}:${port}`);
    socket.end(`${name}\n`);
  });
  return new Promise((resolve) => server.listen({ port, host: "0.0.0.0", backlog: 4096 }, resolve));
}

function listenUdp(port: number): Promise<void> {
  const socket = dgram.createSocket({ type: "udp4", recvBufferSize: 4 * 1024 * 1024 });
  socket.on("message", (message, remote) => {
    const id = message.toString("latin1", 0, 200).split(" ", 1)[0] ?? "";
    logRequest("udp", id);
    // A client that has gone, or no route back: nobody to tell.
    socket.send(`${name} ${id} ${message.length}`, remote.port, remote.address, () => {});
  });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, options["udp-address"], resolve);
  });
}

function streamBytes(response: http.ServerResponse, bytes: number): void {
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": bytes });
  let left = bytes;
  const write = (): void => {
    while (left > 0) {
      const size = Math.min(left, CHUNK.length);
      left -= size;
      if (!response.write(CHUNK.subarray(0, size))) {
        response.once("drain", write);
        return;
      }
    }
    response.end();
  };
  write();
}

function listenHttp(port: number): Promise<void> {
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const url = new URL(request.url ?? "/", "http://cluster");
    if (url.pathname === "/big") {
      streamBytes(response, Number(url.searchParams.get("bytes") ?? 0));
      return;
    }
    const id = url.searchParams.get("id") ?? "";
    logRequest("http", id);
    response.writeHead(200, { "content-type": "application/json" });
    response.end(`${JSON.stringify({ node: name, id })}\n`);
  });
  return new Promise((resolve) => server.listen({ port, host: "0.0.0.0", backlog: 4096 }, resolve));
}

await Promise.all([
  ...ports(options.tcp).map(listenTcp),
  ...ports(options.udp).map(listenUdp),
  ...ports(options.http).map(listenHttp),
]);
console.log("ready");
