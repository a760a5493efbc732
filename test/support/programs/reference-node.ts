/**
 * A reference node for the lab: --vip ADDRESS --total-nodes N --local-node N --hashmode MODE [--nic eth0]. Prints
 * "ready", and at SIGTERM its counters as JSON.
 */
import { parseArgs } from "node:util";
import type { HashMode } from "../../../src/core/bucket.ts";
import { parseIpv4 } from "../../../src/core/ipv4.ts";
import { ReferenceDataplane } from "../../../src/reference/index.ts";

const { values: options } = parseArgs({
  options: {
    nic: { type: "string", default: "eth0" },
    vip: { type: "string", default: "" },
    "total-nodes": { type: "string", default: "1" },
    "local-node": { type: "string", default: "1" },
    hashmode: { type: "string", default: "sourceip-sourceport" },
  },
});

const dataplane = await ReferenceDataplane.start({
  nic: options.nic,
  virtualIp: {
    address: parseIpv4(options.vip),
    hashMode: options.hashmode as HashMode,
    totalNodes: Number(options["total-nodes"]),
    hashInit: 0,
    localNodes: [Number(options["local-node"])],
  },
  onError: (error) => console.error(error.message),
});
console.log("ready");

process.once("SIGTERM", () => {
  console.log(JSON.stringify(Object.fromEntries(dataplane.counters)));
  dataplane.close();
  process.exit(0);
});
