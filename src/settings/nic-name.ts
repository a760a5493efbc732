/** Names of interfaces: which may be asked for, and which can be served. */
import { ClusterIpError } from "../core/errors.ts";

/** ALTIFNAMSIZ less the octet 0 at its end (linux/if.h); a name proper has at most 15 octets. */
const MAX_NAME_BYTES = 127;

/** What dev_valid_name (net/core/dev.c) refuses, and ip(8) for alternative names; and what nobody can see or type. */
const NEVER = /[/:\p{C}\p{Z}]/u;

/** In an error: short, and without what could act on a terminal. */
export function shown(text: string): string {
  const visible = text.replaceAll(/\p{C}/gu, "\uFFFD");
  return visible.length > 40 ? `${visible.slice(0, 40)}…` : visible;
}

/**
 * A name as somebody gave it, also an alternative one (ip-link(8), altname).
 *
 * @throws CLUSTERIP_BAD_NIC for one that no interface has
 */
export function checkNicName(name: string): string {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > MAX_NAME_BYTES || name === "." || name === ".." || NEVER.test(name)) {
    throw new ClusterIpError(
      "CLUSTERIP_BAD_NIC",
      `'${shown(name)}' is not an interface name: expected 1 to 15 octets (127 for an alternative name) without spaces, slashes and colons, such as eth0.`,
    );
  }
  return name;
}

/**
 * Of an interface that exists, the name by which the kernel knows it: it stands in nft's rules between double quotes,
 * where nothing can quote such a character, and where a final asterisk means every interface that begins so.
 *
 * @throws CLUSTERIP_BAD_NIC
 */
export function requireServable(name: string): void {
  const why = name.includes('"')
    ? "nft has no way to write a double quote"
    : name.endsWith("*")
      ? "to nft an asterisk at the end means all interfaces that begin so"
      : undefined;
  if (why === undefined) return;
  throw new ClusterIpError(
    "CLUSTERIP_BAD_NIC",
    `The interface '${shown(name)}' cannot be served under this name: ${why}. Give it another one ('ip link set dev ... name ...').`,
  );
}

/** Something with names: a link of the host. */
export interface Named {
  readonly name: string;
  readonly altNames?: readonly string[];
}

/** The link of that name; a name proper takes precedence over the alternative name of another, as in the kernel. */
export function linkNamed<T extends Named>(links: readonly T[], nic: string): T | undefined {
  return (
    links.find(({ name }) => name === nic) ?? links.find(({ altNames }) => altNames?.includes(nic) === true)
  );
}
