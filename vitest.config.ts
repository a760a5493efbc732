import { defineConfig } from "vitest/config";

/**
 * Against what hangs, and for nothing else: how long a test takes is for the benchmarks. On a machine that runs much
 * else it may be a hundred times as long as on an idle one.
 */
const patience = {
  testTimeout: 900_000,
  hookTimeout: 300_000,
} as const;

/** What failed is told with its values: of a run elsewhere the message is all that is left. A host's whole state is too much. */
const chaiConfig = { truncateThreshold: 1000 } as const;

/**
 * Each file in a process that can be killed with its children. Every lab has namespaces of its own, so two run at once: they
 * mostly wait. More would share the kernel's neighbour table, and the time that is won is small.
 */
const network = {
  pool: "forks",
  maxWorkers: 2,
  sequence: { groupOrder: 1 },
  chaiConfig,
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
          chaiConfig,
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
          sequence: { groupOrder: 2 },
          chaiConfig,
          ...patience,
        },
      },
    ],
  },
});
