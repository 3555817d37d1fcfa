import type { CommitNotice } from '../bucket-storage/contract.ts';
import type { NudgeTopic } from './contract.ts';
import type { CoordinationLog } from './environment.ts';

interface CommitListener {
  readonly notice: (notice: CommitNotice) => void;
  readonly reconnected: () => void;
}

/**
 * Commit notices and nudges inside one process: all there is in process, and the last step on Redis.
 *
 * What a caller publishes is delivered in a microtask: at once, in order, and never on the caller's stack. A listener that
 * throws is logged and does not keep the others from hearing.
 */
export interface LocalBus {
  publishCommit(notice: CommitNotice): void;
  /** Delivers a notice of another process, on this stack. */
  deliverCommit(notice: CommitNotice): void;
  /** Tells every commit listener that messages may have been missed. */
  deliverReconnected(): void;
  onCommit(listener: (notice: CommitNotice) => void, reconnected: () => void): () => void;
  readonly commitListeners: number;

  /** Nudges of one topic that follow each other before the listeners ran are one. */
  nudge(topic: NudgeTopic): void;
  onNudge(topic: NudgeTopic, listener: () => void): () => void;
  nudgeListeners(topic: NudgeTopic): number;
  /** Nothing is delivered from here on. */
  close(): void;
}

export function createLocalBus(log: CoordinationLog): LocalBus {
  const commitListeners = new Set<CommitListener>();
  const nudgeListeners = new Map<NudgeTopic, Set<{ readonly call: () => void }>>();
  const scheduled = new Set<NudgeTopic>();

  const guarded = <T>(call: (value: T) => void, value: T): void => {
    try {
      call(value);
    } catch (error) {
      log.warn({ error_code: 'PSYNC_S0001', err: error }, 'A listener of coordination failed');
    }
  };

  const deliverCommit = (notice: CommitNotice): void => {
    for (const listener of commitListeners) guarded(listener.notice, notice);
  };

  return {
    publishCommit: (notice) => {
      if (commitListeners.size > 0) queueMicrotask(() => deliverCommit(notice));
    },
    deliverCommit,
    deliverReconnected: () => {
      for (const listener of commitListeners) guarded(listener.reconnected, undefined);
    },
    onCommit: (notice, reconnected) => {
      const entry = { notice, reconnected };
      commitListeners.add(entry);
      return () => void commitListeners.delete(entry);
    },
    get commitListeners() {
      return commitListeners.size;
    },

    nudge: (topic) => {
      if (scheduled.has(topic)) return;
      scheduled.add(topic);
      queueMicrotask(() => {
        // Cleared first: a nudge from inside a listener asks for another round.
        scheduled.delete(topic);
        for (const listener of nudgeListeners.get(topic) ?? []) guarded(listener.call, undefined);
      });
    },
    onNudge: (topic, listener) => {
      const listeners = nudgeListeners.get(topic) ?? new Set();
      nudgeListeners.set(topic, listeners);
      const entry = { call: listener };
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    nudgeListeners: (topic) => nudgeListeners.get(topic)?.size ?? 0,
    close: () => {
      commitListeners.clear();
      nudgeListeners.clear();
    },
  };
}
