/** One run over all buckets that are served (O-5, O-151…O-158). May be stopped anywhere, and run beside another one. */
import type { BucketState, CompactionHorizon } from '#core/bucket-storage/compaction-store.ts';
import type { BucketStorage } from '#core/bucket-storage/contract.ts';
import type { Clock } from '#core/platform/clock.ts';
import type { Log } from '#core/platform/log.ts';
import { compactBucket, type BucketOutcome } from './compact-bucket.ts';
import { createRowSet } from './row-set.ts';

export interface RunOptions {
  readonly storage: Pick<BucketStorage, 'compaction' | 'writeCheckpoints' | 'clearStopped'>;
  readonly clock: Clock;
  readonly log: Pick<Log, 'info'>;
  /** Ends the run between two steps, with its reason. */
  readonly signal: AbortSignal;
  /** Pause after each step, as a share of its duration: leaves storage to those who serve. */
  readonly throttle: number;
  /** Requests for write checkpoints that are older go (O-61, O-158). */
  readonly requestRetentionMs: number;
  /** As they come. */
  readonly onBucket?: (outcome: BucketOutcome) => void;
  /** Default: 4 million, about 200 MB. */
  readonly maxRows?: number;
  readonly pageBytes?: number;
}

export interface RunResult {
  readonly buckets: number;
  readonly compacted: number;
  readonly moved: number;
  readonly removed: number;
  readonly expiredRequests: number;
}

/** What is to be known of a definition to decide about defragmenting it (O-160, O-162). */
export interface DefinitionFigures {
  readonly definition: string;
  readonly buckets: number;
  readonly operations: number;
  readonly rows: number;
}

const MAX_ROWS = 4_000_000;
const PAGE_BYTES = 4 * 1024 * 1024;
const BUCKETS_PER_PAGE = 500;
/** A bucket is looked at again when this share of its operations is new. */
const WORTH_SHARE = 0.01;
const CLEAR_BUDGET_MS = 1000;
/** Rounds of expiring: each is bounded, and what is left waits for the next run. */
const MOST_EXPIRE_ROUNDS = 10_000;

/** Rejects with the signal's reason when it was stopped, and with errors of storage; what was done by then stays done. */
export async function runCompaction(options: RunOptions): Promise<RunResult> {
  const { storage, log, signal } = options;
  const pause = createPause(options);
  const result = { buckets: 0, compacted: 0, moved: 0, removed: 0 };
  const horizon = await storage.compaction.horizon();
  if (horizon === null) log.info({}, 'No sync config is active: there is nothing to compact');
  for (const definition of horizon?.definitions ?? []) {
    const figures = await compactDefinition(options, horizon!, definition, result, pause);
    if (figures.buckets > 0) log.info({ ...figures }, 'Compacted the buckets of a definition');
  }
  const expiredRequests = await expireRequests(options, pause);
  while (await storage.clearStopped(CLEAR_BUDGET_MS)) signal.throwIfAborted();
  return { ...result, expiredRequests };
}

type Totals = { -readonly [K in Exclude<keyof RunResult, 'expiredRequests'>]: number };

async function compactDefinition(
  options: RunOptions,
  { op }: CompactionHorizon,
  { id, name }: CompactionHorizon['definitions'][number],
  result: Totals,
  pause: () => Promise<void>,
): Promise<DefinitionFigures> {
  const { compaction } = options.storage;
  const { maxRows = MAX_ROWS, pageBytes = PAGE_BYTES, onBucket } = options;
  const seen = createRowSet();
  const figures = { buckets: 0, operations: 0, rows: 0 };
  let after: string | null = null;
  do {
    const page = await compaction.buckets(id, after, op, BUCKETS_PER_PAGE);
    after = page.next;
    result.buckets += page.buckets.length;
    const settled: { definition: number; key: string; lastOp: number; count: number }[] = [];
    for (const bucket of page.buckets) {
      if (!isWorthwhile(bucket)) continue;
      const outcome = await compactBucket(bucket, { store: compaction, seen, maxRows, pageBytes, pause });
      onBucket?.(outcome);
      result.compacted++;
      result.moved += outcome.moved;
      result.removed += outcome.removed;
      figures.buckets++;
      figures.operations += outcome.operations;
      figures.rows += outcome.rows;
      const { definition, key, totals } = bucket;
      if (outcome.complete) settled.push({ definition, key, lastOp: totals.lastOp, count: totals.count });
    }
    await compaction.settle(settled);
    await pause();
  } while (after !== null);
  return { definition: name, ...figures };
}

/** One operation replaces nothing; and a few new ones in a large bucket are not worth reading all of it. */
function isWorthwhile({ totals, compacted }: BucketState): boolean {
  const { count, removed = 0 } = totals;
  if (count - removed < 2) return false;
  if (compacted === null) return true;
  return count - compacted.count > (compacted.count - removed) * WORTH_SHARE;
}

async function expireRequests(
  { storage, requestRetentionMs }: RunOptions,
  pause: () => Promise<void>,
): Promise<number> {
  let expired = 0;
  for (let round = 0; round < MOST_EXPIRE_ROUNDS; round++) {
    const some = await storage.writeCheckpoints.expire(requestRetentionMs);
    expired += some;
    if (some === 0) break;
    await pause();
  }
  return expired;
}

/** After a step: a share of the time that it took. */
function createPause({ clock, throttle, signal }: RunOptions): () => Promise<void> {
  let started = clock.monotonic();
  return async () => {
    signal.throwIfAborted();
    const pauseMs = (clock.monotonic() - started) * throttle;
    if (pauseMs >= 1) await clock.sleep(pauseMs, signal);
    started = clock.monotonic();
  };
}
