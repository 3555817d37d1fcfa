/** Write checkpoints per (user, client) (S chapter 13). One counter serves managed ones and checkpoint requests (S-483). */

export interface WriteCheckpointRequest {
  readonly userId: string;
  readonly clientId: string;
  readonly checkpoint: bigint;
}

export interface WriteCheckpointStore {
  /** S-471: the next number of (user, client), strictly greater than all before it, also expired ones; durable when it returns. */
  create(userId: string, clientId: string): Promise<bigint>;
  /** S-478: records `id` if it is greater than what is known; answers the greatest. `created` is false when nothing changed. */
  request(userId: string, clientId: string, id: bigint): Promise<{ id: bigint; created: boolean }>;
  /**
   * Requests that this source has not resolved yet, oldest first. The leader reads the source head after this call and resolves
   * them when its committed position has passed it (S-460).
   */
  unresolved(source: string, limit: number): Promise<WriteCheckpointRequest[]>;
  /**
   * Greatest number that every source of the active version has passed as of checkpoint `op`; null when none (S-465…S-467). Some of the
   * newest numbers per pair are kept, so an old `op` may answer less than was once reported for it.
   */
  reached(pairs: readonly { userId: string; clientId: string }[], op: number): Promise<(bigint | null)[]>;
  /** Deletes records not touched for `olderThanMs`; bounded work per call (O-61). Answers how many. */
  expire(olderThanMs: number): Promise<number>;
}
