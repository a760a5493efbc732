/** CPU time and memory of the daemons, and of the whole machine, from /proc. */
import { readdirSync, readFileSync } from "node:fs";

/** CPU time that the processes have used so far, in nanoseconds: the scheduler's own count, not clock ticks. */
export function cpuTimeNs(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      // "time on the CPU, time waiting for it, slices": Documentation/scheduler/sched-stats.rst
      const text = readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8");
      total += Number(text.split(" ")[0]);
    }
  }
  return total;
}

/** Resident memory in MB (10^6 octets); the mean where there are several. */
export function residentMb(pids: readonly number[]): number {
  const sizes = pids.map((pid) => {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return (Number(kib) * 1024) / 1e6;
  });
  return sizes.reduce((a, b) => a + b, 0) / sizes.length;
}

/** What all CPUs of the machine did, in microseconds. */
export interface MachineTime {
  readonly userUs: number;
  readonly systemUs: number;
  /** packets are received here, whoever sends them */
  readonly softirqUs: number;
  readonly idleUs: number;
}

/** A clock tick as /proc/stat counts them (USER_HZ is 100 on every architecture of Node.js). */
const TICK_US = 10_000;

export function machineTime(): MachineTime {
  const [, ...ticks] = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]?.split(/\s+/) ?? [];
  const [user = 0, nice = 0, system = 0, idle = 0, ioWait = 0, irq = 0, softirq = 0] = ticks.map(Number);
  return {
    userUs: (user + nice) * TICK_US,
    systemUs: system * TICK_US,
    softirqUs: (irq + softirq) * TICK_US,
    idleUs: (idle + ioWait) * TICK_US,
  };
}

/** Runs `act` and tells what the machine and these processes spent meanwhile. */
export async function spending<T>(
  pids: readonly number[],
  act: () => Promise<T>,
): Promise<{ result: T; daemonNs: number; machine: MachineTime; elapsedMs: number }> {
  const started = performance.now();
  const [machineBefore, daemonBefore] = [machineTime(), cpuTimeNs(pids)];
  const result = await act();
  const [machineAfter, daemonAfter] = [machineTime(), cpuTimeNs(pids)];
  return {
    result,
    daemonNs: daemonAfter - daemonBefore,
    machine: {
      userUs: machineAfter.userUs - machineBefore.userUs,
      systemUs: machineAfter.systemUs - machineBefore.systemUs,
      softirqUs: machineAfter.softirqUs - machineBefore.softirqUs,
      idleUs: machineAfter.idleUs - machineBefore.idleUs,
    },
    elapsedMs: performance.now() - started,
  };
}
