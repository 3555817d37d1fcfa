/**
 * Keeps this worker's deny list up to date. Storage is read every other second, and at once when somebody says that there is something
 * new; so a revocation takes effect within seconds whatever becomes of Redis (G10).
 */
import type { RevocationStore } from '#core/bucket-storage/revocation-store.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import type { RevocationList } from '#core/platform/auth/revocations.ts';
import type { Clock, Timer } from '#core/platform/clock.ts';

export interface FollowRevocationsOptions {
  readonly store: Pick<RevocationStore, 'after'>;
  readonly coordination: Pick<Coordination, 'onNudge'>;
  readonly list: RevocationList;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The list has new entries: tokens that are in use may be among them. */
  readonly onRevoked: () => void;
  /** The list could not be read; it is tried again. */
  readonly onFailure: (error: unknown) => void;
}

const POLL_MS = 2000;
const ENTRIES_PER_READ = 2000;

/** Reads the list for the first time, and goes on until `signal` aborts. Resolves after the first attempt; never rejects. */
export async function followRevocations(options: FollowRevocationsOptions): Promise<void> {
  const { store, coordination, list, clock, signal, onRevoked, onFailure } = options;
  let revision = 0;
  let timer: Timer | null = null;
  let reading: Promise<void> | null = null;
  let again = false;

  const read = async (): Promise<void> => {
    for (let more = true; more && !signal.aborted;) {
      const entries = await store.after(revision, ENTRIES_PER_READ);
      list.add(entries);
      revision = entries.at(-1)?.revision ?? revision;
      more = entries.length === ENTRIES_PER_READ;
      if (entries.length > 0) onRevoked();
    }
  };

  /** One read at a time. What is recorded while it runs may not be in it. */
  const poll = (): Promise<void> => {
    if (reading !== null) {
      again = true;
      return reading;
    }
    timer?.cancel();
    reading = read()
      .catch((error: unknown) => {
        if (!signal.aborted) onFailure(error);
        again = false;
      })
      .finally(() => {
        reading = null;
        if (signal.aborted) return;
        timer = clock.setTimer(again ? 0 : POLL_MS, () => void poll());
        again = false;
      });
    return reading;
  };

  const stop = coordination.onNudge('revocations', () => void poll());
  signal.addEventListener('abort', () => {
    stop();
    timer?.cancel();
  });
  await poll();
}
