import { describe, expect, test } from 'vitest';
import type { BucketRef, CommitNotice } from '../contract.ts';
import { activateAll, commitAt, readBucket, rowsFor, rowsOf, spec, visibleOp, write } from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

const specs = [spec('bucket', 'a', 's1'), spec('bucket', 'b', 's2'), spec('bucket', 'c', 's3')];

/** Several sources share one op sequence: nothing ever appears at or below an announced op (G7, S-400). */
export function severalSources(factory: StorageFactory): void {
  describe('several sources', () => {
    test('commits are held back while another source has unpublished operations, and published together', () =>
      withInstance(factory, async ({ storage }) => {
        const sources = await activateAll(storage, specs);
        const [a, b, c] = ['s1', 's2', 's3'].map((tag) => sources.get(tag)!);
        const bucketA: BucketRef = { definition: a!.id('a'), key: '[]' };
        const bucketB: BucketRef = { definition: b!.id('b'), key: '[]' };
        const bucketC: BucketRef = { definition: c!.id('c'), key: '[]' };
        const start = await visibleOp(storage);
        await write(a!.writer, a!.stream.id, { rows: rowsFor(bucketA, 'a', 10) });
        const held = await write(b!.writer, b!.stream.id, { rows: rowsFor(bucketB, 'b', 2) }, commitAt('p1'));
        expect(held.notice).toBeNull();
        await write(c!.writer, c!.stream.id, { rows: rowsFor(bucketC, 'c', 3) });
        expect(await visibleOp(storage)).toBe(start);
        const first = await write(a!.writer, a!.stream.id, { rows: rowsFor(bucketA, 'z', 2) }, commitAt('p1'));
        // Operations of c lie between those of a: showing a now would show ids that c still fills.
        expect(first.notice).toBeNull();
        expect(await visibleOp(storage)).toBe(start);
        for (const bucket of [bucketA, bucketB, bucketC]) {
          expect(await readBucket(storage.reader, bucket, Number.MAX_SAFE_INTEGER)).toEqual([]);
        }
        const { notice } = await write(c!.writer, c!.stream.id, {}, commitAt('p1'));
        expect(notice!.previous).toBe(start);
        const counts = new Map(notice!.buckets!.map((bucket) => [bucket.definition, bucket.count]));
        expect(counts).toEqual(
          new Map([
            [bucketA.definition, 12],
            [bucketB.definition, 2],
            [bucketC.definition, 3],
          ]),
        );
        expect(await visibleOp(storage)).toBe(notice!.op);
        expect(await readBucket(storage.reader, bucketB, notice!.op)).toHaveLength(2);
        expect(await storage.reader.noticesAfter(start, 10)).toEqual([notice]);
      }));

    test('a source that dies in a transaction holds others back only until it is taken over', () =>
      withInstance(factory, async ({ storage }) => {
        const sources = await activateAll(storage, specs.slice(0, 2));
        const [a, b] = ['s1', 's2'].map((tag) => sources.get(tag)!);
        const bucketA: BucketRef = { definition: a!.id('a'), key: '[]' };
        const bucketB: BucketRef = { definition: b!.id('b'), key: '[]' };
        const start = await visibleOp(storage);
        await write(a!.writer, a!.stream.id, { rows: rowsFor(bucketA, 'lost', 10) });
        await write(b!.writer, b!.stream.id, { rows: rowsFor(bucketB, 'b', 2) }, commitAt('p1'));
        expect(await visibleOp(storage)).toBe(start);
        await storage.takeOver('s1', 'next');
        const op = await visibleOp(storage);
        expect(op).toBeGreaterThan(start);
        expect(rowsOf(await readBucket(storage.reader, bucketB, op))).toEqual({ b0: '{"a":1}', b1: '{"a":1}' });
        expect(await readBucket(storage.reader, bucketA, op)).toEqual([]);
        const [notice] = (await storage.reader.noticesAfter(start, 10)) as readonly CommitNotice[];
        expect(notice!.op).toBe(op);
        expect(notice!.buckets).toMatchObject([bucketB]);
      }));

    test('writers side by side: ids are unique, every announced checkpoint is whole and never changes', () =>
      withInstance(factory, async ({ storage, open }) => {
        const sources = await activateAll(storage, specs);
        const used = new Set<number>();
        const announced: { op: number; counts: number[] }[] = [];
        const buckets = specs.map((item): BucketRef => ({
          definition: [...sources.values()][0]!.id(item.identity),
          key: '[]',
        }));
        const reader = (await open()).reader;
        let running = true;
        const watch = async (): Promise<void> => {
          while (running) {
            const checkpoint = await reader.checkpoint();
            if (checkpoint === null || checkpoint.op === announced.at(-1)?.op) continue;
            const totals = await reader.totals(buckets, checkpoint.op);
            announced.push({ op: checkpoint.op, counts: totals.map((item) => item.count) });
          }
        };
        const work = async (index: number): Promise<void> => {
          const tag = specs[index]!.source;
          const storageOfSource = await open();
          const writer = await storageOfSource.takeOver(tag, 'side by side');
          const stream = sources.get(tag)!.stream.id;
          for (let transaction = 1; transaction <= 12; transaction++) {
            // Transactions of 1, 2 or 3 flushes of 4 operations: whole ones have a multiple of 12.
            const flushes = 1 + ((transaction + index) % 3);
            for (let flush = 1; flush <= flushes; flush++) {
              const rows = rowsFor(buckets[index]!, `${transaction}-${flush}-`, 12 / flushes);
              const result = await write(
                writer,
                stream,
                { rows },
                flush === flushes ? commitAt(`p${transaction}`) : undefined,
              );
              for (let op = result.firstOp; op <= result.lastOp; op++) {
                expect(used.has(op)).toBe(false);
                used.add(op);
              }
            }
          }
        };
        const watching = watch();
        await Promise.all(specs.map((_item, index) => work(index))).finally(() => (running = false));
        await watching;
        expect(used.size).toBe(3 * 12 * 12);
        for (const { op, counts } of announced) {
          expect(counts.map((count) => count % 12)).toEqual([0, 0, 0]);
          expect((await reader.totals(buckets, op)).map((item) => item.count)).toEqual(counts);
        }
        const last = await visibleOp(storage);
        expect((await reader.totals(buckets, last)).map((item) => item.count)).toEqual([144, 144, 144]);
        const notices = await reader.noticesAfter(announced[0]?.op ?? 0, 1000);
        if (notices === 'gap') throw new Error('notices of the last seconds must be kept');
        for (const [at, notice] of notices.entries()) if (at > 0) expect(notice.previous).toBe(notices[at - 1]!.op);
        expect(notices.at(-1)?.op ?? last).toBe(last);
      }));
  });
}
