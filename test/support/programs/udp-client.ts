/**
 * Sends one datagram from each of many sockets and prints every reply as JSON, so that a second one shows.
 *
 *   --to ADDRESS  --ports PORT,…  --sources ADDRESS,…  --count N  --first-port PORT  --parallel N
 *   --bytes N        size of the datagram (default: just its id)
 *   --timeout-ms N   how long to wait for the first reply
 *   --linger-ms N    how long to listen for another one after it
 *   --tag WORD       the first part of the datagrams' ids, to tell runs apart
 */
import dgram from "node:dgram";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { UdpReply, UdpRequest } from "../traffic/traffic.ts";
import { cycled, inParallel } from "./parallel.ts";

const { values: options } = parseArgs({
  options: {
    to: { type: "string", default: "" },
    ports: { type: "string", default: "" },
    sources: { type: "string", default: "" },
    count: { type: "string", default: "1" },
    "first-port": { type: "string", default: "20000" },
    parallel: { type: "string", default: "128" },
    bytes: { type: "string", default: "0" },
    "timeout-ms": { type: "string", default: "5000" },
    "linger-ms": { type: "string", default: "200" },
    tag: { type: "string", default: "udp" },
  },
});

const ports = options.ports.split(",").map(Number);
const sources = options.sources.split(",");
const firstPort = Number(options["first-port"]);

async function request(index: number): Promise<UdpRequest> {
  const saddr = cycled(sources, index);
  const sport = firstPort + Math.floor(index / sources.length);
  const dport = cycled(ports, index);
  const id = `${options.tag}-${index}`;
  const result: UdpRequest = { saddr, sport, dport, id, replies: [] };
  const socket = dgram.createSocket("udp4");
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ address: saddr, port: sport, exclusive: true }, resolve);
    });
    const firstReply = new Promise<void>((resolve) => {
      socket.on("message", (message, remote) => {
        result.replies.push(parseReply(message, remote));
        resolve();
      });
    });
    const datagram = `${id} `.padEnd(Number(options.bytes), "clusterip ");
    await new Promise<void>((resolve, reject) => {
      socket.send(datagram, dport, options.to, (error) => (error === null ? resolve() : reject(error)));
    });
    // Not referenced: the timers of requests that were answered must not hold up the end of the program.
    await Promise.race([firstReply, sleep(Number(options["timeout-ms"]), undefined, { ref: false })]);
    if (result.replies.length > 0) await sleep(Number(options["linger-ms"]));
  } catch (error) {
    result.error = (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    socket.close();
  }
  return result;
}

function parseReply(message: Buffer, remote: dgram.RemoteInfo): UdpReply {
  const [node = "", id = "", bytes = "0"] = message.toString().split(" ");
  return { node, id, bytes: Number(bytes), from: `${remote.address}:${remote.port}` };
}

const requests = await inParallel(Number(options.count), Number(options.parallel), request);
process.stdout.write(JSON.stringify(requests));
