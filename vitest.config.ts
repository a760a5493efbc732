import { defineConfig } from "vitest/config";

/**
 * Every lab has namespaces of its own, but they share two things that tests measure: the CPUs and the kernel's
 * neighbour table. One file at a time, in a process that can be killed with its children.
 */
const network = {
  pool: "forks",
  maxWorkers: 1,
  fileParallelism: false,
  // Far beyond what any of them takes: load alone must not end one.
  testTimeout: 900_000,
  hookTimeout: 300_000,
} as const;

export default defineConfig({
  test: {
    coverage: { include: ["src/**/*.ts"] },
    projects: [
      {
        test: {
          name: "unit",
          include: ["test/unit/**/*.test.ts"],
        },
      },
      {
        test: {
          name: "net",
          include: ["test/lab/**/*.test.ts", "test/net/**/*.test.ts"],
          ...network,
        },
      },
      {
        // Once more what depends on the engine, as where engine bpf does not load.
        test: {
          name: "net-userspace",
          include: [
            "test/net/{host,traffic}-*.test.ts",
            "test/net/address-claims.test.ts",
            "test/net/daemon-{reload,transactions}.test.ts",
            "test/net/recipe-{haproxy,unbound}.test.ts",
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
          testTimeout: 60_000,
        },
      },
    ],
  },
});
