import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Chunk, FlushBatch, LookupEntry, SourceWriter } from '#core/bucket-storage/contract.ts';
import { addChecksums } from '#core/protocol/checksum.ts';
import { decodeOperations } from '#core/protocol/operations.ts';
import { createBucketTotalsCache } from './bucket-totals.ts';
import { createFlusher, type Flusher } from './flusher.ts';
import { createRowStateCache } from './row-state-cache.ts';

interface Transaction {
  /** Ids that another source takes before this flush. */
  readonly gap: number;
  /** The storage transaction is tried again, after another source took this many ids. */
  readonly retries: readonly number[];
  /** How many turns of the event loop it takes. */
  readonly turns: number;
}

/** A storage that gives ids with gaps and builds more than once, as real ones may. */
function createStorage(transactions: readonly Transaction[]) {
  const chunks: Chunk[] = [];
  const lookups: LookupEntry[] = [];
  let sequence = 0;
  let flushes = 0;
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const writer = {
    readRowStates: async (keys: readonly string[]) => keys.map(() => null),
    readTotals: async () => {
      throw new Error('nothing was evicted');
    },
    prepare: () => undefined,
    async flush(batch: FlushBatch) {
      const { gap, retries, turns } = transactions[flushes++ % transactions.length]!;
      sequence += gap;
      for (let waited = 0; waited < turns; waited++) await turn();
      let content = batch.build(sequence + 1);
      for (const more of retries) {
        await turn();
        sequence += more;
        content = batch.build(sequence + 1);
      }
      const firstOp = sequence + 1;
      sequence += batch.operations;
      // Stored before the buffer is used again.
      chunks.push(...content.chunks.map((chunk) => ({ ...chunk, operations: Buffer.from(chunk.operations) })));
      lookups.push(...content.lookups);
      for (let waited = 0; waited < turns; waited++) await turn();
      return { firstOp, lastOp: sequence, notice: null };
    },
  } as unknown as SourceWriter;
  return { writer, chunks, lookups };
}

function createPipeline(writer: SourceWriter): Flusher {
  return createFlusher({
    writer,
    stream: 1,
    states: createRowStateCache(writer),
    totals: createBucketTotalsCache(writer, () => true),
    now: () => 0,
    flushed: () => undefined,
    published: () => undefined,
  });
}

const transaction = fc.record({
  gap: fc.constantFrom(0, 0, 0, 3),
  retries: fc.array(fc.nat(2), { maxLength: 2 }),
  turns: fc.nat(3),
});
/** `late`: rows that arrive while the flush waits for the one before it, as another reader of a copy may add them. */
const flush = fc.record({
  rows: fc.array(fc.record({ bucket: fc.nat(3), id: fc.nat(9) }), { maxLength: 8 }),
  late: fc.array(fc.record({ bucket: fc.nat(3), id: fc.nat(9) }), { maxLength: 2 }),
  lookups: fc.nat(2),
});

describe('flusher', () => {
  test('what is encoded ahead is what storage gets: ids in order, totals that add up, whatever happens meanwhile (I4)', async () => {
    const scripts = fc.tuple(
      fc.array(transaction, { minLength: 1, maxLength: 4 }),
      fc.array(flush, { minLength: 1, maxLength: 8 }),
    );
    await fc.assert(
      fc.asyncProperty(scripts, async ([transactions, script]) => {
        const { writer, chunks, lookups } = createStorage(transactions);
        const flusher = createPipeline(writer);
        const expected: string[] = [];
        let entries = 0;
        const add = (rows: readonly { bucket: number; id: number }[]): void => {
          for (const { bucket, id } of rows) {
            flusher.target().buffer.add(1, `[${bucket}]`, 't', `${id}`, `1/${id}`, `{"at":${expected.length}}`);
            expected.push(`[${bucket}] ${id} {"at":${expected.length}}`);
          }
        };
        for (const { rows, late, lookups: count } of script) {
          add(rows);
          for (let at = 0; at < count; at++) {
            flusher.target().lookups.push({ lookup: 2, key: '[]', row: `${entries++}`, values: '[]' });
          }
          const flushing = flusher.flush(undefined);
          if (flusher.busy) add(late);
          await flushing;
        }
        await flusher.settled();
        // What came late after the last swap.
        await flusher.flush(undefined);
        await flusher.settled();

        const stored = chunks.flatMap((chunk) =>
          decodeOperations(Buffer.from(chunk.operations)).map((operation) => ({ key: chunk.key, operation })),
        );
        const inOrder = stored.toSorted((a, b) => a.operation.opId - b.operation.opId);
        expect(inOrder.map(({ key, operation }) => `${key} ${operation.objectId} ${operation.data}`)).toEqual(expected);
        const ids = [...stored.map(({ operation }) => operation.opId), ...lookups.map(({ op }) => op)];
        expect(new Set(ids).size).toBe(expected.length + entries);
        const totals = new Map<string, { lastOp: number; count: number; checksum: number }>();
        for (const chunk of chunks) {
          const before = totals.get(chunk.key) ?? { lastOp: 0, count: 0, checksum: 0 };
          expect(chunk.firstOp).toBeGreaterThan(before.lastOp);
          const { lastOp } = chunk;
          const now = {
            lastOp,
            count: before.count + chunk.count,
            checksum: addChecksums(before.checksum, chunk.checksum),
          };
          expect(chunk.totals).toEqual(now);
          totals.set(chunk.key, now);
        }
      }),
    );
  });
});
