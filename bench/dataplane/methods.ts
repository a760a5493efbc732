/** How each figure is taken, for the page that is made from the JSON. One text a measurement. */
import { FLOWS } from "./flows.ts";
import type { Extent } from "./options.ts";

const direct =
  "Node and client are the two ends of a cable (a veth pair): on a bridge every frame to a group MAC is copied for " +
  "each port, which a switch does in hardware and which no contender can influence. HAProxy and its node are on a " +
  "bridge, without group MACs.";

export function methodsOf(extent: Extent): Record<string, string> {
  const { connections, seconds, growthSeconds, pings, moves, moveRounds, restSeconds } = extent;
  return {
    "foreign-frame": foreignFrame(extent.floodFrames),
    requests:
      `wrk for ${seconds} s, one thread, ${connections} kept connections, small answers, one node that has the ` +
      `only bucket. ${direct} The web server (HAProxy with its answer in memory, one thread) is the same for all. The ` +
      "microseconds for a request are those of the whole machine: client, server, network and balancer share its " +
      "CPUs. What engine userspace spends holds the host's own receive path, which runs when it delivers.",
    connections:
      `wrk for ${seconds} s, one thread for each CPU, ${connections} connections, 'Connection: close': a new connection for ` +
      "each request. Two nodes share the address (one bucket each) or stand behind HAProxy; the plain address has " +
      "one node. All are on a bridge, and pay for its copies of frames to a group MAC. nft and xt_cluster hash the " +
      "source address alone: all connections of this one client go to one node.",
    "bulk-to-vip": `iperf3 for ${seconds} s, one connection, from the client to the virtual IP; one node, on a cable as in the requests measurement. The receiver's figure.`,
    "bulk-from-vip": "The same in the other direction: answers leave a node by its normal route.",
    latency:
      `On an otherwise idle system: ${pings} times ping, one every 2 ms, and wrk with one connection and one ` +
      "request at a time. HAProxy's ping is answered by the host in front.",
    move:
      "A client sends an echo request every 50 µs while its bucket is given to a node and taken from it in turn. " +
      "Time runs from the first octet of the request (clusteripd: a new connection to the control socket for each; " +
      "nft: the start of 'nft -f' with the replaced table) to the arrival of the first answer, or of the last: a " +
      "round trip is in it. The daemon's start is over, with the last look that belongs to it. " +
      "The client has the last CPU for itself, daemon and nft have the " +
      `others. Percentiles over ${moves} moves, in ${moveRounds} rounds.`,
    daemon:
      `Resident memory and CPU time of the daemon of one node: idle for ${restSeconds} s, under the load of the ` +
      "requests measurement, and under a flood of foreign frames. 1 is one CPU.",
    "nodes-requests":
      `The requests measurement for ${growthSeconds} s, with real nodes, all on this machine, one bucket each: ` +
      "every frame reaches all of them and all share the CPUs. The plain address stays with one node. nft and xt_cluster " +
      "hash the source address alone, so that one node's web server answers all connections of this client; with " +
      "clusteripd's hash mode all nodes answer, and as many web servers take turns on the CPUs.",
    "nodes-foreign-frame": "The foreign-frame measurement with this number of buckets; the node has one.",
    "vips-requests":
      `The requests measurement for ${growthSeconds} s, with this number of virtual IPs; the middle one has the ` +
      "traffic.",
    "vips-foreign-frame":
      "The foreign-frame measurement with this number of virtual IPs; the frames go to the middle one.",
  };
}

function foreignFrame(frames: number): string {
  return (
    "A TCP SYN of 60 octets to the virtual IP of a node that has bucket 1 of 4. BPF_PROG_TEST_RUN with live frames " +
    `puts ${frames.toLocaleString("en")} of them into the receive path of the node's NIC, on one pinned CPU and ` +
    `without a sender; each has another source address and port out of ${FLOWS.toLocaleString("en")} pairs, all of ` +
    "them foreign under the hash of every contender. nsPerFrame is the kernel's own time for a frame (receiveNs, " +
    "with the making of the frame) and the CPU time of the daemon's threads for it (daemonNs). Nothing is " +
    "subtracted: receive-path and xdp-limit show what the method costs by itself. XDP programs are reached by a " +
    "tail call from the program that varies the frame, as is the bare XDP_DROP; in the rows called one-flow they " +
    "run alone on a frame that stays the same. Engine bpf was asked for native XDP: left to itself it has XDP on " +
    "the drivers of NICs but not on veth, where XDP costs more in merged frames than it saves, and the NICs here " +
    "are veths. bpf-tc is its tc program alone, as on an interface without XDP. Engine userspace is measured with its prefilter at work, which it is " +
    "a second after foreign frames have become many; lostShare is the share of frames that did not fit into its " +
    "receive buffer. Before the runs, frames of the node's own bucket have to be answered; during them, nothing " +
    "may be."
  );
}
