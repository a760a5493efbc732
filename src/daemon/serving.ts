/**
 * What this host serves, and the only code that changes it: addresses, nft tables and engine
 * together, so that a change is in force as a whole or not at all.
 *
 * The order of a change follows from one rule: this host never answers ARP for a virtual IP
 * with its own MAC, and its own stack never sees a frame that the engine did not accept.
 *
 *   tables for old and new -> engine lets go of the old -> addresses: new on, old off
 *     -> tables for the new alone -> engine takes the new
 */
import { messageOf } from "../core/errors.ts";
import { formatIpv4 } from "../core/ipv4.ts";
import type { NodeSet } from "../core/node-set.ts";
import type { Engine } from "../engine/engine.ts";
import { addAddresses, type Link, listLinks, type OwnAddress, removeAddresses } from "../host/ip.ts";
import { applyTables, listTables, renderTables } from "../host/nft.ts";
import { configureTun, tunFilterIsLoose } from "../host/tun.ts";
import type { Log } from "./log.ts";
import { differsOnlyInNodes, type ServedVirtualIp } from "./resolve.ts";

/** By address, host order. */
export type ServedMap = ReadonlyMap<number, ServedVirtualIp>;

export const repairKinds = ["nft", "address", "nic", "device"] as const;
export type RepairKind = (typeof repairKinds)[number];

export interface RepairRecord {
  count: number;
  lastAt: string | undefined;
}

/** A state of the host that keeps a virtual IP from being served, or makes it doubtful. */
export interface HostProblem {
  readonly code: "nic-missing" | "nic-down" | "address-elsewhere" | "repair-failed";
  readonly message: string;
}

type Undo = () => void | Promise<void>;

