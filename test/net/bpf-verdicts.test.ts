/**
 * The programs of engine "bpf" against the specification and against the verdict of engine
 * "userspace", by BPF_PROG_TEST_RUN: the kernel runs the program that a daemon would attach on one
 * frame and says what it returned.
 *
 *     DIFFERENTIAL_SEED=N DIFFERENTIAL_FRAMES=N npx vitest run --project net-bpf test/net/bpf-verdicts.test.ts
 */
import { expect, it } from "vitest";
import {
  type Classification,
  type ClassifyTarget,
  classify,
  type PacketType,
  packetTypes,
} from "../../src/core/classify.ts";
import { parseMac } from "../../src/core/mac.ts";
import { type Reason, reasonCatalogue, reasonOf } from "../../src/core/verdict.ts";
import type { NativeBpfDataplane } from "../../src/native.ts";
import { buildFrame } from "../../src/verdict-table/build-frame.ts";
import { verdictTable } from "../../src/verdict-table/rows.ts";
import { describeBpf } from "../support/bpf/describe-bpf.ts";
import { synTo } from "../support/bpf/maps.ts";
import {
  nativeSettings,
  Random,
  randomFrames,
  randomTargets,
  type TestFrame,
} from "../support/verdict/differential-frames.ts";
import {
  loadBpfTrial,
  loadTrial,
  type NativeBpfTrial,
  type NativeJudge,
} from "../support/verdict/native-trial.ts";

const frames = Number(process.env["DIFFERENTIAL_FRAMES"] ?? 100_000);
const seed = Number(process.env["DIFFERENTIAL_SEED"] ?? Date.now() & 0x7fffffff);
const FRAMES_PER_RUN = 500;

const LOOPBACK = 1;
const CLUSTER_MAC = "4d:e2:58:37:f1:f1";
/** A test run takes a frame as one from the loopback interface, whose MAC is 0: so it gets its packet type. */
const destinations: Readonly<Record<PacketType, string>> = {
  host: "00:00:00:00:00:00",
  broadcast: "ff:ff:ff:ff:ff:ff",
  multicast: CLUSTER_MAC,
  otherHost: "02:00:00:00:00:09",
};
/** What the kernel takes for a test run: whole headers (newer kernels insist on it), at most a page. */
const MIN_FRAME = 14;
const MIN_FRAMES_BY_TYPE = new Map([
  [0x0800, 34],
  [0x86dd, 54],
]);
const MAX_FRAME = 3000;
/** 802.1Q, 802.1ad */
const tagTypes: ReadonlySet<number> = new Set([0x8100, 0x88a8]);
/** A program looks through so many (native/bpf/frame.h); a frame with more counts as tagged, whatever they hold. */
const MAX_TAGS = 4;

const NEXT = 0xffffffff;
const SHOT = 2;
const XDP_DROP = 1;
const XDP_PASS = 2;

/** The frame ends before the address that it is for: not ours to drop. */
const beforeTheAddress: ReadonlySet<Reason> = new Set([
  "ethernet-truncated",
  "ipv4-truncated",
  "ipv4-version",
]);

const testRun: NativeBpfTrial["testRun"] = (...args) => loadBpfTrial().addon.testRun(...args);

async function load(targets: readonly ClassifyTarget[]): Promise<NativeBpfDataplane> {
  const { addon, objectPath } = loadBpfTrial();
  const dataplane = new addon.BpfDataplane(objectPath);
  await dataplane.prepare(LOOPBACK);
  for (const target of targets) {
    await dataplane.setVirtualIp({ ...nativeSettings(target), clusterMac: parseMac(CLUSTER_MAC) });
  }
  return dataplane;
}

interface Engines {
  readonly bpf: NativeBpfDataplane;
  readonly userspace: NativeJudge;
}

async function bothEngines(targets: readonly ClassifyTarget[]): Promise<Engines> {
  const { Judge } = loadTrial();
  return { bpf: await load(targets), userspace: new Judge(targets.map(nativeSettings)) };
}

function addressed({ frame, packetType }: TestFrame): Uint8Array {
  const copy = frame.slice();
  copy.set(parseMac(destinations[packetType]));
  return copy;
}

function specified({ frame, packetType }: TestFrame, targets: readonly ClassifyTarget[]): Classification {
  const results = targets.map((target) => classify(frame, target, { packetType }));
  const [first] = results;
  if (first === undefined) throw new Error("no virtual IP");
  return results.find(({ reason }) => reason !== "other-address") ?? first;
}

function isRunnable({ frame }: TestFrame): boolean {
  if (frame.length < (MIN_FRAMES_BY_TYPE.get(etherTypeAt(frame, 12)) ?? MIN_FRAME)) return false;
  return frame.length <= MAX_FRAME && tagsOf(frame) <= MAX_TAGS;
}

const etherTypeAt = (frame: Uint8Array, offset: number): number =>
  ((frame[offset] ?? 0) << 8) | (frame[offset + 1] ?? 0);

function tagsOf(frame: Uint8Array): number {
  let tags = 0;
  while (tagTypes.has(etherTypeAt(frame, 12 + 4 * tags))) tags += 1;
  return tags;
}

