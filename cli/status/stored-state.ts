/** What bucket storage knows, for `/status`: asked rarely, by one at a time, and never waited for long. */
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { DeployedVersion } from '#core/bucket-storage/sync-config-store.ts';
import type { Clock } from '#core/platform/clock.ts';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import { within } from '#core/platform/within.ts';

/** Asked again after this long; in between everybody gets the same answer. */
const REVISION_MS = 1000;
/** Positions and progress change without a new revision. */
const STREAMS_MS = 5000;
/** A storage that takes longer counts as unreachable, for this answer. */
const PATIENCE_MS = 1500;

export interface StoredState {
  /** As they were last; null: storage has not answered yet. */
  readonly versions: readonly DeployedVersion[] | null;
  readonly observedMs: number | null;
  /** Why the newest question was not answered; null: it was. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

const NOT_YET = { code: 'PSYNC_S2402', message: 'Bucket storage was not reached yet.' };
const TOO_SLOW = { code: 'PSYNC_S2403', message: 'Bucket storage did not answer in time.' };

/** Never rejects: a storage that is away is a fact to tell. `storage` answers null until it is open. */
export function createStoredState(storage: () => BucketStorage | null, clock: Clock): () => Promise<StoredState> {
  let state: StoredState = { versions: null, observedMs: null, error: NOT_YET };
  let asking: Promise<void> | null = null;
  let askedMs = Number.NEGATIVE_INFINITY;
  let readMs = Number.NEGATIVE_INFINITY;
  let revision: number | null = null;

  const ask = async (): Promise<void> => {
    const open = storage();
    if (open === null) return;
    askedMs = clock.monotonic();
    try {
      const latest = await open.configs.revision();
      if (latest !== revision || clock.monotonic() - readMs >= STREAMS_MS) {
        const versions = await open.configs.live();
        [revision, readMs] = [latest, clock.monotonic()];
        state = { versions, observedMs: clock.now(), error: null };
      } else state = { ...state, observedMs: clock.now(), error: null };
    } catch (error) {
      const known = isCodedError(error) ? { code: error.code, message: error.description } : NOT_YET;
      state = { ...state, error: known };
    }
  };

  return async () => {
    if (asking === null && clock.monotonic() - askedMs >= REVISION_MS)
      asking = ask().finally(() => {
        asking = null;
      });
    if (asking === null) return state;
    return (await within(clock, PATIENCE_MS, asking)) ? state : { ...state, error: TOO_SLOW };
  };
}
