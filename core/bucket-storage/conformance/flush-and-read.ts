import { describe, expect, test } from 'vitest';
import type { BucketRef } from '../contract.ts';
import { rowStateKey, rowStatePrefix } from '../contract.ts';
import {
  activate,
  collect,
  commitAt,
  definitionId,
  emptyBatch,
  emptyTotals,
  readBucket,
  rowsFor,
  rowsOf,
  spec,
  totalsOf,
  visibleOp,
  write,
} from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

/** Flushes of one source, and what readers see of them (G1, S-399…S-415). */
export function flushAndRead(factory: StorageFactory): void {
  describe('flushes and reads', () => {
    test('a commit makes its operations visible, with totals, chunks and a notice', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, version, id } = await activate(storage);
        const bucket: BucketRef = { definition: id('b'), key: '["u1",3]' };
        const before = await visibleOp(storage);
        const result = await write(
          writer,
          stream.id,
          { rows: rowsFor(bucket, 'r', 5) },
          commitAt('p1', { sourceTimeMs: 1234 }),
        );
        expect(result.firstOp).toBeGreaterThan(before);
        expect(result.lastOp).toBe(result.firstOp + 4);
        expect(await storage.reader.checkpoint()).toEqual({ version: version.version, op: result.lastOp });
        const operations = await readBucket(storage.reader, bucket, result.lastOp);
        expect(operations.map((operation) => operation.opId)).toEqual([0, 1, 2, 3, 4].map((at) => result.firstOp + at));
        expect(await storage.reader.totals([bucket], result.lastOp)).toEqual([totalsOf(operations)]);
        expect(result.notice).toMatchObject({
          version: version.version,
          op: result.lastOp,
          previous: before,
          buckets: [{ ...bucket, ...totalsOf(operations) }],
          lookups: [],
          writeCheckpoints: [],
          sourceTimeMs: 1234,
        });
        expect(await storage.reader.noticesAfter(before, 10)).toEqual([result.notice]);
        expect((await writer.streams())[0]).toMatchObject({ position: 'p1', committedOp: result.lastOp });
      }));

    test('nothing of a transaction is visible before its last flush, everything after it (R-117, G1)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const bucket: BucketRef = { definition: id('b'), key: '[]' };
        const { lastOp } = await write(writer, stream.id, { rows: rowsFor(bucket, 'a', 3) }, commitAt('p1'));
        const lookup = { lookup: id('l'), key: '["u"]', row: '1/x', values: '[["b"]]' };
        for (const part of ['b', 'c']) {
          const result = await write(writer, stream.id, {
            rows: rowsFor(bucket, part, 3),
            lookups: [{ ...lookup, row: part }],
          });
          expect(result.notice).toBeNull();
        }
        expect(await visibleOp(storage)).toBe(lastOp);
        expect(await readBucket(storage.reader, bucket, lastOp)).toHaveLength(3);
        // Asking beyond the visible checkpoint does not help.
        const beyond = Number.MAX_SAFE_INTEGER;
        expect(await readBucket(storage.reader, bucket, beyond)).toHaveLength(3);
        expect((await storage.reader.totals([bucket], beyond))[0]).toMatchObject({ lastOp, count: 3 });
        expect(await storage.reader.lookups([lookup], beyond)).toEqual([[]]);
        expect((await writer.readTotals([bucket]))[0]!.count).toBe(9);
        expect((await writer.streams())[0]!.position).toBe('p1');
        const final = await write(writer, stream.id, {}, commitAt('p2'));
        const operations = await readBucket(storage.reader, bucket, final.notice!.op);
        expect(operations).toHaveLength(9);
        expect(final.notice!.buckets).toEqual([{ ...bucket, ...totalsOf(operations) }]);
        expect(final.notice!.lookups).toHaveLength(1);
        expect(await storage.reader.lookups([lookup], final.notice!.op)).toEqual([['[["b"]]', '[["b"]]']]);
      }));

    test('older checkpoints stay readable while new operations arrive', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const buckets = ['[]', '["a"]', '["a b"]'].map((key): BucketRef => ({ definition: id('b'), key }));
        const ops: number[] = [await visibleOp(storage)];
        for (let round = 0; round < 6; round++) {
          const rows = buckets.flatMap((bucket, at) =>
            round % (at + 1) === 0 ? rowsFor(bucket, `r${round}-`, 7) : [],
          );
          const result = await write(writer, stream.id, { rows, chunkSize: 2 }, commitAt(`p${round + 1}`));
          ops.push(result.notice!.op);
        }
        for (const bucket of buckets) {
          const all = await readBucket(storage.reader, bucket, ops.at(-1)!);
          for (const op of ops) {
            const expected = all.filter((operation) => operation.opId <= op);
            expect(await readBucket(storage.reader, bucket, op)).toEqual(expected);
            expect(await storage.reader.totals([bucket], op)).toEqual([totalsOf(expected)]);
          }
        }
        const atOnce = await storage.reader.totals([...buckets, { definition: 999_999, key: '[]' }], ops[2]!);
        expect(atOnce.at(-1)).toEqual(emptyTotals);
        const single = await Promise.all(buckets.map((bucket) => storage.reader.totals([bucket], ops[2]!)));
        expect(atOnce.slice(0, 3)).toEqual(single.flat());
      }));

    test('keys that are prefixes of each other, or odd, do not mix', () =>
      withInstance(factory, async ({ storage }) => {
        const specs = Array.from({ length: 12 }, (_, at) => spec('bucket', `b${at}`));
        const { writer, stream, version } = await activate(storage, specs);
        const keys = [
          '[]',
          '[1]',
          '[1,1]',
          '[11]',
          '["1"]',
          '[" "]',
          '["\\u0000"]',
          '["é😀"]',
          '["a\\"]"]',
          `["${'x'.repeat(2000)}"]`,
        ];
        const definitions = [definitionId(version, 'b0'), definitionId(version, 'b1'), definitionId(version, 'b11')];
        const buckets = definitions.flatMap((definition) => keys.map((key): BucketRef => ({ definition, key })));
        const rows = buckets.map((bucket, at) => ({ ...bucket, id: `row${at}`, data: `{"at":${at}}` }));
        const { lastOp } = await write(writer, stream.id, { rows }, commitAt('p1'));
        for (const [at, bucket] of buckets.entries()) {
          expect(rowsOf(await readBucket(storage.reader, bucket, lastOp))).toEqual({ [`row${at}`]: `{"at":${at}}` });
        }
        expect((await storage.reader.totals(buckets, lastOp)).map((totals) => totals.count)).toEqual(
          buckets.map(() => 1),
        );
        const scanned = await collect(writer.scanDefinition(definitions[1]!));
        const inOrder = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
        expect(scanned.map((chunk) => chunk.key)).toEqual(inOrder);
      }));

    test('pages are in order, hold at least one chunk, respect the size, and the caller can cut (S-574)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const bucket: BucketRef = { definition: id('b'), key: '["big"]' };
        const data = JSON.stringify({ text: 'x'.repeat(5000) });
        const rows = rowsFor(bucket, 'r', 200, data);
        const { firstOp, lastOp } = await write(writer, stream.id, { rows, chunkSize: 3 }, commitAt('p1'));
        await write(writer, stream.id, { rows: rowsFor(bucket, 'later', 50, data), chunkSize: 1 }, commitAt('p2'));
        const all = await readBucket(storage.reader, bucket, lastOp);
        expect(all.map((operation) => operation.objectId)).toEqual(rows.map((row) => row.id));
        for (const maxBytes of [1, 40_000, 300_000, 50_000_000]) {
          const page = await storage.reader.chunks(bucket, 0, lastOp, maxBytes);
          const bytes = page.chunks.map((chunk) => chunk.operations.length);
          expect(bytes.length).toBeGreaterThan(0);
          // "About": the chunk that crosses the line may be included.
          expect(bytes.slice(0, -1).reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(maxBytes);
          expect(page.more).toBe(page.chunks.at(-1)!.lastOp < lastOp);
          expect(await readBucket(storage.reader, bucket, lastOp, { maxBytes })).toEqual(all);
        }
        // `after` and `upTo` inside a chunk.
        for (const [after, upTo] of [
          [firstOp + 1, firstOp + 100],
          [firstOp + 98, firstOp + 100],
          [firstOp + 99, firstOp + 99],
          [lastOp, lastOp],
        ] as const) {
          const expected = all.filter((operation) => operation.opId > after && operation.opId <= upTo);
          expect(await readBucket(storage.reader, bucket, upTo, { after })).toEqual(expected);
        }
        expect(await storage.reader.chunks(bucket, lastOp, lastOp, 1000)).toEqual({ chunks: [], more: false });
        const page = await storage.reader.chunks(bucket, 0, lastOp, 1);
        expect(page.chunks[0]).toMatchObject({
          ...bucket,
          firstOp,
          lastOp: firstOp + 2,
          count: 3,
          totals: { lastOp: firstOp + 2, count: 3 },
        });
      }));

    test('lookups answer as of a checkpoint', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const lookup = id('l');
        const entry = (key: string, row: string, values: string | null) => ({ lookup, key, row, values });
        const commit = async (position: string, entries: ReturnType<typeof entry>[]): Promise<number> =>
          (await write(writer, stream.id, { lookups: entries }, commitAt(position))).notice!.op;
        const start = await visibleOp(storage);
        const one = await commit('p1', [
          entry('["u1"]', '1/a', '[["x"]]'),
          entry('["u1"]', '1/a b', '[["y"]]'),
          entry('["u2"]', '1/a', '[["z"]]'),
        ]);
        const two = await commit('p2', [entry('["u1"]', '1/a', '[["x"],["x2"]]'), entry('["u2"]', '1/a', null)]);
        const three = await commit('p3', [entry('["u1"]', '1/a', null), entry('["u2"]', '1/a', '[["again"]]')]);
        const keys = ['["u1"]', '["u2"]', '["u"]'].map((key) => ({ lookup, key }));
        const read = async (op: number) => (await storage.reader.lookups(keys, op)).map((values) => values.toSorted());
        expect(await read(start)).toEqual([[], [], []]);
        expect(await read(one)).toEqual([['[["x"]]', '[["y"]]'], ['[["z"]]'], []]);
        expect(await read(two)).toEqual([['[["x"],["x2"]]', '[["y"]]'], [], []]);
        expect(await read(three)).toEqual([['[["y"]]'], ['[["again"]]'], []]);
        const scanned = await collect(writer.scanLookup(lookup));
        expect(scanned.map(({ key, row, values }) => [key, row, values])).toEqual([
          ['["u1"]', '1/a', '[["x"]]'],
          ['["u1"]', '1/a', '[["x"],["x2"]]'],
          ['["u1"]', '1/a', null],
          ['["u1"]', '1/a b', '[["y"]]'],
          ['["u2"]', '1/a', '[["z"]]'],
          ['["u2"]', '1/a', null],
          ['["u2"]', '1/a', '[["again"]]'],
        ]);
      }));

    test('row states are written, replaced, removed, and dropped by prefix', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream } = await activate(storage);
        const keys = Array.from({ length: 2500 }, (_, at) => rowStateKey(1, 7, at % 2, `row ${at}`));
        const all = keys.map((key) => ({ key, state: `state of ${key}`, previous: null }));
        await write(writer, stream.id, { rowStates: all }, commitAt('p1'));
        expect(await writer.readRowStates([...keys, 'unknown'])).toEqual([...all.map((item) => item.state), null]);
        const [first, second] = keys as [string, string];
        const change = [
          { key: first, state: 'changed', previous: all[0]!.state },
          { key: second, state: null, previous: all[1]!.state },
        ];
        await write(writer, stream.id, { rowStates: change }, commitAt('p2'));
        expect(await writer.readRowStates([second, first])).toEqual([null, 'changed']);
        await writer.dropRowStates(rowStatePrefix(1, 7, 0));
        const states = await writer.readRowStates(keys);
        expect(states.filter((state, at) => at % 2 === 0 && state !== null)).toEqual([]);
        expect(states.filter((state, at) => at % 2 === 1 && state !== null)).toHaveLength(1249);
      }));

    test('a commit without operations ends what flushes before it left open, without an id of its own', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const bucket: BucketRef = { definition: id('b'), key: '[]' };
        const open = await write(writer, stream.id, { rows: rowsFor(bucket, 'r', 2) });
        const before = await visibleOp(storage);
        expect(before).toBeLessThan(open.firstOp);
        const end = await writer.flush(emptyBatch(stream.id, commitAt('p1')));
        expect(end.lastOp).toBeLessThan(end.firstOp);
        expect(end.notice).toMatchObject({ op: open.lastOp, previous: before });
        expect(await visibleOp(storage)).toBe(open.lastOp);
        expect(await readBucket(storage.reader, bucket, open.lastOp)).toHaveLength(2);
        expect((await writer.streams())[0]).toMatchObject({ position: 'p1', committedOp: open.lastOp });
      }));

    test('a commit without operations takes an id only when it is announced; a keep-alive never does', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream } = await activate(storage);
        const before = await visibleOp(storage);
        const silent = await writer.flush(emptyBatch(stream.id, commitAt('p1')));
        expect(silent.notice).toBeNull();
        expect(silent.firstOp).toBeGreaterThan(silent.lastOp);
        await writer.keepalive(stream.id, 'p2');
        expect(await visibleOp(storage)).toBe(before);
        expect((await writer.streams())[0]!.position).toBe('p2');
        const announced = await writer.flush(emptyBatch(stream.id, commitAt('p3', { announce: true })));
        expect(announced.notice).toMatchObject({ op: announced.lastOp, previous: before, buckets: [] });
        expect(announced.lastOp).toBeGreaterThan(before);
        expect(await visibleOp(storage)).toBe(announced.lastOp);
      }));

    test('progress is stored with a commit and kept by the next one; a null position changes nothing (R-32)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream } = await activate(storage);
        const table = await writer.registerTable({
          source: 's1',
          schema: 'public',
          name: 'items',
          relation: '16384',
          identity: 'key id:int4',
        });
        const progress = {
          snapshot: 'done' as const,
          startPosition: 'p0',
          holdUntil: null,
          tables: [
            { table, generation: 1, state: 'copying' as const, ranges: ['0-100'], rowsCopied: 5, rowsEstimated: 9 },
          ],
        };
        await writer.flush(emptyBatch(stream.id, commitAt('p1', { progress })));
        await writer.flush(emptyBatch(stream.id, commitAt(null)));
        expect((await writer.streams())[0]).toMatchObject({ position: 'p1', progress });
        await writer.setSlot(stream.id, 'slot_1');
        const other = await storage.takeOver('s1', 'next');
        expect((await other.streams())[0]).toMatchObject({ slot: 'slot_1', position: 'p1', progress });
      }));

    test('a table keeps its id; another relation or identity is another table (R-124)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer } = await activate(storage);
        const identity = { source: 's1', schema: 'public', name: 'items', relation: '16384', identity: 'key id:int4' };
        const id = await writer.registerTable(identity);
        expect(await writer.registerTable(identity)).toBe(id);
        const others = await Promise.all([
          writer.registerTable({ ...identity, relation: '16999' }),
          writer.registerTable({ ...identity, identity: 'key id:int8' }),
          writer.registerTable({ ...identity, name: 'renamed' }),
        ]);
        expect(new Set([id, ...others]).size).toBe(4);
        const next = await storage.takeOver('s1', 'next');
        expect(await next.registerTable(identity)).toBe(id);
      }));

    test('content published only after a position is held back until the hold ends (R-118)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const bucket: BucketRef = { definition: id('b'), key: '[]' };
        const before = await visibleOp(storage);
        const progress = {
          snapshot: 'done' as const,
          startPosition: 'p0',
          holdUntil: 'p5' as string | null,
          tables: [],
        };
        const held = await write(
          writer,
          stream.id,
          { rows: rowsFor(bucket, 'copied', 4) },
          commitAt('p1', { progress }),
        );
        expect(held.notice).toBeNull();
        expect(await visibleOp(storage)).toBe(before);
        // Committed all the same: the next writer finds it.
        const next = await storage.takeOver('s1', 'next');
        expect(await visibleOp(storage)).toBe(before);
        expect((await next.readTotals([bucket]))[0]!.count).toBe(4);
        await write(next, stream.id, { rows: rowsFor(bucket, 'streamed', 1) }, commitAt('p4'));
        expect(await visibleOp(storage)).toBe(before);
        const free = await write(next, stream.id, {}, commitAt('p5', { progress: { ...progress, holdUntil: null } }));
        expect(free.notice!.previous).toBe(before);
        expect(free.notice!.buckets).toMatchObject([{ ...bucket, count: 5 }]);
        expect(await readBucket(storage.reader, bucket, free.notice!.op)).toHaveLength(5);
      }));
  });
}
