/**
 * The verdicts on a frame and every reason for them. The native engine counts frames by the
 * same reasons, in the same order (`native/src/verdict.h`; a test compares the two).
 */
export const verdicts = ["accept", "foreign", "not-ours", "malformed", "drop"] as const;
export type Verdict = (typeof verdicts)[number];

interface ReasonEntry {
  readonly verdict: Verdict;
  /** One sentence for operators. */
  readonly sentence: string;
}

export const reasonCatalogue = {
  "local-bucket": { verdict: "accept", sentence: "The flow's bucket is one of this node's." },
  "later-fragment": {
    verdict: "accept",
    sentence:
      "A fragment without ports goes to the stack of every node; only the owner of the flow has the first fragment and completes the datagram.",
  },
  "icmp-inner-spi": {
    verdict: "accept",
    sentence:
      "The ICMP error is about an ESP or AH packet, whose SPI does not tell the bucket of the flow; every node takes it and only the one with the security association heeds it.",
  },
  "foreign-bucket": {
    verdict: "foreign",
    sentence: "The flow's bucket is another node's, which answers it.",
  },
  "not-ipv4": { verdict: "not-ours", sentence: "The frame carries something other than IPv4." },
  "vlan-tagged": {
    verdict: "not-ours",
    sentence: "The tagged frame belongs to a VLAN interface, not to this one.",
  },
  "other-host": {
    verdict: "not-ours",
    sentence: "The frame is addressed to the unicast MAC of another host.",
  },
  "other-address": {
    verdict: "not-ours",
    sentence: "The packet's destination is not a virtual IP of this interface.",
  },
  "ethernet-truncated": { verdict: "malformed", sentence: "The frame ends inside its Ethernet header." },
  "ipv4-truncated": { verdict: "malformed", sentence: "The frame ends inside its IPv4 header." },
  "ipv4-version": {
    verdict: "malformed",
    sentence: "The frame says IPv4 but the packet's version is not 4.",
  },
  "ipv4-header-length": {
    verdict: "malformed",
    sentence: "The IPv4 header length is below 20 octets or above the packet's total length.",
  },
  "ipv4-total-length": {
    verdict: "malformed",
    sentence: "The IPv4 total length is more than the frame holds.",
  },
  "ports-truncated": { verdict: "malformed", sentence: "The packet ends before its ports." },
  "icmp-truncated": { verdict: "malformed", sentence: "The packet ends inside its ICMP header." },
  "icmp-inner-truncated": {
    verdict: "malformed",
    sentence: "The ICMP error ends inside the packet that it is about.",
  },
  "icmp-inner-malformed": {
    verdict: "malformed",
    sentence: "The packet inside the ICMP error is no valid IPv4 packet.",
  },
  "icmp-inner-fragment": {
    verdict: "drop",
    sentence: "The ICMP error is about a later fragment, which has no ports, so no flow can be found.",
  },
  "icmp-other-flow": {
    verdict: "drop",
    sentence: "The ICMP error is about a packet that the virtual IP did not send.",
  },
  "icmp-unsolicited": {
    verdict: "drop",
    sentence: "An ICMP message that is neither a request nor an error is dropped on every node.",
  },
} as const satisfies Record<string, ReasonEntry>;

export type Reason = keyof typeof reasonCatalogue;

/** All reasons in the order of the native counters. */
export const reasons = Object.keys(reasonCatalogue) as readonly Reason[];

/**
 * Reasons of the engine itself: frames that it could not judge or deliver. They count as
 * `drop`, so that received = accept + foreign + not-ours + malformed + drop.
 */
export const engineDropCatalogue = {
  "capture-truncated": "The frame was larger than the capture buffer.",
  "delivery-failed": "The kernel did not take the frame from the engine.",
} as const;

export type EngineDrop = keyof typeof engineDropCatalogue;
export const engineDrops = Object.keys(engineDropCatalogue) as readonly EngineDrop[];
