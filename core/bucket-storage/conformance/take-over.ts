import { describe, expect, test } from 'vitest';
import type { BucketRef, SourceWriter } from '../contract.ts';
import {
  activate,
  activateAll,
  collect,
  commitAt,
  emptyBatch,
  readBucket,
  rowsFor,
  rowsOf,
  spec,
  visibleOp,
  write,
} from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

const fenced = /PSYNC_S1003/;

/** One writer per source; what the former one did not commit is gone (G6, I3). */
export function takeOver(factory: StorageFactory): void {
  describe('take-over', () => {
    test('every method of a former writer fails with PSYNC_S1003', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { writer, stream, version, id } = await activate(storage);
        const next = await (await open()).takeOver('s1', 'next');
        expect(next.epoch).toBeGreaterThan(writer.epoch);
        const bucket: BucketRef = { definition: id('b'), key: '[]' };
        const calls: Record<keyof SourceWriter, (() => Promise<unknown>) | null> = {
          source: null,
          epoch: null,
          streams: () => writer.streams(),
          setSlot: () => writer.setSlot(stream.id, 'x'),
          registerTable: () =>
            writer.registerTable({ source: 's1', schema: 'public', name: 't', relation: '1', identity: 'k' }),
          readRowStates: () => writer.readRowStates(['1/1/1/a']),
          readTotals: () => writer.readTotals([bucket]),
          prepare: null,
          flush: () => writer.flush(emptyBatch(stream.id, commitAt('p9'))),
          keepalive: () => writer.keepalive(stream.id, 'p9'),
          scanDefinition: () => collect(writer.scanDefinition(bucket.definition)),
          scanLookup: () => collect(writer.scanLookup(id('l'))),
          dropRowStates: () => writer.dropRowStates('1/1/1/'),
          switchOver: () => writer.switchOver({ version: version.version, from: null, to: stream.id }),
        };
        for (const [name, call] of Object.entries(calls)) {
          if (call !== null) await expect(call(), name).rejects.toThrow(fenced);
        }
        expect((await next.streams())[0]!.position).toBe('p0');
        await write(next, stream.id, { rows: rowsFor(bucket, 'r', 1) }, commitAt('p1'));
      }));

    test('sources are fenced one by one', () =>
      withInstance(factory, async ({ storage }) => {
        const sources = await activateAll(storage, [spec('bucket', 'a', 's1'), spec('bucket', 'b', 's2')]);
        await storage.takeOver('s2', 'next');
        const { writer, stream, id } = sources.get('s1')!;
        const result = await write(
          writer,
          stream.id,
          { rows: rowsFor({ definition: id('a'), key: '[]' }, 'r', 1) },
          commitAt('p1'),
        );
        expect(result.notice).not.toBeNull();
      }));

    test('chunks, lookups, row states and numbers of an unfinished transaction are undone', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { writer, stream, id } = await activate(storage);
        const buckets = Array.from({ length: 40 }, (_, at): BucketRef => ({ definition: id('b'), key: `["u${at}"]` }));
        const lookup = (values: string | null) => ({ lookup: id('l'), key: '["u"]', row: '1/a', values });
        const rowStates = [
          { key: '1/1/1/changed', state: 'old', previous: null },
          { key: '1/1/1/removed', state: 'old', previous: null },
        ];
        const rows = buckets.slice(0, 20).flatMap((bucket) => rowsFor(bucket, 'kept', 3));
        await write(writer, stream.id, { rows, lookups: [lookup('[["b"]]')], rowStates }, commitAt('p1'));
        const op = await visibleOp(storage);
        const totals = await storage.reader.totals(buckets, op);
        const unfinished = [
          { key: '1/1/1/changed', state: 'new', previous: 'old' },
          { key: '1/1/1/removed', state: null, previous: 'old' },
          { key: '1/1/1/created', state: 'new', previous: null },
        ];
        const lost = buckets.flatMap((bucket) => rowsFor(bucket, 'lost', 5));
        const custom = [{ userId: 'u', clientId: 'c', checkpoint: 7n }];
        await write(writer, stream.id, {
          rows: lost,
          lookups: [lookup(null)],
          rowStates: unfinished,
          custom,
          chunkSize: 2,
        });
        await write(writer, stream.id, {
          rows: lost,
          rowStates: [{ key: '1/1/1/changed', state: 'newer', previous: 'old' }],
        });
        const next = await (await open()).takeOver('s1', 'next');
        expect(await next.readTotals(buckets)).toEqual(totals);
        const keys = ['1/1/1/changed', '1/1/1/removed', '1/1/1/created'];
        expect(await next.readRowStates(keys)).toEqual(['old', 'old', null]);
        expect((await collect(next.scanDefinition(id('b')))).every((chunk) => chunk.lastOp <= op)).toBe(true);
        expect(await collect(next.scanLookup(id('l')))).toMatchObject([{ values: '[["b"]]' }]);
        expect((await next.streams())[0]!.position).toBe('p1');
        // The next commit shows nothing of it, and takes greater ids.
        const again = await write(next, stream.id, { rows: rowsFor(buckets[0]!, 'again', 1) }, commitAt('p2'));
        expect(again.firstOp).toBeGreaterThan(op);
        expect(Object.keys(rowsOf(await readBucket(storage.reader, buckets[0]!, again.lastOp)))).toEqual([
          'kept0',
          'kept1',
          'kept2',
          'again0',
        ]);
        expect(again.notice!.buckets).toMatchObject([{ ...buckets[0], count: 4 }]);
        expect(await storage.writeCheckpoints.reached([{ userId: 'u', clientId: 'c' }], again.lastOp)).toEqual([null]);
      }));

    test('what was committed stays, also when big transactions came before', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const bucket: BucketRef = { definition: id('b'), key: '[]' };
        const state = (text: string, previous: string | null) => [{ key: '1/1/1/a', state: text, previous }];
        await write(writer, stream.id, { rows: rowsFor(bucket, 'a', 3), rowStates: state('one', null) });
        await write(writer, stream.id, { rows: rowsFor(bucket, 'b', 3), rowStates: state('two', null) });
        await write(writer, stream.id, { rows: rowsFor(bucket, 'c', 3) }, commitAt('p1'));
        const second = await storage.takeOver('s1', 'second');
        expect(await second.readRowStates(['1/1/1/a'])).toEqual(['two']);
        await write(second, stream.id, { rows: rowsFor(bucket, 'lost', 3), rowStates: state('three', 'two') });
        const third = await storage.takeOver('s1', 'third');
        expect(await third.readRowStates(['1/1/1/a'])).toEqual(['two']);
        expect((await third.readTotals([bucket]))[0]!.count).toBe(9);
      }));

    test('the first of two concurrent take-overs is fenced by the second', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { stream } = await activate(storage);
        const other = await open();
        const writers = await Promise.allSettled([
          storage.takeOver('s1', 'x'),
          other.takeOver('s1', 'y'),
          storage.takeOver('s1', 'z'),
        ]);
        const taken = writers.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
        for (const outcome of writers)
          if (outcome.status === 'rejected') expect(String(outcome.reason)).toMatch(fenced);
        expect(new Set(taken.map((writer) => writer.epoch)).size).toBe(taken.length);
        const newest = taken.reduce((a, b) => (a.epoch > b.epoch ? a : b));
        for (const writer of taken) {
          const flushing = writer.flush(emptyBatch(stream.id, commitAt(`p${writer.epoch}`)));
          if (writer === newest) await flushing;
          else await expect(flushing).rejects.toThrow(fenced);
        }
      }));
  });
}
