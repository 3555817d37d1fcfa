import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import type { AddressRanges } from './address-ranges.ts';

/** Resolves a name to all its addresses. Injected in tests. */
export type ResolveHost = (hostname: string) => Promise<readonly LookupAddress[]>;

/** Asks the resolver of the system, anew each time. */
export const resolveHost: ResolveHost = (hostname) =>
  new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)));
  });

export interface GuardedLookupOptions {
  readonly ranges: AddressRanges;
  readonly resolve?: ResolveHost;
  /** The error when every address of the host is refused. */
  readonly refusal: (hostname: string) => Error;
}

/**
 * The addresses of `hostname` (a name or an address) that may be connected to.
 *
 * Throws `refusal` when all are refused, and the resolver's error when there are none.
 */
export async function allowedAddresses(hostname: string, options: GuardedLookupOptions): Promise<LookupAddress[]> {
  const family = isIP(hostname);
  const addresses = family === 0 ? await (options.resolve ?? resolveHost)(hostname) : [{ address: hostname, family }];
  const allowed = addresses.filter(({ address }) => !options.ranges.rejects(address));
  if (allowed.length === 0) throw options.refusal(hostname);
  return allowed;
}

/**
 * A `lookup` for sockets that yields only allowed addresses, so that the address which was checked is the one that is
 * connected to, whatever the name resolves to a moment later. Sockets do not ask it for literal addresses: check these
 * with `allowedAddresses` first.
 */
export function guardedLookup(options: GuardedLookupOptions): LookupFunction {
  return (hostname, { all, family }, callback) => {
    const wanted = family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family;
    allowedAddresses(hostname, options).then(
      (allowed) => {
        const matching = wanted === 4 || wanted === 6 ? allowed.filter((each) => each.family === wanted) : allowed;
        const first = matching[0];
        if (first === undefined) return callback(noAddress(hostname), '', 0);
        return all === true ? callback(null, matching) : callback(null, first.address, first.family);
      },
      (error: unknown) => callback(error as NodeJS.ErrnoException, '', 0),
    );
  };
}

function noAddress(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${hostname} has no address of the wanted family`), { code: 'ENOTFOUND' });
}
