import { request as requestHttp, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { codedError, isCodedError, type CodedError } from '../errors/coded-error.ts';
import type { AddressRanges } from '../network/address-ranges.ts';
import { allowedAddresses, guardedLookup, resolveHost, type ResolveHost } from '../network/guarded-lookup.ts';

/** A key set is a few kilobytes. */
const MAX_BYTES = 1024 * 1024;
const TIMEOUT_MS = 10_000;
const MAX_REDIRECTS = 3;

export interface KeySetRequestOptions {
  /** Refused addresses (O-53), checked at every hop on the address that is connected to. */
  readonly ranges: AddressRanges;
  readonly signal?: AbortSignal;
  readonly resolve?: ResolveHost;
  /** Milliseconds for the whole request with its redirects. Default 10,000. */
  readonly timeoutMs?: number;
}

/** Fetches the JSON document at an address. */
export type FetchKeySet = (uri: string, options: KeySetRequestOptions) => Promise<unknown>;

/**
 * Fetches a key set. It is the only request that the service makes to an address from its configuration, so it goes to
 * http and https only, follows few redirects, reads little, waits briefly, and never connects to refused addresses. Whatever
 * content type the answer has: its text decides, because endpoints name all sorts.
 *
 * Rejects with `PSYNC_S2203` for a refused address, `S2202` when there is no route to IPv6 and nothing else to try,
 * `S3103` when a redirect leads to another scheme, `S2204` for everything else (O-95, O-97).
 */
export const fetchKeySet: FetchKeySet = async (uri, options) => {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
  let url = new URL(uri);
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await requestOnce(url, options, signal).catch((cause: unknown) => {
      if (isCodedError(cause)) throw cause;
      throw failed(url, reasonOf(cause, timeout.aborted), cause);
    });
    if (!('redirect' in answer)) return answer.document;
    url = redirectTarget(url, answer.redirect);
  }
  throw failed(url, `it redirects more than ${MAX_REDIRECTS} times`);
};

/**
 * Where a redirect leads. Never to another scheme than http and https (`PSYNC_S3103`), and never from https to http (`S2204`): keys that
 * anybody on the way could exchange are no keys. Its address is checked like that of the first hop.
 */
export function redirectTarget(from: URL, location: string): URL {
  const target = URL.parse(location, from.href);
  if (target === null) throw failed(from, 'it redirects to an invalid address');
  if (target.protocol !== 'http:' && target.protocol !== 'https:') {
    throw codedError(
      'PSYNC_S3103',
      `The key set endpoint redirects to ${target.protocol}; only http and https are used`,
    );
  }
  if (from.protocol === 'https:' && target.protocol === 'http:') throw failed(from, 'it redirects from https to http');
  return target;
}

type Answer = { readonly redirect: string } | { readonly document: unknown };

async function requestOnce(url: URL, options: KeySetRequestOptions, signal: AbortSignal): Promise<Answer> {
  const guard = {
    ranges: options.ranges,
    resolve: options.resolve ?? resolveHost,
    refusal: (hostname: string): CodedError =>
      codedError(
        'PSYNC_S2203',
        `IPs in this range are not supported: every address of ${hostname} lies in jwks_reject_ip_ranges`,
      ),
  };
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  // Literal addresses are never looked up, so the check comes first.
  const addresses = await allowedAddresses(hostname, guard);
  try {
    const response = await send(url, guardedLookup(guard), signal);
    return await readAnswer(url, response, signal);
  } catch (cause) {
    if (addresses.every(({ family }) => family === 6) && isUnreachable(cause)) {
      throw codedError('PSYNC_S2202', `${hostname} has IPv6 addresses only, and IPv6 is not available here`, { cause });
    }
    throw cause;
  }
}

function send(url: URL, lookup: ReturnType<typeof guardedLookup>, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestHttps : requestHttp;
    const headers = { accept: 'application/json, application/jwk-set+json', 'user-agent': 'millrace' };
    // A connection of its own each time: a kept one would skip the check of its address.
    request(url, { lookup, signal, headers, agent: false }, resolve).once('error', reject).end();
  });
}

async function readAnswer(url: URL, response: IncomingMessage, signal: AbortSignal): Promise<Answer> {
  const status = response.statusCode ?? 0;
  const { location } = response.headers;
  if (status >= 300 && status < 400 && location !== undefined) {
    response.destroy();
    return { redirect: location };
  }
  if (status !== 200) {
    response.destroy();
    throw failed(url, `it answered with status ${status}`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    signal.throwIfAborted();
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw failed(url, `its answer is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return { document: JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown };
  } catch {
    throw failed(url, 'its answer is not JSON');
  }
}

/** Without user, password and parameters of the address. */
function failed(url: URL, why: string, cause?: unknown): CodedError {
  return codedError('PSYNC_S2204', `The key set at ${url.origin}${url.pathname} cannot be fetched: ${why}`, { cause });
}

function reasonOf(error: unknown, timedOut: boolean): string {
  if (timedOut) return 'it did not answer in time';
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  return code ?? (error instanceof Error ? error.message : 'the request failed');
}

const UNREACHABLE = new Set(['ENETUNREACH', 'EHOSTUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']);

function isUnreachable(error: unknown): boolean {
  const inner = error instanceof AggregateError ? (error.errors as unknown[]) : [error];
  return (
    inner.length > 0 && inner.every((each) => UNREACHABLE.has(String((each as NodeJS.ErrnoException | null)?.code)))
  );
}
