/** Mutants that no test can catch because they do the same, each with the reason. */
export interface Equivalent {
  readonly file: string;
  /** what stands in the source, without indentation */
  readonly from: string;
  /** what the mutant says instead; any mutation of the line when it is missing */
  readonly to?: string;
  readonly why: string;
}

const NO_PORTS = "The hash does not use the ports of this protocol, or of this mode, whatever they are.";
const OFFSET_IS_0 = "The offset is 0 here: only AH has another one, and has returned above.";
const LARGER_TABLE = "A larger table finds the same entries.";

export const equivalents: readonly Equivalent[] = [
  {
    file: "native/verdict/hash.h",
    from: "return -1;",
    to: "return -2;",
    why: "Every number below 0 says that there are no ports.",
  },
  {
    file: "native/verdict/hash.h",
    from: "wire = __builtin_bswap32(wire);",
    why: "Compiled for big-endian machines only.",
  },
  {
    file: "native/userspace/judge.cc",
    from: "if (size == sizeof(clusterip_ipv4_header)) {",
    to: "if (false) {",
    why: "memcpy copies the same octets; the other way is faster.",
  },
  {
    file: "native/userspace/judge.cc",
    from: ".end = frame.data() + frame.size(),",
    to: ".end = frame.data() - frame.size(),",
    why: "Only the programs of engine bpf read the end, for the verifier; here the length says it.",
  },
  {
    file: "native/userspace/judge.cc",
    from: "const std::size_t size = std::bit_ceil(std::max<std::size_t>(virtual_ips.size() * 2, 2));",
    to: "const std::size_t size = std::bit_ceil(std::max<std::size_t>(virtual_ips.size() * 3, 2));",
    why: LARGER_TABLE,
  },
  {
    file: "native/userspace/judge.cc",
    from: "const std::size_t size = std::bit_ceil(std::max<std::size_t>(virtual_ips.size() * 2, 2));",
    to: "const std::size_t size = std::bit_ceil(std::max<std::size_t>(virtual_ips.size() * 2, 3));",
    why: LARGER_TABLE,
  },
  {
    file: "src/core/bucket.ts",
    from: 'export function hashOf(flow: Flow, settings: Pick<HashSettings, "hashMode" | "hashInit">): number {',
    to: 'export function hashOf(flow: Flow, settings: Pick<HashSettings, "hashMode" & "hashInit">): number {',
    why: "A type: the program is the same.",
  },
  {
    file: "src/core/classify.ts",
    from: "if (offset === undefined) return byFlow(target, protocol, saddrHost, 0, 0);",
    to: "if (offset === undefined) return byFlow(target, protocol, saddrHost, 1, 0);",
    why: NO_PORTS,
  },
  {
    file: "src/core/classify.ts",
    from: "if (offset === undefined) return byFlow(target, protocol, saddrHost, 0, 0);",
    to: "if (offset === undefined) return byFlow(target, protocol, saddrHost, 0, 1);",
    why: NO_PORTS,
  },
  {
    file: "src/core/classify.ts",
    from: "if (offset === undefined) return byFlow(target, protocol, saddrHost, 0, 0);",
    to: "if (false) return byFlow(target, protocol, saddrHost, 0, 0);",
    why: "It goes on with an offset that is no number, reads no ports, and the hash would not use them.",
  },
  {
    file: "src/core/classify.ts",
    from: "if (ICMP_REQUESTS.has(type)) return byFlow(target, protocolNumbers.icmp, saddrHost, 0, 0);",
    to: "if (ICMP_REQUESTS.has(type)) return byFlow(target, protocolNumbers.icmp, saddrHost, 1, 0);",
    why: NO_PORTS,
  },
  {
    file: "src/core/classify.ts",
    from: "if (ICMP_REQUESTS.has(type)) return byFlow(target, protocolNumbers.icmp, saddrHost, 0, 0);",
    to: "if (ICMP_REQUESTS.has(type)) return byFlow(target, protocolNumbers.icmp, saddrHost, 0, 1);",
    why: NO_PORTS,
  },
  {
    file: "src/core/classify.ts",
    from: "return byFlow(target, protocol, clientHost, 0, 0);",
    to: "return byFlow(target, protocol, clientHost, 1, 0);",
    why: NO_PORTS,
  },
  {
    file: "src/core/classify.ts",
    from: "return byFlow(target, protocol, clientHost, 0, 0);",
    to: "return byFlow(target, protocol, clientHost, 0, 1);",
    why: NO_PORTS,
  },
  {
    file: "src/core/classify.ts",
    from: "const portsAt = headerLength + offset;",
    to: "const portsAt = headerLength - offset;",
    why: OFFSET_IS_0,
  },
  {
    file: "src/core/classify.ts",
    from: "return bytes[at] ?? 0;",
    to: "return bytes[at] ?? 1;",
    why: "Never read behind the end: every caller has checked the length.",
  },
  {
    file: "src/core/cluster-mac.ts",
    from: "const isGroup = (Number.parseInt(digits.slice(0, 2), 16) & 1) === 1;",
    to: "const isGroup = (Number.parseInt(digits.slice(1, 2), 16) & 1) === 1;",
    why: "The low bit of the octet is that of its second digit.",
  },
];
