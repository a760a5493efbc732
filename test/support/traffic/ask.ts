/** One question to an address, by ARP or ping. */
import { expect } from "vitest";
import type { Host } from "../lab/host.ts";

/** One ARP request for the address; resolves with the sender MAC of the answer, in lower case. */
export async function arpSenderOf(client: Host, address: string): Promise<string | undefined> {
  const { stdout } = await client.tryExec(["arping", "-c", "1", "-w", "10", "-I", "eth0", address]);
  return /\[([0-9A-F:]{17})\]/i.exec(stdout)?.[1]?.toLowerCase();
}

/** Whether one request is answered; soon, so that it can be asked again. */
export async function pings(client: Host, address: string, timeoutS = 0.5): Promise<boolean> {
  return (await client.tryExec(["ping", "-q", "-c", "1", "-W", String(timeoutS), address])).status === 0;
}

/** One request is answered, however busy the machine is. */
export async function answersPing(client: Host, address: string): Promise<void> {
  expect(await pings(client, address, 10), `${address} answers ping`).toBe(true);
}
