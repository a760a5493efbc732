/** The configuration file: YAML, checked against the schema, errors with line and path. */
import { type Document, isNode, isScalar, LineCounter, parseDocument, visit } from "yaml";
import { z } from "zod";
import { ClusterIpError, messageOf } from "../core/errors.ts";
import { MAX_WORKERS } from "../core/facts.ts";
import { type ForeignSampling, MAX_FOREIGN_SAMPLING } from "../core/sampling.ts";
import type { Address } from "../model/address.ts";
import type { VirtualIp } from "../model/virtual-ip.ts";
import type { ConfigOptionName } from "./config-options.ts";
import { MAX_CONFIG_BYTES, MAX_MESSAGES, MAX_VIRTUAL_IPS } from "./limits.ts";
import { shown } from "./nic-name.ts";
import { readRegularFile } from "./regular-file.ts";
import { type SettingsIssue, toSettingsIssues, virtualIpSchema } from "./virtual-ip.ts";

export const logLevels = ["fatal", "error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof logLevels)[number];

const workersExpected = `expected a number from 1 to ${MAX_WORKERS}`;

export interface Config {
  readonly socket: string | undefined;
  readonly logLevel: LogLevel;
  readonly foreignSampling: ForeignSampling;
  readonly workers: number;
  readonly virtualIps: readonly VirtualIp[];
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
    const seen = new Set<Address>();
    for (const [index, settings] of virtualIps.entries()) {
      if (seen.has(settings.address)) {
        context.addIssue({
          code: "custom",
          path: ["virtual-ips", index, "vip"],
          message: `${settings.address} is listed twice: every virtual IP has one entry.`,
          params: { code: "CLUSTERIP_EXISTS" },
        });
      }
      seen.add(settings.address);
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
 * `FILE:LINE: PATH: what is wrong`; of many the first {@link MAX_MESSAGES}
 */
export function parseConfig(text: string, name: string): Config {
  const lines = new LineCounter();
  const lineAt = (offset: number): number => lines.linePos(offset).line;
  // Its own look for keys that are there twice compares each with all others, which takes minutes for a large file.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false });
  refuseIfAny(document.errors, ({ pos, message }) => `${name}:${lineAt(pos[0])}: ${sentenceOf(message)}`);
  const raw = toValue(document, name, lineAt);
  const result = configSchema.safeParse(raw);
  if (result.success) return result.data;
  refuseIfAny(
    toSettingsIssues(result.error),
    (issue) => `${name}:${lineOf(issue.path)}: ${pathText(issue)}${issue.message}`,
  );
  throw new ClusterIpError("CLUSTERIP_CONFIG", `${name}: the settings are wrong.`);

  /** The line of the value at the path, or of the nearest thing around it. */
  function lineOf(path: SettingsIssue["path"]): number {
    for (let length = path.length; length >= 0; length -= 1) {
      const node = document.getIn(path.slice(0, length), true);
      if (isNode(node) && node.range) return lineAt(node.range[0]);
    }
    return 1;
  }
}

function refuseIfAny<T>(wrong: readonly T[], describe: (one: T) => string): void {
  if (wrong.length === 0) return;
  const messages = wrong.slice(0, MAX_MESSAGES).map(describe);
  const more = wrong.length - messages.length;
  if (more > 0) messages.push(`and ${more.toLocaleString("en")} more like these.`);
  throw new ClusterIpError("CLUSTERIP_CONFIG", messages.join("\n"));
}

/** The parser's own words, but for what is JavaScript's. */
function sentenceOf(message: string): string {
  return message.includes("call stack") ? "This is nested too deeply." : message.trim();
}

/** What the document says, as plain values; no more of it than the schema is to see. */
function toValue(document: Document, name: string, lineAt: (offset: number) => number): unknown {
  let raw: unknown;
  const repeated: number[] = [];
  try {
    visit(document, {
      Map(_, { items }) {
        const seen = new Set<unknown>();
        for (const { key } of items) {
          if (!isScalar(key)) continue;
          if (seen.has(key.value)) repeated.push(key.range?.[0] ?? 0);
          seen.add(key.value);
        }
      },
    });
    raw = document.toJS() ?? {};
  } catch (error) {
    // too many aliases, or an alias without its anchor
    throw new ClusterIpError("CLUSTERIP_CONFIG", `${name}: ${sentenceOf(messageOf(error))}`, {
      cause: error,
    });
  }
  refuseIfAny(repeated, (offset) => `${name}:${lineAt(offset)}: Map keys must be unique`);
  const list: unknown =
    typeof raw === "object" && raw !== null && "virtual-ips" in raw ? raw["virtual-ips"] : [];
  if (Array.isArray(list) && list.length > MAX_VIRTUAL_IPS) {
    throw new ClusterIpError(
      "CLUSTERIP_CONFIG",
      `${name}: virtual-ips has ${list.length.toLocaleString("en")} entries: one host serves ${MAX_VIRTUAL_IPS.toLocaleString("en")} at most.`,
    );
  }
  return raw;
}

function pathText(issue: SettingsIssue): string {
  if (issue.path.length === 0) return "";
  const text = issue.path
    .map((part) => (typeof part === "number" ? `[${part}]` : `.${shown(part)}`))
    .join("");
  return `${text.replace(/^\./, "")}: `;
}

/** Reads and checks a configuration file; throws CLUSTERIP_CONFIG. */
export function readConfigFile(path: string): Config {
  let text: string;
  try {
    text = readRegularFile(path, { maxBytes: MAX_CONFIG_BYTES });
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
