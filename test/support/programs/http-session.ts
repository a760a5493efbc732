/**
 * One HTTP connection that is kept: a request when it is told to, and never a second connection.
 *
 *   --to ADDRESS  --port PORT  --source ADDRESS  --source-port PORT
 *
 * Standard input: a line "ID" for each request. Standard output: "ready", then "ID NODE" for each answer, and
 * "closed REASON" when the connection ends, REASON being the error's code or "end". Ends with its input.
 */
import net from "node:net";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    to: { type: "string", default: "" },
    port: { type: "string", default: "" },
    source: { type: "string", default: "" },
    "source-port": { type: "string", default: "0" },
  },
});

const socket = net.connect({
  host: options.to,
  port: Number(options.port),
  localAddress: options.source,
  localPort: Number(options["source-port"]),
});
socket.setEncoding("utf8");
let received = "";
socket.on("data", (text: string) => {
  received += text;
  // The lab's server answers {"node":NAME,"id":ID}; heads and chunk sizes are of no interest.
  received = received.replace(/\{"node":"([^"]*)","id":"([^"]*)"\}/g, (_, node: string, id: string) => {
    console.log(`${id} ${node}`);
    return "";
  });
});
let closedBy = "end";
socket.on("error", (error: NodeJS.ErrnoException) => {
  closedBy = error.code ?? error.message;
});
socket.on("close", () => console.log(`closed ${closedBy}`));
socket.once("connect", () => console.log("ready"));

for await (const id of createInterface({ input: process.stdin })) {
  socket.write(`GET /?id=${id} HTTP/1.1\r\nHost: ${options.to}\r\n\r\n`);
}
socket.destroy();
