/**
 * The reference dataplane: one node of a cluster in plain TypeScript, to be read and to test the native engine
 * against.
 *
 *   NIC ── cap ──> classify() ── own bucket ──> raw-socket ──> lo ──> the host's stack ──> sockets on the VIP
 *                       '── anything else: counted and forgotten
 *
 * Not for production: every frame crosses into JavaScript, and `cap` ends the process when its interface goes down.
 * It does no host plumbing. The caller sets up what every engine needs: the VIP/32 on the NIC, the guard that keeps
 * the kernel's own stack from answering there, and the ARP table that answers with the cluster MAC. The cluster MAC
 * is received because `cap` makes the NIC promiscuous.
 */
import { readFileSync } from "node:fs";
import { type ClassifyTarget, classify, type PacketType } from "../core/classify.ts";
import { formatIpv4 } from "../core/ipv4.ts";
import { formatMac } from "../core/mac.ts";
import { type Reason, reasonCatalogue } from "../core/verdict.ts";
import { type InKernelWords, targetInOurWords } from "../model/kernel-words.ts";
import { type Cap, loadPackage, type RawSocket } from "./optional-packages.ts";
import { finishChecksum } from "./unfinished-checksum.ts";

const ETHERNET_HEADER = 14;
const VLAN_TAG = 4;
const IPV4_ETHER_TYPE = 0x0800;
const MAX_FRAME = 65_535 + ETHERNET_HEADER + 2 * VLAN_TAG; // what GRO merges
/** libpcap divides it into slots of 64 KiB each, however small the frames are: about a thousand frames may wait. */
const KERNEL_BUFFER = 64 * 1024 * 1024;
/** A raw socket of this protocol sends IPv4 with our header and receives nothing: raw(7), IPPROTO_RAW. */
const PROTOCOL_RAW = 255;

export interface ReferenceOptions {
  readonly nic: string;
  readonly virtualIp: InKernelWords<ClassifyTarget>;
  /** Called for a packet that the kernel did not take. */
  readonly onError?: (error: Error) => void;
}

export class ReferenceDataplane {
  /** Frames by reason, of those that were addressed to the virtual IP. */
  readonly counters = new Map<Reason, number>();
  #virtualIp: ClassifyTarget;
  readonly #ownMac: string;
  readonly #capture: Cap;
  readonly #socket: RawSocket;
  readonly #onError: (error: Error) => void;

  /** Starts to capture and to answer. Needs CAP_NET_RAW, and `cap` and `raw-socket` installed. */
  static async start(options: ReferenceOptions): Promise<ReferenceDataplane> {
    const [{ Cap }, { createSocket }] = [await loadPackage("cap"), await loadPackage("raw-socket")];
    return new ReferenceDataplane(options, new Cap(), createSocket({ protocol: PROTOCOL_RAW }));
  }

  private constructor(options: ReferenceOptions, capture: Cap, socket: RawSocket) {
    this.#virtualIp = targetInOurWords(options.virtualIp);
    this.#ownMac = readFileSync(`/sys/class/net/${options.nic}/address`, "utf8").trim();
    this.#capture = capture;
    this.#socket = socket;
    this.#onError = options.onError ?? (() => {});
    socket.on("error", this.#onError);
    const buffer = Buffer.alloc(MAX_FRAME);
    // "inbound": what this host sends is not to be judged.
    const filter = `inbound and ip dst host ${formatIpv4(options.virtualIp.address)}`;
    capture.open(options.nic, filter, KERNEL_BUFFER, buffer);
    capture.on("packet", (length: number) => this.#take(buffer.subarray(0, length)));
  }

  /** Changes this node's buckets, from the next frame on. */
  setLocal(localNodes: readonly number[]): void {
    this.#virtualIp = { ...this.#virtualIp, localBuckets: localNodes };
  }

  close(): void {
    this.#capture.close();
    this.#socket.close();
  }

  #take(frame: Buffer): void {
    const { reason } = classify(frame, this.#virtualIp, { packetType: this.#packetTypeOf(frame) });
    this.counters.set(reason, (this.counters.get(reason) ?? 0) + 1);
    if (reasonCatalogue[reason].verdict === "accept") this.#deliver(frame);
  }

  /** `cap` does not tell what the kernel knows. */
  #packetTypeOf(frame: Buffer): PacketType {
    if ((frame.readUInt8(0) & 1) === 1) return "multicast";
    return formatMac(frame.subarray(0, 6)) === this.#ownMac ? "host" : "otherHost";
  }

  /**
   * Sends the packet to the virtual IP, which is an address of this host: it goes over lo, with its own source
   * address, and the stack takes it as if it had come from outside. No reverse-path check, because an output route
   * was looked up for it, and no fragmentation, because lo takes what GRO merges.
   */
  #deliver(frame: Buffer): void {
    let start = ETHERNET_HEADER;
    while (frame.readUInt16BE(start - 2) !== IPV4_ETHER_TYPE) start += VLAN_TAG;
    // A copy: the next frame is captured into the same buffer before this one is sent.
    const packet = Buffer.from(frame.subarray(start, start + frame.readUInt16BE(start + 2)));
    finishChecksum(packet);
    this.#socket.send(packet, 0, packet.length, formatIpv4(this.#virtualIp.address), (error) => {
      if (error !== null) this.#onError(error);
    });
  }
}
