/** Runs the system's own tools (ip, nft) and turns their failures into sentences. */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { openInput } from "./input-file.ts";

/** A tool that hangs must not hang the daemon. */
const TIMEOUT_MS = 10_000;

/**
 * Runs a program with the given standard input, which is a file ({@link openInput}).
 *
 * @returns its standard output
 * @throws CLUSTERIP_NO_TOOL when it cannot be started, CLUSTERIP_HOST when it fails
 */
export function run(program: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = start(program, args, input);
    // Not spawn's own timeout: where there is no such program, it would keep us running until its end.
    const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(
        new ClusterIpError(
          "CLUSTERIP_NO_TOOL",
          `The program '${program}' cannot be run: ${messageOf(error)}.`,
          {
            cause: error,
          },
        ),
      );
    });
    child.on("close", (status, signal) => {
      clearTimeout(timer);
      if (status === 0) {
        resolve(Buffer.concat(stdout).toString("utf8"));
        return;
      }
      const how = signal === null ? `exit status ${status}` : `ended by ${signal}`;
      const said = Buffer.concat(stderr).toString("utf8").trim() || "it said nothing";
      reject(
        new ClusterIpError("CLUSTERIP_HOST", `'${[program, ...args].join(" ")}' failed (${how}): ${said}`),
      );
    });
  });
}

/** The child's pipes are not there where the host has no file descriptors for them: "error" follows. */
function start(program: string, args: readonly string[], input: string): ChildProcess {
  if (input === "") return spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  const descriptor = openInput(input);
  if (descriptor !== undefined) {
    try {
      return spawn(program, args, { stdio: [descriptor, "pipe", "pipe"] });
    } finally {
      closeSync(descriptor);
    }
  }
  // Nowhere is room for a file. Most programs take a socket too, and a repair must not wait for the room.
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  // A program that ends without reading its input is told by its exit status, not by EPIPE.
  child.stdin?.on("error", () => {});
  child.stdin?.end(input);
  return child;
}
