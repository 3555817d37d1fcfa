import type { Clock, Timer } from '../clock.ts';
import { codedError, isCodedError, type CodedError } from '../errors/coded-error.ts';
import { KEY_SET_REFRESH_MS } from '../limits.ts';
import type { Log } from '../log.ts';
import type { AddressRanges } from '../network/address-ranges.ts';
import type { FetchKeySet } from './key-set-request.ts';
import { importKey, type VerificationKey } from './verification-key.ts';

/** Keys beyond this are ignored, with a warning. */
const MAX_KEYS = 100;
/** Shortest time between two requests that clients can cause (O-96). */
const MIN_REQUEST_INTERVAL_MS = 10_000;
/** Early enough that a refresh is over when operators may count on it. */
const REFRESH_INTERVAL_MS = KEY_SET_REFRESH_MS - 60_000;

/** The keys that an endpoint publishes, kept fresh in the background (O-95). */
export interface KeyEndpoint {
  /** Its address without user, password and parameters. */
  readonly name: string;
  /** Keys of the last successful request; empty before the first one. */
  readonly keys: readonly VerificationKey[];
  /** The error of the last request, when it failed: the key that is looked for may exist. */
  readonly failure: CodedError | undefined;
  /** Keys of the set that are not used, and why. */
  readonly unusable: readonly UnusableKey[];
  /** Waits for the first answer, if it is still on its way. Never rejects. */
  ready(): Promise<void>;
  /**
   * Asks again because a key is missing; at most once in 10 seconds, whoever asks (O-96). Resolves to false when it was
   * too early to ask. Never rejects.
   */
  refresh(): Promise<boolean>;
  close(): void;
}

export interface UnusableKey {
  readonly kid: string | undefined;
  readonly reason: string;
}

export interface KeyEndpointOptions {
  readonly uri: string;
  readonly ranges: AddressRanges;
  readonly fetchKeySet: FetchKeySet;
  readonly clock: Clock;
  readonly log: Log;
}

/** Begins to fetch at once. While the endpoint fails, the keys it gave last stay in use (O-96). */
export function createKeyEndpoint(options: KeyEndpointOptions): KeyEndpoint {
  const { uri, ranges, fetchKeySet, clock, log } = options;
  const closing = new AbortController();
  let set: KeySet = { keys: new Map(), unusable: [] };
  let list: readonly VerificationKey[] = [];
  let failure: CodedError | undefined;
  let hasAnswered = false;
  let lastRequest = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | undefined;
  let timer: Timer | undefined;

  const request = async (): Promise<void> => {
    try {
      const document = await fetchKeySet(uri, { ranges, signal: closing.signal });
      set = await importKeys(document, set.keys, log);
      list = [...set.keys.values()];
      hasAnswered = true;
      failure = undefined;
    } catch (error) {
      if (closing.signal.aborted) return;
      failure = isCodedError(error) ? error : unexpected(error);
      log.warn({ error, code: failure.code, kept_keys: list.length }, 'Key set endpoint failed');
    }
  };

  /** One request at a time; whoever comes while it runs waits for it. */
  const ask = (): Promise<void> => {
    if (running !== undefined) return running;
    lastRequest = clock.monotonic();
    running = request().finally(() => {
      running = undefined;
      timer?.cancel();
      // Until the first success nobody can connect: ask again soon.
      const wait = hasAnswered ? REFRESH_INTERVAL_MS : MIN_REQUEST_INTERVAL_MS;
      if (!closing.signal.aborted) timer = clock.setTimer(wait, () => void ask());
    });
    return running;
  };
  const first = ask();

  return {
    name: nameOf(uri),
    get keys() {
      return list;
    },
    get failure() {
      return failure;
    },
    get unusable() {
      return set.unusable;
    },
    ready: () => first,
    async refresh() {
      if (running === undefined && clock.monotonic() - lastRequest < MIN_REQUEST_INTERVAL_MS) return false;
      await ask();
      return true;
    },
    close() {
      closing.abort(new Error('closed'));
      timer?.cancel();
    },
  };
}

function nameOf(uri: string): string {
  const { origin, pathname } = new URL(uri);
  return `${origin}${pathname}`;
}

function unexpected(cause: unknown): CodedError {
  return codedError('PSYNC_S2204', 'The key set endpoint cannot be asked', { cause });
}

interface KeySet {
  /** By the JSON text of the key. */
  readonly keys: ReadonlyMap<string, VerificationKey>;
  readonly unusable: readonly UnusableKey[];
}

/** Keys that did not change stay the same objects, by which verified tokens are remembered. */
async function importKeys(document: unknown, previous: KeySet['keys'], log: Log): Promise<KeySet> {
  const published = (document as { keys?: unknown } | null)?.keys;
  if (!Array.isArray(published)) {
    throw codedError('PSYNC_S2204', 'The key set endpoint answered with something other than a JSON Web Key Set');
  }
  if (published.length > MAX_KEYS) log.warn({ keys: published.length, used: MAX_KEYS }, 'Key set is very large');
  const keys = new Map<string, VerificationKey>();
  const unusable: UnusableKey[] = [];
  for (const jwk of (published as unknown[]).slice(0, MAX_KEYS)) {
    const identity = JSON.stringify(jwk);
    const members = (jwk ?? {}) as Record<string, unknown>;
    try {
      keys.set(identity, previous.get(identity) ?? (await importKey(members, { allowShared: false })));
    } catch (error) {
      // Sets may hold keys for other purposes; they are no failure (RFC 7517, section 5).
      log.debug({ error }, 'Key of the key set endpoint is not used');
      const kid = typeof members['kid'] === 'string' ? members['kid'] : undefined;
      unusable.push({ kid, reason: isCodedError(error) ? error.description : 'it cannot be read' });
    }
  }
  return { keys, unusable };
}