export class Serving {
  readonly repairs: Record<RepairKind, RepairRecord> = {
    nft: { count: 0, lastAt: undefined },
    address: { count: 0, lastAt: undefined },
    nic: { count: 0, lastAt: undefined },
    device: { count: 0, lastAt: undefined },
  };
  readonly #engine: Engine;
  readonly #log: Log;
  #current: ServedMap = new Map();
  #links: readonly Link[] = [];
  #problems: readonly HostProblem[] = [];
  /** the transaction in force, and what nft printed right after it */
  #tables: { readonly transaction: string; readonly listing: string | undefined } = {
    // Nothing yet: the first change replaces what a dead daemon may have left.
    transaction: "",
    listing: undefined,
  };

  constructor(engine: Engine, log: Log) {
    this.#engine = engine;
    this.#log = log;
  }

  get current(): ServedMap {
    return this.#current;
  }

  /** As of the last look; events make us look. */
  get problems(): readonly HostProblem[] {
    return this.#problems;
  }

  linkOf(nic: string): Link | undefined {
    return this.#links.find(({ name }) => name === nic);
  }

  async lookAtLinks(): Promise<readonly Link[]> {
    this.#links = await listLinks();
    return this.#links;
  }

  /**
   * Takes away what a dead daemon left and `keep` does not want: first the addresses, so that
   * the tables that make them harmless go last (with the next change).
   */
  async sweep(keep: ServedMap): Promise<void> {
    const remains = (await this.lookAtLinks()).flatMap((link) =>
      link.addresses
        .filter((a) => a.isOurs && keep.get(a.addressHost)?.settings.nic !== link.name)
        .map((a) => ({ addressHost: a.addressHost, device: link.name })),
    );
    await removeAddresses(
      remains.map(({ addressHost, device }) => ({ vip: formatIpv4(addressHost), device })),
    );
  }

  /** Makes `next` what is served; on failure everything is as it was, and the error is thrown. */
  async change(next: ServedMap): Promise<void> {
    const previous = this.#current;
    const undos: Undo[] = [];
    const step = async (act: () => void | Promise<void>, undo: Undo): Promise<void> => {
      // Registered first: a step that fails halfway is undone too, and every undo is idempotent.
      undos.push(undo);
      await act();
    };
    const links = await this.lookAtLinks();
    const isKept = (virtualIp: ServedVirtualIp, others: ServedMap): boolean => {
      const other = others.get(virtualIp.settings.addressHost);
      return other !== undefined && differsOnlyInNodes(virtualIp, other);
    };
    const leaving = [...previous.values()].filter((v) => !isKept(v, next));
    const arriving = [...next.values()].filter((v) => !isKept(v, previous));
    const superset = new Map([...previous, ...next]);
    const before = this.#ownAddresses(previous.values());
    const after = this.#ownAddresses(next.values());
    const gone = before.filter((a) => !includesAddress(after, a));
    const added = after.filter((a) => !includesAddress(before, a));
    try {
      await step(
        () => this.#setTables(superset),
        () => this.#setTables(previous, true),
      );
      for (const virtualIp of leaving) {
        await step(
          () => this.#engine.detach(virtualIp.settings.addressHost),
          () => this.#attach(virtualIp),
        );
      }
      await step(
        () => this.#addMissing(added, links),
        () => this.#removePresent(added),
      );
      await step(
        () => this.#removePresent(gone),
        async () => this.#addMissing(gone, await this.lookAtLinks()),
      );
      await step(
        () => this.#setTables(next),
        () => this.#setTables(superset),
      );
      for (const virtualIp of arriving) {
        await step(
          () => this.#attach(virtualIp),
          () => this.#engine.detach(virtualIp.settings.addressHost),
        );
      }
      for (const virtualIp of next.values()) {
        const old = previous.get(virtualIp.settings.addressHost);
        if (
          old === undefined ||
          arriving.includes(virtualIp) ||
          sameNodes(old.localNodes, virtualIp.localNodes)
        )
          continue;
        await step(
          () => this.#engine.setLocal(virtualIp.settings.addressHost, virtualIp.localNodes),
          () => this.#engine.setLocal(virtualIp.settings.addressHost, old.localNodes),
        );
      }
    } catch (error) {
      for (const undo of undos.reverse()) {
        try {
          await undo();
        } catch (undoError) {
          // The next repair tries again: what is served has not changed.
          this.#log.error({ error: messageOf(undoError) }, "a step could not be undone");
        }
      }
      throw error;
    }
    this.#current = next;
    // The change is in force: when this look fails, it must not be refused, and a repair looks again.
    await this.lookAtLinks().catch((error: unknown) =>
      this.#log.warn({ error: messageOf(error) }, "the look after a change failed"),
    );
    this.#problems = this.#findProblems();
  }

  /** Moves buckets only: no process is started, the engine alone changes. */
  setLocal(addressHost: number, localNodes: NodeSet): void {
    const virtualIp = this.#current.get(addressHost);
    if (virtualIp === undefined) return;
    this.#engine.setLocal(addressHost, localNodes);
    this.#current = new Map(this.#current).set(addressHost, { ...virtualIp, localNodes });
  }

  /** Puts back our tables if somebody has changed them: the first thing after an nft event. */
  async repairTables(): Promise<void> {
    if (this.#current.size === 0) return;
    const transaction = this.#render(this.#current);
    const listing = await listTables();
    const isIntact = listing !== undefined && listing === this.#tables.listing;
    if (isIntact && transaction === this.#tables.transaction) return;
    const wasTouched = transaction === this.#tables.transaction;
    await this.#setTables(this.#current, true);
    if (wasTouched) this.#count("nft", "nft tables were changed or removed by somebody else; put back");
  }

  /** Brings the host to what is served, whatever has been done to it meanwhile. */
  async repair(): Promise<void> {
    const failures: HostProblem[] = [];
    const attempt = async (act: () => void | Promise<void>): Promise<void> => {
      try {
        await act();
      } catch (error) {
        failures.push({ code: "repair-failed", message: messageOf(error) });
        this.#log.error({ error: messageOf(error) }, "repair failed");
      }
    };
    await this.lookAtLinks();
    // First: the tables for today's interfaces no longer guard one that was renamed away.
    await attempt(() => this.#repairStaleAddresses());
    await attempt(() => this.repairTables());
    await attempt(() => this.#repairDevice());
    for (const nic of this.#nics()) await attempt(() => this.#repairBinding(nic));
    await attempt(() => this.#repairAddresses());
    this.#problems = [...this.#findProblems(), ...failures];
  }

  async #repairDevice(): Promise<void> {
    const { device } = this.#engine;
    if (device === undefined || this.#current.size === 0) return;
    const link = this.linkOf(device);
    if (link?.isUp === true && tunFilterIsLoose(device)) return;
    if (link === undefined) this.#engine.reopenDevice();
    await configureTun(device);
    this.#count("device", `${device} was changed or removed by somebody else; put back`);
    await this.lookAtLinks();
  }

  /** A renamed interface keeps our address, but the name that we serve is another device now. */
  async #repairStaleAddresses(): Promise<void> {
    const wanted = this.#ownAddresses(this.#current.values());
    const stale = this.#links.flatMap((link) =>
      link.addresses
        .filter((a) => a.isOurs)
        .map((a) => ({ vip: formatIpv4(a.addressHost), device: link.name }))
        .filter((address) => !includesAddress(wanted, address)),
    );
    if (stale.length === 0) return;
    await removeAddresses(stale);
    await this.lookAtLinks();
    this.#count("address", `removed from where it is not served: ${describeAddresses(stale)}`);
  }

  #repairBinding(nic: string): void {
    const ifindex = this.linkOf(nic)?.ifindex;
    if (this.#engine.boundIfindex(nic) === ifindex) return;
    this.#engine.bindNic(nic, ifindex);
    if (ifindex === undefined) this.#log.warn({ nic }, "the interface is gone; waiting for it");
    else this.#count("nic", `${nic} is back as interface ${ifindex}; serving again`);
  }

  async #repairAddresses(): Promise<void> {
    const missing = this.#missing(this.#ownAddresses(this.#current.values()), this.#links);
    if (missing.length === 0) return;
    await addAddresses(missing);
    this.#count("address", `put back: ${describeAddresses(missing)}`);
    await this.lookAtLinks();
  }

  #findProblems(): readonly HostProblem[] {
    const problems: HostProblem[] = [];
    for (const nic of this.#nics()) {
      const link = this.linkOf(nic);
      if (link === undefined) {
        problems.push({
          code: "nic-missing",
          message: `The interface ${nic} does not exist; serving goes on when it is back.`,
        });
      } else if (!link.isUp || !link.hasCarrier) {
        problems.push({ code: "nic-down", message: `The interface ${nic} is down or has no carrier.` });
      }
    }
    for (const { settings } of this.#current.values()) {
      const elsewhere = this.#links.find(
        (link) =>
          link.name !== settings.nic &&
          link.name !== this.#engine.device &&
          link.addresses.some((a) => a.addressHost === settings.addressHost),
      );
      if (elsewhere === undefined) continue;
      problems.push({
        code: "address-elsewhere",
        message: `${settings.vip} is also an address of ${elsewhere.name}; frames that arrive there are not judged.`,
      });
    }
    return problems;
  }

  #attach({ settings, clusterMac, localNodes }: ServedVirtualIp): void {
    const { addressHost, nic, hashMode, totalNodes, hashInit } = settings;
    this.#engine.attach({ addressHost, nic, clusterMac, hashMode, totalNodes, hashInit, localNodes });
    const ifindex = this.linkOf(nic)?.ifindex;
    if (this.#engine.boundIfindex(nic) !== ifindex) this.#engine.bindNic(nic, ifindex);
  }

  #render(virtualIps: ServedMap): string {
    const guarded = [...virtualIps.values()].map(({ settings, clusterMac }) => ({
      vip: settings.vip,
      nic: settings.nic,
      clusterMac,
    }));
    return renderTables(guarded, new Set(this.#links.map(({ name }) => name)));
  }

  async #setTables(virtualIps: ServedMap, always = false): Promise<void> {
    const transaction = this.#render(virtualIps);
    if (!always && transaction === this.#tables.transaction) return;
    await applyTables(transaction);
    this.#tables = { transaction, listing: virtualIps.size === 0 ? undefined : await listTables() };
  }

  /** Every address that we set: on the engine's device first, then on the interface. */
  #ownAddresses(virtualIps: Iterable<ServedVirtualIp>): OwnAddress[] {
    return [...virtualIps].flatMap(({ settings, isAdopted }) => [
      ...(this.#engine.device === undefined ? [] : [{ vip: settings.vip, device: this.#engine.device }]),
      ...(isAdopted ? [] : [{ vip: settings.vip, device: settings.nic }]),
    ]);
  }

  /** Those that are not there, on devices that exist. */
  #missing(addresses: readonly OwnAddress[], links: readonly Link[]): OwnAddress[] {
    return addresses.filter(({ vip, device }) => {
      const link = links.find(({ name }) => name === device);
      return link !== undefined && !link.addresses.some((a) => a.isOurs && formatIpv4(a.addressHost) === vip);
    });
  }

  async #addMissing(addresses: readonly OwnAddress[], links: readonly Link[]): Promise<void> {
    await addAddresses(this.#missing(addresses, links));
  }

  /** The interface's address goes first: from then on nobody resolves it here. */
  async #removePresent(addresses: readonly OwnAddress[]): Promise<void> {
    if (addresses.length === 0) return;
    const links = await this.lookAtLinks();
    const missing = this.#missing(addresses, links);
    const present = addresses.filter(
      (a) => !includesAddress(missing, a) && links.some(({ name }) => name === a.device),
    );
    await removeAddresses([...present].reverse());
  }

  #nics(): readonly string[] {
    return [...new Set([...this.#current.values()].map(({ settings }) => settings.nic))];
  }

  #count(kind: RepairKind, message: string): void {
    const record = this.repairs[kind];
    record.count += 1;
    record.lastAt = new Date().toISOString();
    this.#log.warn({ repair: kind, count: record.count }, message);
  }
}

function includesAddress(addresses: readonly OwnAddress[], { vip, device }: OwnAddress): boolean {
  return addresses.some((a) => a.vip === vip && a.device === device);
}

function describeAddresses(addresses: readonly OwnAddress[]): string {
  return addresses.map(({ vip, device }) => `${vip} on ${device}`).join(", ");
}

function sameNodes(a: NodeSet, b: NodeSet): boolean {
  return a.length === b.length && a.every((node, index) => node === b[index]);
}
