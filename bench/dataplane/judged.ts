/** The ratios that the project is judged by, out of the figures of one run. */
import type { Book } from "./book.ts";
import { median } from "./statistics.ts";

interface JudgedRatio {
  readonly name: string;
  readonly measure: string;
  readonly figure: string;
  readonly of: string;
  readonly against: string;
}

const drop = { measure: "foreign-frame", figure: "nsPerFrame" };
const kept = { measure: "requests", figure: "perSecond", against: "plain" };
const bulk = { measure: "bulk-to-vip", figure: "gbitPerSecond", against: "plain" };
const fresh = { measure: "connections", figure: "perSecond", against: "haproxy" };

const judgedRatios: readonly JudgedRatio[] = [
  { name: "drop.userspace_vs_nft", ...drop, of: "userspace", against: "nft" },
  { name: "drop.bpf_vs_nft", ...drop, of: "bpf", against: "nft" },
  { name: "drop.tc_vs_nft", ...drop, of: "bpf-tc", against: "nft" },
  { name: "drop.bpf_vs_xdp_limit", ...drop, of: "bpf", against: "xdp-limit" },
  { name: "rr.userspace_vs_plain", ...kept, of: "userspace" },
  { name: "rr.bpf_vs_plain", ...kept, of: "bpf" },
  { name: "bulk.userspace_vs_plain", ...bulk, of: "userspace" },
  { name: "bulk.bpf_vs_plain", ...bulk, of: "bpf" },
  { name: "cps.userspace_vs_haproxy", ...fresh, of: "userspace" },
  { name: "cps.bpf_vs_haproxy", ...fresh, of: "bpf" },
];

export function judge(book: Book): void {
  for (const { name, measure, figure, of, against } of judgedRatios) {
    const numerators = book.figures({ measure, contender: of }, figure);
    book.addRatio(name, numerators, book.figures({ measure, contender: against }, figure));
  }
  // Of two engines the worse one counts.
  addWorst(book, "move.effect_ms_p99", (contender) =>
    book.figures({ measure: "move", contender }, "effectP99Ms"),
  );
  addWorst(book, "daemon.rss_mb", (contender) =>
    book.figures({ measure: "daemon", contender, parameters: { vips: 1 } }, "rssAfterLoadMb"),
  );
}

function addWorst(book: Book, name: string, valuesOf: (contender: string) => number[]): void {
  const measured = ["userspace", "bpf"].map(valuesOf).filter((values) => values.length > 0);
  const [worst] = measured.sort((a, b) => median(b) - median(a));
  if (worst !== undefined) book.addValue(name, worst);
}
