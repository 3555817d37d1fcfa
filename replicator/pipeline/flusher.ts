/**
 * Gathers what is to be written and writes it flush by flush: one storage transaction each, one in flight at a time, the next one
 * prepared meanwhile. A failed flush fails the pipeline: it starts again from what storage has.
 */
import type {
  CommitNotice,
  FlushContent,
  FlushResult,
  SourceWriter,
  StreamCommit,
} from '#core/bucket-storage/contract.ts';
import type { ApplierTarget, PendingLookup } from './change-applier.ts';
import type { BucketTotalsCache } from './bucket-totals.ts';
import { createOperationBuffer, type OperationBuffer } from './operation-buffer.ts';
import type { RowStateCache } from './row-state-cache.ts';

/** A flush is due at this size, whatever else: bounds memory here and the transaction in storage. */
export const FLUSH_BYTES = 12 * 1024 * 1024;
const FLUSH_ROW_STATES = 30_000;

interface Gathering extends ApplierTarget {
  readonly buffer: OperationBuffer;
  readonly lookups: PendingLookup[];
  readonly writeCheckpoints: { userId: string; clientId: string; checkpoint: bigint }[];
}

export interface FlushFigures {
  readonly operations: number;
  readonly lookups: number;
  readonly rowStates: number;
  readonly bytes: number;
  readonly durationMs: number;
  readonly lastOp: number;
  readonly sourceTimeMs: number | null;
}

export interface Flusher {
  target(): ApplierTarget;
  /** Something is gathered. */
  readonly dirty: boolean;
  readonly full: boolean;
  /** A flush is on its way. */
  readonly busy: boolean;
  /**
   * Writes what was gathered, after the flush before it. Resolves when this one has been handed to storage (so that gathering may go
   * on); `written` resolves when it is durable. Without `commit` it is part of an unfinished source transaction.
   */
  flush(commit: StreamCommit | undefined): Promise<{ written: Promise<FlushResult> }>;
  /** Waits for the flush in flight. Throws what the first failed flush threw, now and ever after. */
  settled(): Promise<void>;
}

export interface FlusherDependencies {
  readonly writer: SourceWriter;
  readonly stream: number;
  readonly states: RowStateCache;
  readonly totals: BucketTotalsCache;
  readonly now: () => number;
  flushed(figures: FlushFigures): void;
  /** A commit became visible: others may be told. */
  published(notice: CommitNotice): void;
}

export function createFlusher(dependencies: FlusherDependencies): Flusher {
  const { writer, stream, states, totals, now } = dependencies;
  const gathering = (): Gathering => ({ buffer: createOperationBuffer(), lookups: [], writeCheckpoints: [] });
  let current = gathering();
  let spare = gathering();
  let inFlight: Promise<FlushResult> | null = null;
  let failure: { readonly error: unknown } | null = null;

  const write = async (batch: Gathering, commit: StreamCommit | undefined): Promise<FlushResult> => {
    const started = now();
    const changedStates = states.take();
    if (commit) states.committed();
    const before = await totals.load(batch.buffer.buckets());
    const operations = batch.buffer.count + batch.lookups.length;
    let content: FlushContent = { chunks: [], lookups: [] };
    const build = (firstOp: number): FlushContent => {
      const firstLookup = firstOp + batch.buffer.count;
      content = {
        chunks: batch.buffer.build(firstOp, before),
        lookups: batch.lookups.map((entry, index) => ({ ...entry, op: firstLookup + index })),
      };
      return content;
    };
    const bytes = batch.buffer.bytes;
    const result = await writer.flush({
      stream,
      operations,
      build,
      rowStates: changedStates,
      ...(commit === undefined ? {} : { commit }),
      ...(batch.writeCheckpoints.length === 0 ? {} : { customWriteCheckpoints: [...batch.writeCheckpoints] }),
    });
    if (result.notice) dependencies.published(result.notice);
    totals.record(content.chunks);
    states.release(changedStates);
    dependencies.flushed({
      operations: batch.buffer.count,
      lookups: batch.lookups.length,
      rowStates: changedStates.length,
      bytes,
      durationMs: now() - started,
      lastOp: result.lastOp,
      sourceTimeMs: commit?.sourceTimeMs ?? null,
    });
    batch.buffer.clear();
    batch.lookups.length = 0;
    batch.writeCheckpoints.length = 0;
    return result;
  };

  return {
    target: () => current,
    get dirty() {
      return current.buffer.count > 0 || current.lookups.length > 0 || current.writeCheckpoints.length > 0;
    },
    get full() {
      return current.buffer.bytes >= FLUSH_BYTES || states.changes >= FLUSH_ROW_STATES;
    },
    get busy() {
      return inFlight !== null;
    },
    async flush(commit) {
      if (inFlight) await inFlight;
      if (failure) throw failure.error;
      const batch = current;
      current = spare;
      spare = batch;
      const written = write(batch, commit).finally(() => {
        if (inFlight === written) inFlight = null;
      });
      inFlight = written;
      written.catch((error: unknown) => {
        failure ??= { error };
      });
      return { written };
    },
    async settled() {
      if (inFlight) await inFlight;
      if (failure) throw failure.error;
    },
  };
}
