/** Structured logs on standard error: one JSON object a line (pino). */
import { destination, type Logger, pino } from "pino";
import type { LogLevel } from "../settings/config-file.ts";

export type Log = Logger;

export function createLog(level: LogLevel): Log {
  // Synchronous, so that the last words before an exit are not lost.
  const stream = destination({ dest: 2, sync: true });
  // A full disk or a closed pipe behind standard error must not end the daemon.
  stream.on("error", () => {});
  return pino(
    { level, base: { pid: process.pid }, timestamp: () => `,"time":"${new Date().toISOString()}"` },
    stream,
  );
}
