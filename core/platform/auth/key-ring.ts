import type { Clock } from '../clock.ts';
import type { ClientAuthConfig } from '../config/service-config.ts';
import type { KeyEndpoint } from './key-endpoint.ts';
import type { UnverifiedToken } from './token-format.ts';
import { importKey, type VerificationKey } from './verification-key.ts';

/** Signatures tried for one token without `kid`; more keys than this are not asked. */
const MAX_ATTEMPTS = 20;
/** Longest wait for endpoints, for one token. Below what a connection may take until its first stream. */
const MAX_SEARCH_MS = 10_000;

/** A key, and where it comes from in words for operators. */
export interface LocatedKey {
  readonly key: VerificationKey;
  readonly origin: string;
}

/** What became of the search for the key that signed a token. */
export interface KeySearch {
  /** The key that signed it. */
  readonly signer: LocatedKey | undefined;
  /** All keys, as they were at the end. */
  readonly keys: readonly LocatedKey[];
  readonly endpoints: readonly KeyEndpoint[];
  /** Whether the endpoints were asked again because the token's key is missing; `too early`: they had just been (O-96). */
  readonly asked: 'no' | 'yes' | 'too early';
  /** Names of endpoints that were not waited for any longer. */
  readonly unanswered: readonly string[];
}

/** The keys that clients' tokens may be signed with: static ones and those of endpoints. */
export interface KeyRing {
  /** Never rejects: an endpoint that fails has its `failure`. Takes 10 seconds at most. */
  search(token: UnverifiedToken): Promise<KeySearch>;
  /** False for a key that was withdrawn. */
  holds(key: VerificationKey): boolean;
  close(): void;
}

/** Rejects with `PSYNC_S3120` when a static key cannot be used. */
export async function createKeyRing(
  staticKeys: ClientAuthConfig['keys'],
  endpoints: readonly KeyEndpoint[],
  clock: Clock,
): Promise<KeyRing> {
  const imported = await Promise.all(staticKeys.map((jwk) => importKey(jwk, { allowShared: true })));
  const fixed = imported.map((key): LocatedKey => ({ key, origin: 'the service configuration' }));
  const allKeys = (): LocatedKey[] => [
    ...fixed,
    ...endpoints.flatMap(({ keys, name }) => keys.map((key) => ({ key, origin: name }))),
  ];

  const search: KeyRing['search'] = async (token) => {
    const tried = new Set<VerificationKey>();
    let signer = await signerOf(token, allKeys(), tried);
    if (signer !== undefined) return { signer, keys: allKeys(), endpoints, asked: 'no', unanswered: [] };
    let asked: KeySearch['asked'] = 'no';
    const askAgain = async (endpoint: KeyEndpoint): Promise<void> => {
      await endpoint.ready();
      if (token.kid === undefined || allKeys().some(({ key }) => key.kid === token.kid)) return;
      if (await endpoint.refresh()) asked = 'yes';
      else if (asked === 'no') asked = 'too early';
    };
    // What an endpoint brings is tried as soon as it has answered: one that is slow does not hold up the keys of the others.
    const waiting = new Map<Promise<void>, string>();
    for (const endpoint of endpoints) {
      for (const answer of [endpoint.ready(), askAgain(endpoint)]) {
        waiting.set(answer, endpoint.name);
        void answer.then(() => waiting.delete(answer));
      }
    }
    const { promise: late, resolve } = Promise.withResolvers<void>();
    let isLate = false;
    const timer = clock.setTimer(MAX_SEARCH_MS, () => resolve(void (isLate = true)));
    while (signer === undefined && waiting.size > 0 && !isLate) {
      await Promise.race([...waiting.keys(), late]);
      signer = await signerOf(token, allKeys(), tried);
    }
    timer.cancel();
    return { signer, keys: allKeys(), endpoints, asked, unanswered: [...new Set(waiting.values())] };
  };

  return {
    search,
    holds: (key) => imported.includes(key) || endpoints.some(({ keys }) => keys.includes(key)),
    close() {
      for (const endpoint of endpoints) endpoint.close();
    },
  };
}

/**
 * Which of `keys` signed the token, not asking those in `tried` again. Keys with the token's `kid` come first, then keys without one; a
 * token without `kid` is tried with all (O-85). Only keys for the token's algorithm are asked (O-94).
 */
async function signerOf(
  token: UnverifiedToken,
  keys: readonly LocatedKey[],
  tried: Set<VerificationKey>,
): Promise<LocatedKey | undefined> {
  const fitting = keys.filter(({ key }) => key.algorithms.includes(token.algorithm));
  const named = fitting.filter(
    ({ key: { kid } }) => kid !== undefined && (token.kid === undefined || token.kid === kid),
  );
  const unnamed = fitting.filter(({ key: { kid } }) => kid === undefined);
  for (const located of [...named, ...unnamed]) {
    const { key } = located;
    if (tried.has(key)) continue;
    if (tried.size >= MAX_ATTEMPTS) return undefined;
    tried.add(key);
    if (await key.verifies(token.text, token.algorithm)) return located;
  }
  return undefined;
}
