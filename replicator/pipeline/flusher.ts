/**
 * Gathers what is to be written and writes it flush by flush: one storage transaction each, one in flight at a time, the next one
 * prepared meanwhile. A failed flush fails the pipeline: it starts again from what storage has.
 */
import type {
  BucketTotals,
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

/** What was encoded ahead of its flush. */
interface Prepared {
  readonly batch: Gathering;
  readonly before: readonly BucketTotals[];
  readonly firstOp: number;
  readonly operations: number;
  readonly content: FlushContent;
}

const operationsOf = ({ buffer, lookups }: Gathering): number => buffer.count + lookups.length;

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
  /** Last op id of the flush in flight; null until its totals are known. */
  let builtUpTo: number | null = null;
  let prepared: Prepared | null = null;

  const encode = (batch: Gathering, before: readonly BucketTotals[], firstOp: number): FlushContent => {
    const firstLookup = firstOp + batch.buffer.count;
    return {
      chunks: batch.buffer.build(firstOp, before),
      lookups: batch.lookups.map((entry, index) => ({ ...entry, op: firstLookup + index })),
    };
  };

  /** Encodes what is gathered while the flush before it is on its way, for the op ids that it will get unless another source takes some. */
  const prepare = async (): Promise<void> => {
    const batch = current;
    if (builtUpTo === null || prepared !== null) return;
    const firstOp = builtUpTo + 1;
    const operations = operationsOf(batch);
    const before = await totals.load(batch.buffer.buckets());
    if (operationsOf(batch) !== operations || builtUpTo !== firstOp - 1) return;
    prepared = { batch, before, firstOp, operations, content: encode(batch, before, firstOp) };
    writer.prepare(prepared.content.chunks);
  };

  const write = async (batch: Gathering, commit: StreamCommit | undefined): Promise<FlushResult> => {
    const started = now();
    const changedStates = states.take();
    if (commit) states.committed();
    const operations = operationsOf(batch);
    const ahead = prepared?.batch === batch && prepared.operations === operations ? prepared : null;
    prepared = null;
    builtUpTo = null;
    const before = ahead === null ? await totals.load(batch.buffer.buckets()) : ahead.before;
    const build = (firstOp: number): FlushContent => {
      const content = ahead?.firstOp === firstOp ? ahead.content : encode(batch, before, firstOp);
      // Known before it is stored: if it is not, nothing of this pipeline goes on.
      totals.record(content.chunks);
      builtUpTo = firstOp + operations - 1;
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
      if (inFlight) {
        await prepare();
        await inFlight;
      }
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
