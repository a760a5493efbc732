/**
 * Puts Ethernet frames on an interface as they are: --interface NAME [--interval-us N], and a JSON array of
 * hexadecimal frames on standard input. For frames that no kernel would send: reversed fragments, forgeries.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import cap from "cap";

const { values: options } = parseArgs({
  options: {
    interface: { type: "string", default: "eth0" },
    "interval-us": { type: "string", default: "0" },
  },
});

let input = "";
for await (const chunk of process.stdin.setEncoding("utf8")) input += chunk;
const frames = JSON.parse(input) as string[];

const injector = new cap.Cap();
// Only sending is wanted: a filter that matches nothing keeps its capture side empty.
const nothing = "len < 0";
injector.open(options.interface, nothing, 64 * 1024, Buffer.alloc(64 * 1024));
const intervalMs = Number(options["interval-us"]) / 1000;
for (const hex of frames) {
  const frame = Buffer.from(hex, "hex");
  injector.send(frame, frame.length);
  if (intervalMs > 0) await sleep(intervalMs);
}
injector.close();
console.log(frames.length);
