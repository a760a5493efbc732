/** The daemon's command line and life: start, reload, stop. */
import { Command } from "commander";
import { ControlSocket } from "../api/server.ts";
import { ClusterIpError, exitStatus, isClusterIpError, messageOf } from "../core/errors.ts";
import { checkHost } from "../daemon/check-host.ts";
import { Daemon } from "../daemon/daemon.ts";
import { createLog, type Log } from "../daemon/log.ts";
import { ServiceManager } from "../daemon/sd-notify.ts";
import { StateFile } from "../daemon/state-file.ts";
import { BpfEngine, type BpfOptions, xdpChoices } from "../engine/bpf.ts";
import { findBpfSupport, removePrograms } from "../engine/bpf-support.ts";
import { EngineSet } from "../engine/engine-set.ts";
import { UserspaceEngine } from "../engine/userspace.ts";
import { requireCapabilities } from "../host/requirements.ts";
import { TUN_NAME } from "../host/tun.ts";
import { loadNative, type NativeAddon } from "../native.ts";
import { packageVersion } from "../package.ts";
import { type Config, readConfigFile } from "../settings/config-file.ts";
import { DEFAULT_SOCKET, SOCKET_VARIABLE, socketPath } from "../settings/options.ts";
import { countOf } from "../tools/numbers.ts";
import { reportFailure, runProgram } from "./program.ts";

interface Options {
  readonly config: string;
  readonly socket?: string;
  readonly check?: boolean;
}

/** The command line of `clusteripd`: parser and help, and the source of its man page. */
export function clusteripdProgram(): Command {
  return new Command("clusteripd")
    .description("Serves virtual IP addresses that several hosts share by hash buckets.")
    .version(packageVersion())
    .requiredOption("--config <FILE>", "the configuration file (YAML)")
    .option(
      "--socket <PATH>",
      `the control socket (default: ${DEFAULT_SOCKET}, environment ${SOCKET_VARIABLE})`,
    )
    .option("--check", "check the configuration file, say what this host lacks for it now, and exit")
    .allowExcessArguments(false)
    .action(async (options: Options) => {
      const config = readConfigFile(options.config);
      if (options.check === true) {
        await check(config, options.config);
        return;
      }
      await serve(config, options);
    });
}

export async function main(argv: readonly string[]): Promise<void> {
  await runProgram(clusteripdProgram(), argv);
}

/** Says what is missing now, which a start waits for; what the host refuses makes the check fail. */
async function check(config: Config, name: string): Promise<void> {
  const { missing, refused } = await checkHost(config.virtualIps);
  if (refused.length > 0) throw new ClusterIpError("CLUSTERIP_CONFIG", `${name}: ${refused.join(" ")}`);
  const count = config.virtualIps.length;
  process.stdout.write(`${name}: good, ${countOf(count, "virtual IP")}\n`);
  for (const sentence of missing) process.stdout.write(`missing now, and waited for: ${sentence}\n`);
}

/** Runs until a signal ends it. */
async function serve(config: Config, options: Options): Promise<void> {
  const log = createLog(config.logLevel);
  endOnDefect(log);
  const signals = new SignalQueue();
  const addon = loadNative();
  const socket = socketPath(options.socket ?? config.socket);
  const manager = new ServiceManager(addon.sendDatagram, log);
  requireCapabilities();
  // The socket before the state: a client that finds nobody on the socket may leave a release for us.
  const control = await ControlSocket.take(socket, log, addon.tryLockFile);
  const daemon = new Daemon({
    engines: engineSet(addon, config, log),
    state: new StateFile(socket, log),
    sendFrame: addon.sendFrame,
    watchNft: addon.watchNft,
    lockDevice: addon.lockDevice,
    log,
  });
  try {
    await daemon.start(config.virtualIps);
  } catch (error) {
    await control.close();
    throw error;
  }
  const servingText = (): string => `serving ${daemon.summary()}`;
  const readAgain = async (): Promise<void> => {
    const next = readConfigFile(options.config);
    if (next.socket !== config.socket) log.warn("the socket changes with the next start, not with a reload");
    if (next.foreignSampling !== config.foreignSampling) {
      log.warn("foreign-sampling changes with the next start, not with a reload");
    }
    if (next.workers !== config.workers) log.warn("workers changes with the next start, not with a reload");
    await daemon.reload(next.virtualIps);
    log.level = next.logLevel;
  };
  const reload = async (): Promise<void> => {
    manager.reloading();
    await readAgain().finally(() => manager.ready(servingText()));
  };
  control.serve(daemon, reload);
  manager.ready(servingText());
  manager.startWatchdog(() => daemon.whyStuck(), servingText);
  for (;;) {
    const signal = await signals.next();
    if (signal !== "SIGHUP") break;
    await reload().catch((error: unknown) => {
      const code = isClusterIpError(error) ? error.code : undefined;
      log.error({ code }, `reload refused, nothing changed: ${messageOf(error)}`);
    });
  }
  manager.stopping();
  await stop(daemon, control, log);
}

/** Read by tests and benchmarks, which want what operators should not have to think about. */
const variables = {
  auto: "CLUSTERIPD_AUTO_ENGINE",
  xdp: "CLUSTERIPD_XDP",
  clsact: "CLUSTERIPD_CLSACT",
} as const;

function engineSet(addon: NativeAddon, config: Config, log: Log): EngineSet {
  const options: BpfOptions = {
    xdp: xdpChoices.find((choice) => choice === process.env[variables.xdp]) ?? "auto",
    forcesClsact: process.env[variables.clsact] === "1",
  };
  return new EngineSet({
    userspace: new UserspaceEngine(addon, TUN_NAME, config),
    findBpf: async () => {
      const { native, whyNot } = await findBpfSupport();
      if (native === undefined) return { whyNot };
      return { engine: new BpfEngine(native, options, (nic, sentence) => log.warn({ nic }, sentence)) };
    },
    removePrograms,
    preferred: process.env[variables.auto] === "userspace" ? "userspace" : "bpf",
  });
}

async function stop(daemon: Daemon, control: ControlSocket, log: Log): Promise<void> {
  try {
    await daemon.stop();
  } catch (error) {
    reportFailure(
      "clusteripd",
      new ClusterIpError(
        "CLUSTERIP_HOST",
        `Not everything could be removed: ${messageOf(error)}. 'clusterip cleanup' tries again.`,
        { cause: error },
      ),
    );
    // The socket stays, as after a crash: without one, the resource agent takes the host for clean.
    process.exit(exitStatus.refused);
  }
  await control
    .close()
    .catch((error: unknown) => log.warn({ error: messageOf(error) }, "the socket stays behind"));
  process.exit();
}

/** Signals wait here from the first moment on, so that none is lost or ends us halfway. */
class SignalQueue {
  readonly #queue: NodeJS.Signals[] = [];
  #wake: (() => void) | undefined;

  constructor() {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.on(signal, () => {
        this.#queue.push(signal);
        this.#wake?.();
      });
    }
  }

  async next(): Promise<NodeJS.Signals> {
    for (;;) {
      const signal = this.#queue.shift();
      if (signal !== undefined) return signal;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** A defect ends the daemon as kill -9 would: nothing is taken down, the next start takes it over. */
function endOnDefect(log: Log): void {
  const end = (error: unknown): void => {
    log.fatal({ err: error }, "a defect in clusteripd, which ends as by kill -9");
    process.exit(exitStatus.refused);
  };
  process.on("uncaughtException", end);
  process.on("unhandledRejection", end);
}
