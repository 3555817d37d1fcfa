/**
 * Looks from time to time whether bucket storage was compacted. What this worker keeps of it stays right (old pages serve any checkpoint), but
 * is longer than it need be (S-417).
 */
import type { CompactionStore } from '#core/bucket-storage/compaction-store.ts';
import type { Clock, Timer } from '#core/platform/clock.ts';

export interface FollowCompactionOptions {
  readonly store: Pick<CompactionStore, 'lastRun'>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A run has ended since the last look. Repeated with the next look when it rejects. */
  readonly onRun: () => Promise<void>;
}

const LOOK_MS = 10_000;

/** Until `signal` aborts. Failures wait for the next look: whoever serves finds out about a storage that is away. */
export function followCompaction({ store, clock, signal, onRun }: FollowCompactionOptions): void {
  let known: number | null | undefined;
  const look = async (): Promise<void> => {
    const endedMs = (await store.lastRun())?.endedMs ?? null;
    if (known !== undefined && known !== endedMs) await onRun();
    known = endedMs;
  };
  let timer: Timer | null = null;
  const again = (): void => {
    if (!signal.aborted) timer = clock.setTimer(LOOK_MS, () => void run());
  };
  signal.addEventListener('abort', () => timer?.cancel(), { once: true });
  const run = (): Promise<void> => look().then(again, again);
  void run();
}
