/**
 * The verdicts on a frame and every reason for them. The engines know them by their numbers, in C
 * from `native/generated/facts.h`, which `scripts/generate` writes from here.
 *
 * A number never changes its meaning, because programs in the kernel outlive the daemon that
 * counts by it. A new reason takes the next free number; that of a reason that goes stays free.
 */
export const verdictNumbers = { accept: 0, foreign: 1, "not-ours": 2, malformed: 3, drop: 4 } as const;
export type Verdict = keyof typeof verdictNumbers;
export const verdicts: readonly [Verdict, ...Verdict[]] = Object.keys(verdictNumbers) as [
  Verdict,
  ...Verdict[],
];

interface ReasonEntry {
  /** 0 to REASON_ROOM - 1 */
  readonly number: number;
  readonly verdict: Verdict;
  /** One sentence for operators. */
  readonly sentence: string;
}

export const reasonCatalogue = {
  "local-bucket": { number: 0, verdict: "accept", sentence: "The flow's bucket is one of this node's." },
  "later-fragment": {
    number: 1,
    verdict: "accept",
    sentence:
      "A fragment without ports goes to the stack of every node; only the owner of the flow has the first fragment and completes the datagram.",
  },
  "icmp-inner-spi": {
    number: 2,
    verdict: "accept",
    sentence:
      "The ICMP error is about an ESP or AH packet, whose SPI does not tell the bucket of the flow; every node takes it and only the one with the security association heeds it.",
  },
  "foreign-bucket": {
    number: 3,
    verdict: "foreign",
    sentence: "The flow's bucket is another node's, which answers it.",
  },
  "not-ipv4": { number: 4, verdict: "not-ours", sentence: "The frame carries something other than IPv4." },
  "vlan-tagged": {
    number: 5,
    verdict: "not-ours",
    sentence: "The tagged frame belongs to a VLAN interface, not to this one.",
  },
  "other-host": {
    number: 6,
    verdict: "not-ours",
    sentence: "The frame is addressed to the unicast MAC of another host.",
  },
  "other-address": {
    number: 7,
    verdict: "not-ours",
    sentence: "The packet's destination is not a virtual IP of this interface.",
  },
  "ethernet-truncated": {
    number: 8,
    verdict: "malformed",
    sentence: "The frame ends inside its Ethernet header.",
  },
  "ipv4-truncated": { number: 9, verdict: "malformed", sentence: "The frame ends inside its IPv4 header." },
  "ipv4-version": {
    number: 10,
    verdict: "malformed",
    sentence: "The frame says IPv4 but the packet's version is not 4.",
  },
  "ipv4-header-length": {
    number: 11,
    verdict: "malformed",
    sentence: "The IPv4 header length is below 20 octets or above the packet's total length.",
  },
  "ipv4-total-length": {
    number: 12,
    verdict: "malformed",
    sentence: "The IPv4 total length is more than the frame holds.",
  },
  "ports-truncated": { number: 13, verdict: "malformed", sentence: "The packet ends before its ports." },
  "icmp-truncated": { number: 14, verdict: "malformed", sentence: "The packet ends inside its ICMP header." },
  "icmp-inner-truncated": {
    number: 15,
    verdict: "malformed",
    sentence: "The ICMP error ends inside the packet that it is about.",
  },
  "icmp-inner-malformed": {
    number: 16,
    verdict: "malformed",
    sentence: "The packet inside the ICMP error is no valid IPv4 packet.",
  },
  "icmp-inner-fragment": {
    number: 17,
    verdict: "drop",
    sentence: "The ICMP error is about a later fragment, which has no ports, so no flow can be found.",
  },
  "icmp-other-flow": {
    number: 18,
    verdict: "drop",
    sentence: "The ICMP error is about a packet that the virtual IP did not send.",
  },
  "icmp-unsolicited": {
    number: 19,
    verdict: "drop",
    sentence: "An ICMP message that is neither a request nor an error is dropped on every node.",
  },
} as const satisfies Record<string, ReasonEntry>;

export type Reason = keyof typeof reasonCatalogue;

/** All reasons in the order of the catalogue. */
export const reasons = Object.keys(reasonCatalogue) as readonly Reason[];

const reasonsByNumber: ReadonlyMap<number, Reason> = new Map(
  reasons.map((reason) => [reasonCatalogue[reason].number, reason]),
);

/** @returns undefined for a number that no reason has */
export function reasonOf(number: number): Reason | undefined {
  return reasonsByNumber.get(number);
}

/** The engines have room to count by so many reasons: a new one does not change the layout of their maps. */
export const REASON_ROOM = 64;

/**
 * Reasons of the engine itself: frames that it could not judge or deliver. They count as
 * `drop`, so that received = accept + foreign + not-ours + malformed + drop.
 */
export const engineDropCatalogue = {
  "capture-truncated": { number: 0, sentence: "The frame was larger than the capture buffer." },
  "delivery-failed": { number: 1, sentence: "The kernel did not take the frame from the engine." },
} as const satisfies Record<string, { readonly number: number; readonly sentence: string }>;

export type EngineDrop = keyof typeof engineDropCatalogue;
export const engineDrops = Object.keys(engineDropCatalogue) as readonly EngineDrop[];
