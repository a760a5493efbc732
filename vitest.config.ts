import { defineConfig } from "vitest/config";

/**
 * Against what hangs, and for nothing else: how long a test takes is for the benchmarks. On a machine that runs much
 * else it may be a hundred times as long as on an idle one.
 */
const patience = {
  testTimeout: 900_000,
  hookTimeout: 300_000,
} as const;

/**
 * Every lab has namespaces of its own, but they share the CPUs and the kernel's neighbour table. One file at a time, in
 * a process that can be killed with its children. `scripts/test` runs two projects at once, for the CPUs.
 */
const network = {
  pool: "forks",
  maxWorkers: 1,
  fileParallelism: false,
  ...patience,
} as const;

const bpfAlone = "test/net/bpf-*.test.ts";

export default defineConfig({
  test: {
    coverage: { include: ["src/**/*.ts"] },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
          ...patience,
        },
      },
      {
        test: {
          name: "net",
          include: ["test/net/**/*.test.ts"],
          exclude: [bpfAlone],
          ...network,
        },
      },
      {
        // What is of engine bpf and of nothing else.
        test: {
          name: "net-bpf",
          include: [bpfAlone],
          ...network,
        },
      },
      {
        // Once more what depends on the engine, as where engine bpf does not load.
        test: {
          name: "net-userspace",
          include: [
            "test/net/{host,traffic}-*.test.ts",
            "test/net/daemon-{reload,transactions}.test.ts",
            "test/net/recipe-haproxy.test.ts",
            "test/net/reference-node.test.ts",
          ],
          env: { CLUSTERIPD_AUTO_ENGINE: "userspace" },
          ...network,
        },
      },
      {
        test: {
          name: "pacemaker",
          include: ["test/pacemaker/**/*.test.ts"],
          pool: "forks",
          maxWorkers: 1,
          fileParallelism: false,
          ...patience,
        },
      },
    ],
  },
});
