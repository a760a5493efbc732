/** Networks of addresses: a prefix length is that of the address's own family, 0 to 32 or 0 to 128. */
import { type Address, addressBits, addressOfBits, isIpv4 } from "./address.ts";

const ALL_BITS = (1n << 128n) - 1n;
const MAPPED_PREFIX = 96;

/** The bits of the address below the prefix. */
function hostMask(address: Address, prefixLength: number): bigint {
  const length = isIpv4(address) ? MAPPED_PREFIX + prefixLength : prefixLength;
  return ALL_BITS >> BigInt(length);
}

/** The first address of the network that holds the address. */
export function networkOf(address: Address, prefixLength: number): Address {
  return addressOfBits(addressBits(address) & ~hostMask(address, prefixLength));
}

/** The last address of the network that holds the address: with IPv4, its broadcast address. */
export function lastOf(address: Address, prefixLength: number): Address {
  return addressOfBits(addressBits(address) | hostMask(address, prefixLength));
}

/** Whether the network `network/prefixLength` holds the address. */
export function networkHolds(network: Address, prefixLength: number, address: Address): boolean {
  if (isIpv4(network) !== isIpv4(address)) return false;
  return (addressBits(network) ^ addressBits(address)) <= hostMask(network, prefixLength);
}

/** `ADDRESS/LENGTH` of the network that holds the address. */
export function formatNetwork(address: Address, prefixLength: number): string {
  return `${networkOf(address, prefixLength)}/${prefixLength}`;
}

/** The address that follows by so many. */
export function addressAfter(address: Address, count: number): Address {
  return addressOfBits(addressBits(address) + BigInt(count));
}
