/**
 * Mutation run over hash and verdict: puts one small mistake after the other into a copy of the
 * sources and sees whether a test notices.
 *
 *     npm run build && node dist/scripts/mutate/mutate.js [typescript|native] [FILE…]
 *
 * Every mutant first meets the kernel's vectors, the verdict table and differential frames
 * (expectations.ts), which a small program checks: typescript-check.ts or native-check.cc, the
 * latter as each engine reads a frame, and also for the offsets that the packet paths use.
 * TypeScript mutants that pass are run through the unit tests named below. The work tree itself is
 * never touched.
 *
 * Exit status 1 when a mutant survives that scripts/mutate/equivalents.ts does not explain.
 */
import { execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { reasons } from "../../src/core/verdict.ts";
import { packageRoot } from "../../src/package.ts";
import { type Equivalent, equivalents } from "./equivalents.ts";
import { expectationLines } from "./expectations.ts";
import { type Mutant, mutantsOf } from "./operators.ts";

const typescriptFiles = [
  "src/core/jhash.ts",
  "src/core/bucket.ts",
  "src/core/classify.ts",
  "src/core/cluster-mac.ts",
  "src/model/bucket-set.ts",
];
const nativeFiles = [
  "native/verdict/hash.h",
  "native/verdict/flow.h",
  "native/verdict/icmp.h",
  "native/verdict/transport.h",
  "native/verdict/ipv4_header.h",
  "native/verdict/network.h",
  "native/verdict/link.h",
  "native/verdict/frame.h",
  "native/userspace/judge.cc",
];

const unitTests = [
  "jhash",
  "cluster-mac",
  "bucket-set",
  "vectors",
  "verdict-table",
  "differential-hash",
  "differential",
];
const copied = [
  "src",
  "test/unit",
  "test/fixtures",
  "scripts/mutate/typescript-check.ts",
  "test/support/verdict",
  "native/build/Release/clusteripd_trial.node",
  "package.json",
  "tsconfig.json",
  "vitest.config.ts",
];

/** The native enumerators in the order of the reasons: `local-bucket` is `REASON_LOCAL_BUCKET`. */
const enumerators = reasons.map((reason) => `REASON_${reason.replaceAll("-", "_").toUpperCase()}`);

/** The verdict twice, as each engine comes to it. */
const mutatedSources = ["native/test/kernel_way.cc", "native/userspace/judge.cc"];
/** What has no verdict in it is compiled once. */
const objects = ["check.o", "placement.o"];
const otherSources = ["check.cc", "native/loader/placement.cc"];

/** Compiled once for all mutants: it was half of the time of each. */
const standardHeaders = [
  "algorithm",
  "bit",
  "cstdint",
  "cstdio",
  "cstdlib",
  "cstring",
  "limits",
  "span",
  "vector",
];

/**
 * A test of one mutant takes some seconds of CPU; one that loops is caught too. On a busy machine that is minutes, and
 * a limit on those would call every mutant caught.
 */
const CPU_LIMIT_S = 60;
/** Against what waits for ever. */
const TIMEOUT_MS = 3_600_000;

interface Worker {
  /** Whether the tests fail with this text in place of the file. */
  catches(file: string, text: string): Promise<boolean>;
}

const root = packageRoot();

function run(argv: readonly [string, ...string[]], cwd: string, input = ""): Promise<number> {
  return new Promise((resolve) => {
    // A mutant may never end: it must not outlive a run that is killed.
    const limited = ["--pdeathsig", "KILL", "prlimit", `--cpu=${CPU_LIMIT_S}`, ...argv];
    const child = spawn("setpriv", limited, {
      cwd,
      stdio: ["pipe", "ignore", "ignore"],
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
      env: { ...process.env, DIFFERENTIAL_FRAMES: "50000", DIFFERENTIAL_SEED: "1" },
    });
    child.on("error", () => resolve(127));
    child.on("close", (code) => resolve(code ?? 128));
    // A check that ends early closes the pipe under us.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

function typescriptWorker(directory: string, expectations: string): Worker {
  mkdirSync(path.join(directory, "native/build/Release"), { recursive: true });
  for (const name of copied) cpSync(path.join(root, name), path.join(directory, name), { recursive: true });
  symlinkSync(path.join(root, "node_modules"), path.join(directory, "node_modules"));
  const check = "scripts/mutate/typescript-check";
  const settings = {
    extends: "./tsconfig.json",
    include: [],
    files: [`${check}.ts`],
    compilerOptions: { outDir: "out", noCheck: true, declaration: false, sourceMap: false },
  };
  writeFileSync(path.join(directory, "tsconfig.mutate.json"), JSON.stringify(settings));
  const bin = path.join(root, "node_modules/.bin");
  const compile = [`${bin}/tsc`, "-p", "tsconfig.mutate.json"] as const;
  const vitest = [`${bin}/vitest`, "run", "--project", "unit", "--bail", "1"] as const;
  // A slow machine must not look like a test that has found something.
  const unhurried = ["--no-file-parallelism", "--testTimeout", "60000"] as const;
  const tests = unitTests.map((name) => `test/unit/${name}.test.ts`);
  return {
    async catches(file, text) {
      const original = readFileSync(path.join(directory, file));
      writeFileSync(path.join(directory, file), text);
      const isCaught =
        (await run(compile, directory)) !== 0 ||
        (await run(["node", `out/${check}.js`], directory, expectations)) !== 0 ||
        (await run([...vitest, ...unhurried, ...tests], directory)) !== 0;
      writeFileSync(path.join(directory, file), original);
      return isCaught;
    },
  };
}

function nativeWorker(directory: string, expectations: string): Worker {
  for (const part of ["bpf", "generated", "loader", "test", "userspace", "verdict"]) {
    cpSync(path.join(root, "native", part), path.join(directory, "native", part), { recursive: true });
  }
  cpSync(path.join(root, "scripts/mutate/native-check.cc"), path.join(directory, "check.cc"));
  // With the warnings of native/binding.gyp: what the compiler refuses is caught as well.
  const warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"] as const;
  const language = ["g++", "-std=gnu++20", "-O0", "-D_GLIBCXX_ASSERTIONS", "-iquote", "native"] as const;
  const compile = [...language, ...warnings] as const;
  const [program, ...flags] = compile;
  writeFileSync(
    path.join(directory, "std.h"),
    standardHeaders.map((name) => `#include <${name}>\n`).join(""),
  );
  execFileSync(program, [...flags, "-x", "c++-header", "std.h", "-o", "std.h.gch"], { cwd: directory });
  execFileSync(program, [...flags, "-c", ...otherSources], { cwd: directory });
  const built = [...compile, "-include", "std.h", "-o", "check", ...mutatedSources, ...objects] as const;
  return {
    async catches(file, text) {
      const original = readFileSync(path.join(directory, file));
      writeFileSync(path.join(directory, file), text);
      const status = await run(built, directory);
      writeFileSync(path.join(directory, file), original);
      return status !== 0 || (await run(["./check"], directory, expectations)) !== 0;
    },
  };
}

function whyEquivalent(file: string, mutant: Mutant): Equivalent | undefined {
  return equivalents.find(
    ({ file: inFile, from, to }) =>
      inFile === file && from === mutant.from && (to === undefined || to === mutant.to),
  );
}

/** Runs all mutants of the files over the workers; returns how many survived. */
async function mutate(
  files: readonly string[],
  names: readonly string[],
  workers: readonly Worker[],
): Promise<number> {
  let survivors = 0;
  for (const file of files) {
    const source = readFileSync(path.join(root, file), "utf8");
    if (await workers[0]?.catches(file, source)) throw new Error(`${file}: the tests fail without a mutant`);
    const mutants = mutantsOf(source, names);
    const queue = mutants.values();
    let caught = 0;
    let equivalent = 0;
    await Promise.all(
      workers.map(async (worker) => {
        for (const mutant of queue) {
          if (whyEquivalent(file, mutant) !== undefined) equivalent += 1;
          else if (await worker.catches(file, mutant.text)) caught += 1;
          else {
            survivors += 1;
            console.log(`SURVIVED ${file}:${mutant.line}\n    ${mutant.from}\n    ${mutant.to}`);
          }
        }
      }),
    );
    const survived = mutants.length - caught - equivalent;
    console.log(
      `${file}: ${mutants.length} mutants, ${caught} caught, ${equivalent} equivalent, ${survived} survived`,
    );
  }
  return survivors;
}

const [what, ...only] = process.argv.slice(2);
const chosen = (files: readonly string[]): readonly string[] =>
  only.length === 0 ? files : files.filter((file) => only.includes(file));
const temporary = mkdtempSync(path.join(tmpdir(), "clusteripd-mutate-"));
process.on("exit", () => rmSync(temporary, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));

const newWorkers = (make: (directory: string) => Worker): Worker[] =>
  Array.from({ length: availableParallelism() }, () => make(mkdtempSync(path.join(temporary, "tree-"))));

const expectations = expectationLines();
let survived = 0;
if (what !== "typescript") {
  const workers = newWorkers((directory) => nativeWorker(directory, expectations));
  survived += await mutate(chosen(nativeFiles), enumerators, workers);
}
if (what !== "native") {
  const workers = newWorkers((directory) => typescriptWorker(directory, expectations));
  survived += await mutate(chosen(typescriptFiles), reasons, workers);
}
console.log(`${survived} survived`);
process.exitCode = survived === 0 ? 0 : 1;
