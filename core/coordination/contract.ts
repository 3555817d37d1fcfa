/**
 * The seam between processes of one instance: who leads, who should wake up, which jobs run. Redis or in-process;
 * `conformance.ts` is passed by both.
 *
 * Nothing here is needed for correctness (G6, G10): leadership is fenced in bucket storage, and every wait that ends by a message
 * from here also ends by polling storage. Losing every key and every message costs latency only.
 */
import type { CommitNotice } from '../bucket-storage/contract.ts';

export interface HeldLease {
  /** Aborts when the lease was lost or could not be renewed in time; the holder stops working at once. */
  readonly lost: AbortSignal;
  /** Gives it back, so that a standby takes over at once (O-11). Idempotent. */
  release(): Promise<void>;
}

export interface LeaseOptions {
  readonly name: string;
  /** Who asks, for operators: host and process id. */
  readonly owner: string;
  /** Without renewal for this long it is free. Renewal every third of it. */
  readonly ttlMs: number;
}

export interface Coordination {
  /** Waits until the lease is ours. Rejects only when `signal` aborts. While Redis is away it keeps trying. */
  acquire(options: LeaseOptions, signal: AbortSignal): Promise<HeldLease>;
  /** Who holds it, for diagnostics (PSYNC_S1003); null when free or unknown. */
  holder(name: string): Promise<string | null>;

  /** Tells API workers of a visible commit. Best effort, ordered per publisher, never blocks the caller beyond `publishTimeoutMs`. */
  publishCommit(notice: CommitNotice): void;
  /** `reconnected` tells that messages may have been missed: poll now. */
  onCommit(listener: (notice: CommitNotice) => void, reconnected: () => void): () => void;

  /** Asks for something to be done soon; bursts may be merged. */
  nudge(topic: NudgeTopic): void;
  onNudge(topic: NudgeTopic, listener: () => void): () => void;

  readonly jobs: JobQueue;
  /** True when other processes can hear us. False: pollers use their short interval. */
  readonly shared: boolean;
  close(): Promise<void>;
}

/** write-checkpoints: requests wait for the leader. sync-config: versions changed. revocations: tokens were revoked. */
export type NudgeTopic = 'write-checkpoints' | 'sync-config' | 'revocations';

/** At-least-once jobs, one at a time per (name, key): compaction and clearing (bullmq on Redis). */
export interface JobQueue {
  /** The same `key` is not queued twice. Lost with Redis: callers re-add on their schedule. */
  add(name: string, key: string, data: unknown): Promise<void>;
  work(name: string, handler: (data: unknown, signal: AbortSignal) => Promise<void>): () => Promise<void>;
}
