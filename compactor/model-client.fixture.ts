/** A client beside its API worker, reduced to what compaction matters to: checkpoints, pages, checksums, rows. */
import { expect } from 'vitest';
import { operationsOf } from '#core/bucket-storage/chunk-operations.ts';
import type { BucketReader, BucketRef, BucketTotals } from '#core/bucket-storage/contract.ts';
import type { Operation } from '#core/protocol/operations.ts';
import { createBucketStore, type BucketStore } from '#test/client/bucket-store.ts';

/** What there is at each checkpoint: data by `${bucket key} ${type}/${id}`. */
export type History = Map<number, ReadonlyMap<string, string>>;

export interface ModelClient {
  /** Announces a checkpoint, or reads one page for it, or completes it. */
  step(): Promise<void>;
  /** Until a checkpoint that is now the newest is complete. */
  finish(): Promise<void>;
  /** For a client that has begun when everything was compacted: it got no row twice, and as many operations as announced. */
  expectCompact(): void;
}

interface Delivery {
  readonly op: number;
  readonly targets: readonly BucketTotals[];
}

export function createModelClient(reader: BucketReader, buckets: readonly BucketRef[], history: History): ModelClient {
  const store: BucketStore = createBucketStore();
  const received = new Map<string, Operation[]>();
  const positions = new Map<string, number>();
  let delivery: Delivery | null = null;
  let completed: Delivery | null = null;

  const announce = async (least: number): Promise<void> => {
    const { op } = (await reader.checkpoint())!;
    expect(op).toBeGreaterThanOrEqual(least);
    delivery = { op, targets: await reader.totals(buckets, op) };
  };

  const receive = ({ key }: BucketRef, operations: readonly Operation[]): void => {
    received.set(key, [...(received.get(key) ?? []), ...operations]);
    store.addOperations(
      key,
      operations.map((operation) => ({
        ...{ op_id: String(operation.opId), op: operation.op, checksum: operation.checksum, data: operation.data },
        ...{ object_type: operation.objectType, object_id: operation.objectId, subkey: operation.subkey },
      })),
    );
    positions.set(key, operations.at(-1)!.opId);
  };

  const complete = ({ op, targets }: Delivery): void => {
    const announced = buckets.map(({ key }, index) => ({
      ...{ bucket: key, checksum: targets[index]!.checksum, count: targets[index]!.count },
      ...{ priority: 3, subscriptions: [] },
    }));
    expect(store.mismatches(announced)).toEqual([]);
    for (const { key } of buckets) {
      const rows = [...store.rows((name) => name === key)].map(([id, data]) => [`${key} ${id}`, data] as const);
      const wanted = [...history.get(op)!].filter(([name]) => name.startsWith(`${key} `));
      expect(new Map(rows)).toEqual(new Map(wanted));
      if (positions.has(key)) positions.set(key, Math.max(op, positions.get(key)!));
    }
    completed = delivery;
    delivery = null;
  };

  const step = async (): Promise<void> => {
    if (delivery === null) return announce(0);
    const { op, targets } = delivery;
    const index = buckets.findIndex(({ key }, at) => (positions.get(key) ?? 0) < targets[at]!.lastOp);
    const bucket = buckets[index];
    if (bucket === undefined) return complete(delivery);
    const after = positions.get(bucket.key) ?? 0;
    const target = targets[index]!.lastOp;
    const { chunks } = await reader.chunks(bucket, after, target, 1);
    const needs = Math.max(...chunks.map((chunk) => chunk.needs ?? 0));
    // S-425, S-426: there is a newer checkpoint by now, and it can be completed.
    if (needs > op) return announce(needs);
    const operations = chunks.flatMap(operationsOf).filter(({ opId }) => opId > after && opId <= target);
    expect(operations.length).toBeGreaterThan(0);
    receive(bucket, operations);
  };

  return {
    step,
    async finish() {
      const newest = (await reader.checkpoint())!.op;
      while (completed === null || completed.op < newest) await step();
    },
    expectCompact() {
      for (const [index, { key }] of buckets.entries()) {
        const operations = received.get(key) ?? [];
        const { count, removed = 0 } = completed!.targets[index]!;
        expect(operations).toHaveLength(count - removed);
        const rows = operations.filter(({ op }) => op === 'PUT' || op === 'REMOVE').map(({ objectId }) => objectId);
        expect(new Set(rows).size).toBe(rows.length);
        const dead = operations.findIndex(({ op }) => op === 'PUT');
        // What can be one CLEAR is one operation.
        expect(dead < 0 ? operations.length : dead).toBeLessThanOrEqual(1);
      }
    },
  };
}