/** What differs between the specification and the engines, in words; undefined when nothing does. */
function difference(
  { bpf, userspace }: Engines,
  test: TestFrame,
  targets: readonly ClassifyTarget[],
): string | undefined {
  const expected = specified(test, targets);
  const { verdict } = expected;
  const isDropped = verdict !== "accept" && verdict !== "not-ours" && !beforeTheAddress.has(expected.reason);
  const octets = addressed(test);
  const tc = testRun(bpf, "tc", octets);
  const wanted = { action: isDropped ? SHOT : NEXT, reason: expected.reason, bucket: expected.bucket ?? 0 };
  const got = { action: tc.action, reason: reasonOf(tc.reason), bucket: tc.bucket };
  const isPlain = test.packetType === "multicast" && octets[12] === 0x08 && octets[13] === 0x00;
  const isDroppedEarly = verdict === "foreign" && isPlain;
  const xdp = testRun(bpf, "xdp", octets);
  const wantedEarly = isDroppedEarly
    ? { action: XDP_DROP, reason: reasonCatalogue["foreign-bucket"].number, bucket: expected.bucket ?? 0 }
    : { action: XDP_PASS, reason: -1, bucket: 0 };
  const judged = userspace.judge(octets, packetTypes[test.packetType]);
  const inUserspace = { action: got.action, reason: reasonOf(judged & 0xff), bucket: judged >>> 8 };
  // Two of them that agree in something wrong are found by the third.
  const answers = [wanted, got, inUserspace].map((answer) => JSON.stringify(answer));
  if (new Set(answers).size === 1 && JSON.stringify(xdp) === JSON.stringify(wantedEarly)) return undefined;
  const frame = Buffer.from(octets).toString("hex");
  return `tc ${answers[1]}, engine userspace ${answers[2]}, not ${answers[0]}; XDP ${JSON.stringify(xdp)}, not ${JSON.stringify(wantedEarly)}; ${test.packetType} frame ${frame}; virtual IPs ${JSON.stringify(targets)}`;
}

describeBpf("the programs of engine bpf", {}, () => {
  it("the reasons have the numbers of the catalogue", async () => {
    expect(await (await load([])).nicCounters()).toHaveLength(Object.keys(reasonCatalogue).length);
  });

  it("every row of the verdict table", async () => {
    const wrong: string[] = [];
    let run = 0;
    for (const { target, frame, sentence } of verdictTable()) {
      const built = buildFrame(frame, target.address);
      if (!isRunnable(built)) continue;
      run += 1;
      const found = difference(await bothEngines([target]), built, [target]);
      if (found !== undefined) wrong.push(`${sentence}: ${found}`);
    }
    expect(wrong).toEqual([]);
    expect(run).toBeGreaterThan(90);
  });

  it("a frame with more priority tags than a program looks through is dropped, whoever it is for here", async () => {
    const address = 0x0a4d0064;
    const dataplane = await load([
      { address, hashMode: "sourceip", bucketCount: 1, hashInit: 0, localBuckets: [1] },
    ]);
    const plain = synTo(address, 40_000);
    const judged = (tags: number, packetType: PacketType): unknown => {
      const priority = Buffer.from("81000000", "hex");
      const octets = [plain.subarray(0, 12), ...Array<Buffer>(tags).fill(priority), plain.subarray(12)];
      const { action, reason } = testRun(
        dataplane,
        "tc",
        addressed({ frame: Buffer.concat(octets), packetType }),
      );
      return { action, reason: reasonOf(reason) };
    };
    for (const packetType of ["host", "broadcast", "multicast"] as const) {
      for (const tags of [0, 1, MAX_TAGS]) {
        expect(judged(tags, packetType)).toEqual({ action: NEXT, reason: "local-bucket" });
      }
      for (const tags of [MAX_TAGS + 1, 20]) {
        expect(judged(tags, packetType)).toEqual({ action: SHOT, reason: "vlan-tagged" });
      }
    }
    expect(judged(20, "otherHost")).toEqual({ action: NEXT, reason: "vlan-tagged" });
  });

  it(`${frames} random frames, seed ${seed}`, { timeout: Math.max(600_000, frames * 10) }, async () => {
    const counts = new Map<string, number>();
    for (let done = 0; done < frames; done += FRAMES_PER_RUN) {
      const random = new Random(seed + done);
      const targets = randomTargets(random);
      const engines = await bothEngines(targets);
      for (const test of randomFrames(random, targets, FRAMES_PER_RUN)) {
        if (!isRunnable(test)) continue;
        expect(difference(engines, test, targets)).toBeUndefined();
        const { verdict } = specified(test, targets);
        counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
      }
    }
    const compared = [...counts.values()].reduce((sum, count) => sum + count, 0);
    console.log(`${compared} frames that the kernel takes for a test run`, Object.fromEntries(counts));
    // Otherwise the frames would show little.
    for (const verdict of ["accept", "foreign", "not-ours", "malformed", "drop"]) {
      expect(counts.get(verdict) ?? 0).toBeGreaterThan(frames / 200);
    }
  });
});
