/** The configuration file: YAML, checked against the schema, errors with line and path. */
import { readFileSync } from "node:fs";
import { isNode, LineCounter, parseDocument } from "yaml";
import { z } from "zod";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { type ForeignSampling, MAX_FOREIGN_SAMPLING } from "../core/sampling.ts";
import { type ConfigOptionName, MAX_WORKERS } from "./config-options.ts";
import {
  type SettingsIssue,
  toSettingsIssues,
  type VirtualIpSettings,
  virtualIpSchema,
} from "./virtual-ip.ts";

export const logLevels = ["fatal", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof logLevels)[number];

const workersExpected = `expected a number from 1 to ${MAX_WORKERS}`;

export interface Config {
  readonly socket: string | undefined;
  readonly logLevel: LogLevel;
  readonly foreignSampling: ForeignSampling;
  readonly workers: number;
  readonly virtualIps: readonly VirtualIpSettings[];
}

const configSchema = z
  .strictObject({
    socket: z
      .string("expected a path")
      .startsWith("/", "expected an absolute path")
      .max(107, "longer than a socket path can be (107)")
      .optional(),
    "log-level": z.enum(logLevels, `expected one of ${logLevels.join(", ")}`).default("info"),
    "foreign-sampling": z
      .union([z.literal("auto"), z.int().min(1).max(MAX_FOREIGN_SAMPLING)], {
        error: `expected auto or a number from 1 to ${MAX_FOREIGN_SAMPLING}`,
      })
      .default("auto"),
    workers: z.int(workersExpected).min(1, workersExpected).max(MAX_WORKERS, workersExpected).default(1),
    "virtual-ips": z.array(virtualIpSchema, "expected a list").nullish(),
  } satisfies Record<ConfigOptionName, z.ZodType>)
  .transform((raw, context): Config => {
    const virtualIps = raw["virtual-ips"] ?? [];
    const seen = new Set<number>();
    for (const [index, settings] of virtualIps.entries()) {
      if (seen.has(settings.addressHost)) {
        context.addIssue({
          code: "custom",
          path: ["virtual-ips", index, "vip"],
          message: `${settings.vip} is listed twice: every virtual IP has one entry.`,
          params: { code: "CLUSTERIP_EXISTS" },
        });
      }
      seen.add(settings.addressHost);
    }
    return {
      socket: raw.socket,
      logLevel: raw["log-level"],
      foreignSampling: raw["foreign-sampling"],
      workers: raw.workers,
      virtualIps,
    };
  });

/**
 * Reads a configuration from text.
 *
 * @param name of the file, for errors
 * @throws ClusterIpError CLUSTERIP_CONFIG whose message has one line per error,
 * `FILE:LINE: PATH: what is wrong`
 */
export function parseConfig(text: string, name: string): Config {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    const messages = document.errors.map(
      (error) => `${name}:${lines.linePos(error.pos[0]).line}: ${error.message.trim()}`,
    );
    throw new ClusterIpError("CLUSTERIP_CONFIG", messages.join("\n"));
  }
  let raw: unknown;
  try {
    raw = document.toJS() ?? {};
  } catch (error) {
    // too many aliases, or an alias without its anchor
    throw new ClusterIpError("CLUSTERIP_CONFIG", `${name}: ${messageOf(error)}`, { cause: error });
  }
  const result = configSchema.safeParse(raw);
  if (result.success) return result.data;
  const messages = toSettingsIssues(result.error).map(
    (issue) => `${name}:${lineOf(issue.path)}: ${pathText(issue)}${issue.message}`,
  );
  throw new ClusterIpError("CLUSTERIP_CONFIG", messages.join("\n"));

  /** The line of the value at the path, or of the nearest thing around it. */
  function lineOf(path: SettingsIssue["path"]): number {
    for (let length = path.length; length >= 0; length -= 1) {
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
    }
    return 1;
  }
}

function pathText(issue: SettingsIssue): string {
  if (issue.path.length === 0) return "";
  const text = issue.path.map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`)).join("");
  return `${text.replace(/^\./, "")}: `;
}

/** Reads and checks a configuration file; throws CLUSTERIP_CONFIG. */
export function readConfigFile(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new ClusterIpError(
      "CLUSTERIP_CONFIG",
      `The configuration file cannot be read: ${messageOf(error)}.`,
      {
        cause: error,
      },
    );
  }
  return parseConfig(text, path);
}
