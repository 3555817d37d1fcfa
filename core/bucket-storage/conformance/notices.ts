import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import { type BucketRef, NOTICE_LIST_LIMIT } from '../contract.ts';
import { activate, commitAt, rowsFor, visibleOp, write } from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

/** The durable twin of the bus messages. */
export function notices(factory: StorageFactory): void {
  describe('notices', () => {
    test('form a chain that a reader can follow from any of them', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { writer, stream, id } = await activate(storage);
        const start = await visibleOp(storage);
        const sent = [];
        for (let at = 1; at <= 7; at++) {
          const rows = rowsFor({ definition: id('b'), key: `[${at}]` }, 'r', at);
          sent.push(
            (
              await write(
                writer,
                stream.id,
                { rows, lookups: [{ lookup: id('l'), key: `["${at}"]`, row: 'r', values: '[]' }] },
                commitAt(`p${at}`),
              )
            ).notice!,
          );
        }
        const { reader } = await open();
        expect(await reader.noticesAfter(start, 100)).toEqual(sent);
        expect(await reader.noticesAfter(sent[2]!.op, 2)).toEqual(sent.slice(3, 5));
        expect(await reader.noticesAfter(sent[6]!.op, 2)).toEqual([]);
        expect(sent[0]!.lookups).toEqual([{ lookup: id('l'), key: '["1"]' }]);
      }));

    test('lists that are too long become null', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const rowsOf = (count: number, prefix: string) =>
          Array.from({ length: count }, (_, at): BucketRef & { id: string; data: string } => ({
            definition: id('b'),
            key: `["${prefix}${at}"]`,
            id: `r${at}`,
            data: '{}',
          }));
        const fits = await write(writer, stream.id, { rows: rowsOf(NOTICE_LIST_LIMIT, 'a') }, commitAt('p1'));
        expect(fits.notice!.buckets).toHaveLength(NOTICE_LIST_LIMIT);
        // Over several flushes.
        await write(writer, stream.id, { rows: rowsOf(NOTICE_LIST_LIMIT - 10, 'b') });
        const more = await write(writer, stream.id, { rows: rowsOf(20, 'c') }, commitAt('p2'));
        expect(more.notice!.buckets).toBeNull();
        expect(more.notice!.lookups).toEqual([]);
        const after = await write(writer, stream.id, { rows: rowsOf(1, 'd') }, commitAt('p3'));
        expect(after.notice!.buckets).toHaveLength(1);
        expect(await storage.reader.noticesAfter(fits.notice!.op, 10)).toEqual([more.notice, after.notice]);
      }));

    test('old ones are removed by later commits, and a reader that needs them is told of the gap', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { stream, id } = await activate(storage);
        const clock = createFakeClock(Date.now());
        const writer = await (await open(undefined, clock)).takeOver('s1', 'with a clock');
        const bucket: BucketRef = { definition: id('b'), key: '[]' };
        // With a row state: the very newest of the smallest commits may be kept for longer.
        const commit = async (position: string) => {
          const rowStates = [{ key: '1/1/1/a', state: position, previous: null }];
          const content = { rows: rowsFor(bucket, position, 1), rowStates };
          return (await write(writer, stream.id, content, commitAt(position))).notice!;
        };
        const old = [await commit('p1'), await commit('p2')];
        await clock.advance(60 * 60_000);
        const recent = [await commit('p3'), await commit('p4')];
        await expect.poll(() => storage.reader.noticesAfter(old[0]!.op, 10), { timeout: 10_000 }).toBe('gap');
        expect(await storage.reader.noticesAfter(0, 10)).toBe('gap');
        expect(await storage.reader.noticesAfter(old[1]!.op, 10)).toEqual(recent);
        expect(await storage.reader.noticesAfter(recent[1]!.op, 10)).toEqual([]);
        // An instance without recent commits: only its newest checkpoint is not a gap.
        await clock.advance(60 * 60_000);
        expect(await storage.reader.noticesAfter(recent[1]!.op, 10)).toEqual([]);
      }));

    test('before a version is active there is neither checkpoint nor notice (S2302)', () =>
      withInstance(factory, async ({ storage }) => {
        expect(await storage.reader.checkpoint()).toBeNull();
        expect(await storage.reader.noticesAfter(0, 10)).toEqual([]);
      }));
  });
}
