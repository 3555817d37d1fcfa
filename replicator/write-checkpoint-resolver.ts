/**
 * Resolves write checkpoint requests in batches (S-460, R-44): reads what waits, then the source's head once for all of it, and has the
 * stream report them when it has passed that head. API workers need no route to the source.
 */
import type { ReachedWriteCheckpoint } from '#core/bucket-storage/contract.ts';
import type { WriteCheckpointStore } from '#core/bucket-storage/write-checkpoint-store.ts';
import type { Coordination } from '#core/coordination/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { Position, Source } from './sources/contract.ts';

const BATCH = 1000;
/** Requests whose nudge was lost are found this often; without a shared channel this is how they are found at all. */
const POLL_SHARED_MS = 2000;
const POLL_ALONE_MS = 100;
/** Requests handed to the stream and not reached by then are asked for again (the stream was restarted). */
const EXPECTED_MS = 10_000;

export interface WriteCheckpointResolver {
  run(): Promise<void>;
}

export interface ResolverDependencies {
  readonly source: Pick<Source, 'tag' | 'head'>;
  readonly store: WriteCheckpointStore;
  readonly coordination: Pick<Coordination, 'onNudge' | 'shared'>;
  readonly signal: AbortSignal;
  readonly clock: Pick<Clock, 'monotonic' | 'setTimer'>;
  /** The visible stream, once it follows the source; null before. */
  expect(position: Position, requests: readonly ReachedWriteCheckpoint[]): void;
  failed(error: unknown): void;
}

export function createWriteCheckpointResolver(dependencies: ResolverDependencies): WriteCheckpointResolver {
  const { source, store, coordination, signal, clock } = dependencies;
  const expected = new Map<string, number>();
  let nudged = false;
  let wake = (): void => undefined;

  const fresh = (requests: readonly ReachedWriteCheckpoint[]): ReachedWriteCheckpoint[] => {
    const time = clock.monotonic();
    for (const [key, since] of expected) if (time - since > EXPECTED_MS) expected.delete(key);
    return requests.filter((request) => !expected.has(keyOf(request)));
  };

  const resolveOnce = async (): Promise<boolean> => {
    const waiting = await store.unresolved(source.tag, BATCH);
    const requests = fresh(waiting);
    if (requests.length === 0) return false;
    const head = await source.head();
    const time = clock.monotonic();
    for (const request of requests) expected.set(keyOf(request), time);
    dependencies.expect(head, requests);
    return waiting.length === BATCH;
  };

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      const timer = clock.setTimer(coordination.shared ? POLL_SHARED_MS : POLL_ALONE_MS, resolve);
      wake = () => {
        timer.cancel();
        resolve();
      };
      if (nudged || signal.aborted) wake();
    });

  return {
    async run() {
      const off = coordination.onNudge('write-checkpoints', () => {
        nudged = true;
        wake();
      });
      const abort = (): void => wake();
      signal.addEventListener('abort', abort);
      try {
        while (!signal.aborted) {
          nudged = false;
          try {
            if (await resolveOnce()) continue;
          } catch (error) {
            dependencies.failed(error);
          }
          await pause();
        }
      } finally {
        off();
        signal.removeEventListener('abort', abort);
      }
    },
  };
}

function keyOf(request: ReachedWriteCheckpoint): string {
  return JSON.stringify([request.userId, request.clientId, String(request.checkpoint)]);
}
