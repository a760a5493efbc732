/** The API of a daemon, as far as tests ask it all the time. */
import { call } from "../../../src/api/client.ts";
import type { StatusBody, VirtualIpBody } from "../../../src/api/contract.ts";
import { paths } from "../../../src/api/contract.ts";

/** Anything that has a control socket: a `Daemon` of the lab, for example. */
export interface HasSocket {
  readonly socket: string;
}

export async function statusOf({ socket }: HasSocket): Promise<StatusBody> {
  return (await call(socket, "GET", paths.status)) as StatusBody;
}

/** The status without what counts traffic and time: two of them are equal when nothing has changed. */
export async function settingsOf(daemon: HasSocket): Promise<unknown> {
  const { virtualIps, problems, repairs } = await statusOf(daemon);
  const settings = virtualIps.map(({ buckets, withoutBucket, ...rest }: VirtualIpBody) => rest);
  settings.sort((a, b) => a.vip.localeCompare(b.vip));
  return { virtualIps: settings, problems, repairs };
}

export async function repairsOf(daemon: HasSocket): Promise<Record<string, number>> {
  const { repairs } = await statusOf(daemon);
  return Object.fromEntries(Object.entries(repairs).map(([kind, { count }]) => [kind, count]));
}

export function add(daemon: HasSocket, body: Record<string, unknown>): Promise<unknown> {
  return call(daemon.socket, "POST", paths.virtualIps, body);
}

export function del(daemon: HasSocket, vip: string): Promise<unknown> {
  return call(daemon.socket, "DELETE", paths.virtualIp(vip));
}
