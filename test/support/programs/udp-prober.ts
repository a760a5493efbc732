/**
 * Sends datagrams on demand and prints every reply, for tests that change something between two packets.
 *
 *   --to ADDRESS  --port PORT
 *
 * Standard input: a line "ID SADDR SPORT" for each datagram. Standard output: "ready", then a line "ID NODE" for
 * each reply, second ones too. A socket is kept for each source, as a client's would be. Ends with its input.
 */
import dgram from "node:dgram";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

const { values: options } = parseArgs({
  options: {
    to: { type: "string", default: "" },
    port: { type: "string", default: "" },
  },
});

const sockets = new Map<string, Promise<dgram.Socket>>();

function socketOf(saddr: string, sport: number): Promise<dgram.Socket> {
  const key = `${saddr}:${sport}`;
  const known = sockets.get(key);
  if (known !== undefined) return known;
  const made = new Promise<dgram.Socket>((resolve, reject) => {
    const socket = dgram.createSocket("udp4");
    socket.once("error", reject);
    socket.on("message", (message) => {
      const [node = "", id = ""] = message.toString().split(" ");
      process.stdout.write(`${id} ${node}\n`);
    });
    socket.bind({ address: saddr, port: sport, exclusive: true }, () => resolve(socket));
  });
  sockets.set(key, made);
  return made;
}

console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [id = "", saddr = "", sport = "0"] = line.split(" ");
  const socket = await socketOf(saddr, Number(sport));
  socket.send(`${id} `, Number(options.port), options.to);
}
for (const socket of sockets.values()) (await socket).close();
