import { describe, expect, test } from 'vitest';
import type { BucketRef } from '../contract.ts';
import { activate, commitAt, visibleOp, write } from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

/** Rows of the transaction; 10 million with MILLRACE_HUGE_ROWS=10000000. */
const ROWS = Number(process.env['MILLRACE_HUGE_ROWS'] ?? 200_000);
const ROWS_PER_FLUSH = 20_000;
const BUCKETS = 50;

/** One source transaction that does not fit in memory (G9, R-117). */
export function hugeTransaction(factory: StorageFactory): void {
  describe('a huge transaction', { timeout: Math.max(120_000, ROWS / 2) }, () => {
    test('becomes visible at once, with memory that does not grow with it', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const buckets = Array.from({ length: BUCKETS }, (_, at): BucketRef => ({
          definition: id('b'),
          key: `["u${at}"]`,
        }));
        const data = JSON.stringify({ text: 'x'.repeat(200) });
        const before = await visibleOp(storage);
        let peak = 0;
        let early = 0;
        for (let done = 0; done < ROWS; done += ROWS_PER_FLUSH) {
          const rows = Array.from({ length: Math.min(ROWS_PER_FLUSH, ROWS - done) }, (_, at) => ({
            ...buckets[(done + at) % BUCKETS]!,
            id: `r${done + at}`,
            data,
          }));
          const rowStates = rows.map((row) => ({ key: `1/1/1/${row.id}`, state: row.key, previous: null }));
          await write(writer, stream.id, { rows, rowStates });
          expect(await visibleOp(storage)).toBe(before);
          globalThis.gc?.();
          const memory = process.memoryUsage();
          peak = Math.max(peak, memory.heapUsed + memory.external);
          if (done < 3 * ROWS_PER_FLUSH) early = peak;
        }
        const { notice } = await write(writer, stream.id, {}, commitAt('p1'));
        expect(notice!.buckets).toHaveLength(BUCKETS);
        const totals = await storage.reader.totals(buckets, await visibleOp(storage));
        expect(totals.reduce((sum, item) => sum + item.count, 0)).toBe(ROWS);
        expect(peak - early).toBeLessThan(256 * 1024 * 1024);
      }));
  });
}
