/**
 * Brings every visible commit exactly once and in order: from the bus while messages arrive without a gap, from storage otherwise
 * (G10: the bus only makes it faster).
 */
import type { BucketReader, Checkpoint, CommitNotice } from '#core/bucket-storage/contract.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import { createBackoff } from '#core/platform/backoff.ts';
import type { Clock, Timer } from '#core/platform/clock.ts';

/** A commit, or, after commits that nobody kept, just where storage stands now. */
export type Advance =
  | { readonly kind: 'commit'; readonly notice: CommitNotice }
  | { readonly kind: 'reset'; readonly checkpoint: Checkpoint };

export interface CommitSource {
  /** Where it stands; null while no version is active. */
  readonly checkpoint: Checkpoint | null;
  /** Resolves when everything is delivered that storage showed at the time of the call. Joins calls. Rejects when storage cannot be read. */
  refresh(): Promise<void>;
}

export interface CommitSourceOptions {
  readonly reader: Pick<BucketReader, 'checkpoint' | 'noticesAfter'>;
  readonly coordination: Pick<Coordination, 'onCommit' | 'onNudge' | 'shared'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Called one at a time. When it rejects, the same advance comes again. */
  readonly deliver: (advance: Advance) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

/** When others commit and nobody tells us: a little more than what such a deployment's commits take themselves. */
const SHORTEST_POLL_MS = 50;
const LONGEST_POLL_ALONE_MS = 250;
/** With a bus, polling only finds what the bus lost. */
const LONGEST_POLL_SHARED_MS = 1000;
const NOTICES_PER_READ = 500;
/** More waiting messages than this are dropped; storage has them. */
const MAX_QUEUED_NOTICES = 10_000;

export function createCommitSource(options: CommitSourceOptions): CommitSource {
  const { reader, coordination, clock, signal, deliver, onFailure } = options;
  const longestPollMs = coordination.shared ? LONGEST_POLL_SHARED_MS : LONGEST_POLL_ALONE_MS;
  const backoff = createBackoff({ clock, random: options.random, initialMs: SHORTEST_POLL_MS, maxMs: 5000 });
  let checkpoint: Checkpoint | null = null;
  let queue: CommitNotice[] = [];
  /** Somebody wants storage to be read: always true after a gap. */
  let refreshing: { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } | null = null;
  let running = false;
  let pollMs = SHORTEST_POLL_MS;
  let timer: Timer | null = null;

  const advance = async (next: Advance): Promise<void> => {
    await deliver(next);
    checkpoint = next.kind === 'commit' ? { version: next.notice.version, op: next.notice.op } : next.checkpoint;
  };

  /** False when commits between the present one and `notice` are missing. */
  const applyNotice = async (notice: CommitNotice): Promise<boolean> => {
    if (checkpoint !== null && notice.op <= checkpoint.op) {
      // A version can become active without an operation.
      if (notice.op === checkpoint.op && notice.version > checkpoint.version) await advance({ kind: 'commit', notice });
      return true;
    }
    if (checkpoint === null || notice.previous > checkpoint.op) return false;
    await advance({ kind: 'commit', notice });
    return true;
  };

  /** Reads what storage has beyond the present checkpoint. Answers whether there was anything. */
  const catchUp = async (): Promise<boolean> => {
    const before = checkpoint;
    const target = await reader.checkpoint();
    if (target === null) return false;
    if (before !== null && (target.op < before.op || (target.op === before.op && target.version === before.version)))
      return false;
    while (checkpoint !== null && checkpoint.op < target.op) {
      const notices = await reader.noticesAfter(checkpoint.op, NOTICES_PER_READ);
      if (notices === 'gap' || notices.length === 0) break;
      for (const notice of notices) {
        if (!(await applyNotice(notice))) break;
      }
    }
    const now = checkpoint;
    // Commits that came after `target` was read may have brought it further; it never goes back.
    if (now === null || now.op < target.op || (now.op === target.op && now.version !== target.version)) {
      await advance({ kind: 'reset', checkpoint: target });
    }
    return true;
  };

  const run = async (): Promise<void> => {
    if (running || signal.aborted) return;
    running = true;
    timer?.cancel();
    timer = null;
    const asked = refreshing;
    try {
      if (asked !== null) {
        refreshing = null;
        if (await catchUp()) pollMs = SHORTEST_POLL_MS;
        asked.resolve();
      }
      while (queue.length > 0) {
        const notices = queue;
        queue = [];
        for (const notice of notices) {
          if (!(await applyNotice(notice))) void refresh();
        }
      }
      backoff.reset();
      arm(pollMs);
    } catch (error) {
      asked?.reject(error);
      queue = [];
      if (!signal.aborted) onFailure(error);
      arm(backoff.next());
    } finally {
      running = false;
    }
    if (refreshing !== null) void run();
  };

  /** What the bus did not bring is found by polling: soon after something was found, less and less often while nothing is. */
  const arm = (ms: number): void => {
    if (signal.aborted) return;
    timer = clock.setTimer(ms, () => {
      pollMs = Math.min(pollMs * 1.5, longestPollMs);
      refresh().catch(() => undefined);
    });
  };

  const refresh = (): Promise<void> => {
    if (refreshing === null) {
      let settle: { resolve: () => void; reject: (error: unknown) => void } | null = null;
      const promise = new Promise<void>((resolve, reject) => {
        settle = { resolve, reject };
      });
      // The loop reports the failure; whoever waits hears of it too.
      promise.catch(() => undefined);
      refreshing = { promise, ...settle! };
    }
    const { promise } = refreshing;
    void run();
    return promise;
  };

  const stops = [
    coordination.onCommit(
      (notice) => {
        if (queue.length >= MAX_QUEUED_NOTICES) {
          queue = [];
          void refresh();
        }
        queue.push(notice);
        void run();
      },
      () => void refresh(),
    ),
    coordination.onNudge('sync-config', () => void refresh()),
  ];
  signal.addEventListener('abort', () => {
    timer?.cancel();
    for (const stop of stops) stop();
    refreshing?.reject(signal.reason);
    refreshing = null;
  });
  void refresh();

  return {
    get checkpoint() {
      return checkpoint;
    },
    refresh,
  };
}
