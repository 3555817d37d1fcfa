import { hash } from 'node:crypto';

/** Remembers what tokens were verified to be, because clients come back often with the same one (S-612). */
export interface VerifiedTokens<T> {
  get(token: string): T | undefined;
  set(token: string, result: T): void;
  delete(token: string): void;
  readonly size: number;
}

export interface VerifiedTokensLimits {
  readonly maxTokens: number;
  /** Sum of the lengths of the remembered tokens, an estimate of what their claims occupy. */
  readonly maxBytes: number;
}

/** Forgets the tokens that were not asked for longest when a limit is reached. Keeps hashes only, never tokens. */
export function createVerifiedTokens<T>({ maxTokens, maxBytes }: VerifiedTokensLimits): VerifiedTokens<T> {
  // A Map keeps insertion order: the first entry is the one not used for longest.
  const entries = new Map<string, { readonly bytes: number; readonly result: T }>();
  let bytes = 0;

  const remove = (key: string): void => {
    bytes -= entries.get(key)?.bytes ?? 0;
    entries.delete(key);
  };
  return {
    get(token) {
      const key = hash('sha256', token, 'base64');
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.result;
    },
    set(token, result) {
      const key = hash('sha256', token, 'base64');
      remove(key);
      entries.set(key, { bytes: token.length, result });
      bytes += token.length;
      for (const oldest of entries.keys()) {
        if (entries.size <= maxTokens && bytes <= maxBytes) break;
        remove(oldest);
      }
    },
    delete: (token) => remove(hash('sha256', token, 'base64')),
    get size() {
      return entries.size;
    },
  };
}
