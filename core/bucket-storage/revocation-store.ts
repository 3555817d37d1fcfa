/**
 * The deny list of client tokens: what was revoked before it expired. It stands in bucket storage and not in Redis, which may lose
 * everything at any time (G10); coordination only says that there is something new to read.
 */

export interface Revocation {
  /** What is revoked: all tokens of a user, or a single one. At most 256 bytes (core/platform/auth/revocations.ts makes it). */
  readonly key: string;
  /** Tokens issued before this time (milliseconds since 1970) are refused; null: whenever they were issued. */
  readonly issuedBeforeMs: number | null;
  /** From then on every token that this is about has expired by itself, and the entry is forgotten. */
  readonly expiresMs: number;
}

export interface RecordedRevocation extends Revocation {
  /** Grows with every entry that becomes visible, across all processes, and never goes back. */
  readonly revision: number;
}

export interface RevocationStore {
  /**
   * Records an entry; durable when it returns. Of the same key the later times count, and the entry gets a new revision. Removes some
   * that have expired.
   *
   * Rejects with PSYNC_S4108 when `most` entries of other keys are recorded.
   */
  revoke(revocation: Revocation, most: number): Promise<void>;
  /**
   * Entries above `revision` that have not expired, in the order of their revisions. Whoever goes on after the last one it got misses
   * none. Cheap while there are none: meant to be polled.
   */
  after(revision: number, limit: number): Promise<RecordedRevocation[]>;
}
