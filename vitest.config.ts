import { defineConfig } from "vitest/config";

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
          // Every lab has namespaces of its own, but they share two things that tests measure: the CPUs and
          // the kernel's neighbour table. One file at a time, in a process that can be killed with its children.
          pool: "forks",
          maxWorkers: 1,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
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
