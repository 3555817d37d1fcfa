/** The simplest description of what bucket storage must show: lists of operations, and which of them are visible. */
import type { Operation } from '#core/protocol/operations.ts';
import type { BucketTotals, FlushResult } from '../contract.ts';
import { totalsOf } from './content.ts';

export interface ModelFlush {
  readonly source: string;
  readonly operations: readonly { bucket: string; operation: Operation }[];
  readonly lookups: readonly { key: string; row: string; op: number; values: string | null }[];
  readonly rowStates: readonly { key: string; state: string | null }[];
  /** Null: not final. */
  readonly commit: { readonly position: string; readonly hold: boolean; readonly announce: boolean } | null;
  readonly result: FlushResult;
}

interface SourceState {
  open: ModelFlush[];
  committed: ModelFlush[];
  position: string;
  /** First op that is not to be shown yet: of an unfinished transaction, or of a commit that waits. */
  openFrom: number | null;
  /** The part of it that is committed. */
  heldFrom: number | null;
}

/** Ops that become visible together. */
interface Range {
  readonly first: number;
  readonly last: number;
}

export interface Model {
  readonly visible: number;
  /** Every checkpoint that was announced, oldest first. */
  readonly announced: readonly number[];
  /** Applies a flush that succeeded; throws when its result cannot be right. */
  flushed(flush: ModelFlush): void;
  /** The source was taken over: what it did not commit is gone. */
  takenOver(source: string): void;
  operations(bucket: string, op: number): Operation[];
  totals(bucket: string, op: number): BucketTotals;
  /** Including what `source` has not committed. */
  ownTotals(source: string, bucket: string): BucketTotals;
  lookups(key: string, op: number): string[];
  rowState(source: string, key: string): string | null;
  committedRowState(source: string, key: string): string | null;
  position(source: string): string;
  /** Buckets and lookup keys that changed after one announced checkpoint, up to another. */
  changed(after: number, upTo: number): { buckets: string[]; lookups: string[] };
}

const assert = (condition: boolean, message: string): void => {
  if (!condition) throw new Error(`Model: ${message}`);
};

export function createModel(sources: readonly string[], start: number): Model {
  const states = new Map(
    sources.map((source): [string, SourceState] => [
      source,
      { open: [], committed: [], position: 'p0', openFrom: null, heldFrom: null },
    ]),
  );
  const announced = [start];
  let closed: Range[] = [];
  let greatest = start;
  let visible = start;
  const committed = (): ModelFlush[] => [...states.values()].flatMap((state) => state.committed);

  /** The greatest end of a commit with nothing unfinished at or below it, and no other commit around it. */
  const publish = (): void => {
    const openFrom = Math.min(...[...states.values()].map((state) => state.openFrom ?? Infinity));
    const ends = closed
      .map((range) => range.last)
      .filter((end) => end < openFrom && !closed.some((range) => range.first <= end && range.last > end));
    if (ends.length === 0) return;
    visible = Math.max(...ends);
    announced.push(visible);
    closed = closed.filter((range) => range.last > visible);
  };
  const operationsOf = (flushes: readonly ModelFlush[], bucket: string, op: number): Operation[] =>
    flushes
      .flatMap((flush) => flush.operations.filter((item) => item.bucket === bucket && item.operation.opId <= op))
      .map((item) => item.operation)
      .toSorted((a, b) => a.opId - b.opId);
  const lastState = (flushes: readonly ModelFlush[], key: string): string | null =>
    flushes.flatMap((flush) => flush.rowStates.filter((item) => item.key === key)).at(-1)?.state ?? null;

  const commit = (state: SourceState, { position, hold }: NonNullable<ModelFlush['commit']>): void => {
    state.committed.push(...state.open);
    state.open = [];
    state.position = position;
    state.heldFrom = hold ? state.openFrom : null;
    if (hold || state.openFrom === null) return;
    const used = state.committed.filter((flush) => flush.result.lastOp >= flush.result.firstOp);
    const last = Math.max(...used.map((flush) => flush.result.lastOp));
    closed.push({ first: state.openFrom, last });
    state.openFrom = null;
    publish();
  };

  return {
    get visible() {
      return visible;
    },
    announced,
    flushed(flush) {
      const state = states.get(flush.source)!;
      const { result } = flush;
      const count = flush.operations.length + flush.lookups.length;
      const ids = Math.max(count, count === 0 && flush.commit?.announce === true ? 1 : 0);
      assert(
        result.lastOp - result.firstOp + 1 === ids || (ids === 0 && result.firstOp > result.lastOp),
        `${ids} ids expected`,
      );
      if (ids > 0) {
        assert(result.firstOp > greatest, `id ${result.firstOp} was used before, or lies below ${greatest}`);
        greatest = result.lastOp;
        state.openFrom ??= result.firstOp;
      }
      state.open.push(flush);
      const before = visible;
      if (flush.commit !== null) commit(state, flush.commit);
      if (visible === before) assert(result.notice === null, 'a notice without anything new to see');
      else
        assert(result.notice?.op === visible && result.notice.previous === before, `a notice for ${visible} expected`);
    },
    takenOver(source) {
      const state = states.get(source)!;
      state.open = [];
      state.openFrom = state.heldFrom;
      publish();
    },
    operations: (bucket, op) => operationsOf(committed(), bucket, Math.min(op, visible)),
    totals: (bucket, op) => totalsOf(operationsOf(committed(), bucket, Math.min(op, visible))),
    ownTotals(source, bucket) {
      const { committed: done, open } = states.get(source)!;
      return totalsOf(operationsOf([...done, ...open], bucket, Number.MAX_SAFE_INTEGER));
    },
    lookups(key, op) {
      const rows = new Map<string, { op: number; values: string | null }>();
      for (const entry of committed().flatMap((flush) => flush.lookups)) {
        if (entry.key !== key || entry.op > Math.min(op, visible)) continue;
        if ((rows.get(entry.row)?.op ?? 0) < entry.op) rows.set(entry.row, entry);
      }
      return [...rows.values()].flatMap((entry) => (entry.values === null ? [] : [entry.values])).toSorted();
    },
    rowState(source, key) {
      const { committed: done, open } = states.get(source)!;
      return lastState([...done, ...open], key);
    },
    committedRowState: (source, key) => lastState(states.get(source)!.committed, key),
    position: (source) => states.get(source)!.position,
    changed(after, upTo) {
      const within = (op: number): boolean => op > after && op <= upTo;
      const flushes = committed();
      const buckets = flushes.flatMap((flush) =>
        flush.operations.filter((item) => within(item.operation.opId)).map((item) => item.bucket),
      );
      const lookups = flushes.flatMap((flush) =>
        flush.lookups.filter((item) => within(item.op)).map((item) => item.key),
      );
      return { buckets: [...new Set(buckets)].toSorted(), lookups: [...new Set(lookups)].toSorted() };
    },
  };
}
