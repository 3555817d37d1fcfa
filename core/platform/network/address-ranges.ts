import { BlockList, isIP } from 'node:net';

/** Addresses that connections are refused to (R-8, O-42, O-53). */
export interface AddressRanges {
  /** Nothing is refused. */
  readonly isEmpty: boolean;
  /** True when the address lies in a listed range, or is no address while ranges are listed. */
  rejects(address: string): boolean;
}

/** Everything outside public unicast, by the IANA registries of special-purpose addresses. IPv6: see `isPublicIpv6`. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
/** Inside 2000::/3, but not public: protocol assignments and Teredo, documentation, 6to4. */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];
const PUBLIC_IPV6 = blockList(['2000::/3']);
const LOCAL = blockList([...SPECIAL_IPV4, ...SPECIAL_IPV6]);

/** True for an address, a range in CIDR form, or the word `local`. */
export function isAddressRange(text: string): boolean {
  return text === 'local' || parseSubnet(text) !== null;
}

/**
 * Reads `reject_ip_ranges`: addresses, ranges in CIDR form, and `local` for everything outside public unicast.
 * Entries must have passed `isAddressRange`; others throw a `TypeError`.
 */
export function parseAddressRanges(ranges: readonly string[]): AddressRanges {
  const rejectLocal = ranges.includes('local');
  const listed = blockList(ranges.filter((range) => range !== 'local'));

  const rejects = (address: string): boolean => {
    const plain = withoutZone(address);
    const family = isIP(plain);
    if (family === 0) return true;
    const embedded = family === 6 ? ipv4Within(plain, MAPPED) : null;
    if (embedded !== null && rejects(embedded)) return true;
    const translated = family === 6 ? ipv4Within(plain, NAT64) : null;
    if (translated !== null && rejects(translated)) return true;
    if (listed.check(plain, family === 6 ? 'ipv6' : 'ipv4')) return true;
    if (!rejectLocal || embedded !== null) return false;
    return family === 4 ? LOCAL.check(plain, 'ipv4') : !PUBLIC_IPV6.check(plain, 'ipv6') || LOCAL.check(plain, 'ipv6');
  };

  return ranges.length === 0 ? { isEmpty: true, rejects: () => false } : { isEmpty: false, rejects };
}

function blockList(subnets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of subnets) {
    const subnet = parseSubnet(text);
    if (subnet === null) throw new TypeError(`not an address range: ${text}`);
    list.addSubnet(subnet.address, subnet.prefix, subnet.family === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

function parseSubnet(text: string): { address: string; prefix: number; family: 4 | 6 } | null {
  const match = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = match?.[1] ?? '';
  const family = isIP(address);
  if (family !== 4 && family !== 6) return null;
  const bits = family === 4 ? 32 : 128;
  const prefix = match?.[2] === undefined ? bits : Number(match[2]);
  return prefix <= bits ? { address, prefix, family } : null;
}

function withoutZone(address: string): string {
  const percent = address.indexOf('%');
  return percent === -1 ? address : address.slice(0, percent);
}

/** An IPv4 address that the system connects to as such. Written in the one canonical form of URLs: the last 32 bits as two groups of hex digits. */
const MAPPED = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/;
/** What a gateway connects to as IPv4 (RFC 6052). */
const NAT64 = /^\[64:ff9b::(?:(?:([0-9a-f]{1,4}):)?([0-9a-f]{1,4}))?\]$/;

/** Null when the address is not of this form. */
function ipv4Within(address: string, form: RegExp): string | null {
  const match = form.exec(new URL(`http://[${address}]`).hostname);
  if (match === null) return null;
  const high = Number.parseInt(match[1] ?? '0', 16);
  const low = Number.parseInt(match[2] ?? '0', 16);
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}
