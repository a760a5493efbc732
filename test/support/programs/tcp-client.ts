/**
 * Opens TCP connections from chosen addresses and ports, one request each, and prints what answered as JSON.
 *
 *   --to ADDRESS  --ports PORT,…  --sources ADDRESS,…  --count N  --first-port PORT  --parallel N  --timeout-ms N
 *
 * Connection i goes from source i mod S, port FIRST + floor(i / S), to port i mod P: source address and port are
 * never used twice in a run.
 */
import net from "node:net";
import { parseArgs } from "node:util";
import type { TcpConnection } from "../traffic/traffic.ts";
import { cycled, inParallel } from "./parallel.ts";

const { values: options } = parseArgs({
  options: {
    to: { type: "string", default: "" },
    ports: { type: "string", default: "" },
    sources: { type: "string", default: "" },
    count: { type: "string", default: "1" },
    "first-port": { type: "string", default: "20000" },
    parallel: { type: "string", default: "64" },
    "timeout-ms": { type: "string", default: "10000" },
  },
});

const ports = options.ports.split(",").map(Number);
const sources = options.sources.split(",");
const firstPort = Number(options["first-port"]);

function connect(index: number): Promise<TcpConnection> {
  const saddr = cycled(sources, index);
  const sport = firstPort + Math.floor(index / sources.length);
  const dport = cycled(ports, index);
  const started = performance.now();
  return new Promise((resolve) => {
    const socket = net.connect({ host: options.to, port: dport, localAddress: saddr, localPort: sport });
    let answer = "";
    const finish = (outcome: { node: string } | { error: string }): void => {
      socket.destroy();
      resolve({ saddr, sport, dport, ms: performance.now() - started, ...outcome });
    };
    // The whole time from SYN to the last byte counts, not the time since the last one.
    const timer = setTimeout(() => finish({ error: "timeout" }), Number(options["timeout-ms"]));
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      answer += text;
    });
    socket.once("end", () => {
      clearTimeout(timer);
      finish(answer === "" ? { error: "closed without an answer" } : { node: answer.trim() });
    });
    socket.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      finish({ error: error.code ?? error.message });
    });
  });
}

const connections = await inParallel(Number(options.count), Number(options.parallel), connect);
process.stdout.write(JSON.stringify(connections));
