import fc from 'fast-check';
import { MongoClient } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { activate, batchOf, collect, commitAt, readBucket, rowsFor, visibleOp, write } from '../conformance/content.ts';
import { type Bench, withInstance } from '../conformance/factory.ts';
import type { BucketRef, FlushResult } from '../contract.ts';
import { mongodbFactory } from './opener.fixture.ts';

interface Stored {
  readonly recent: number;
  readonly chunks: number;
  readonly commits: number;
}

async function stored({ instance }: Bench): Promise<Stored> {
  const client = new MongoClient(instance.url);
  try {
    const db = client.db();
    const document = await db.collection('instance').findOne<{ recent: unknown[] }>({});
    const [chunks, commits] = await Promise.all(
      ['bucket_data', 'commits'].map((name) => db.collection(name).countDocuments()),
    );
    return { recent: document!.recent.length, chunks: chunks!, commits: commits! };
  } finally {
    await client.close();
  }
}

async function prepare(bench: Bench) {
  const { writer, stream, id } = await activate(bench.storage);
  const [one, two] = ['["one"]', '["two"]'].map((key): BucketRef => ({ definition: id('b'), key })) as [
    BucketRef,
    BucketRef,
  ];
  let commits = 0;
  const commit = (bucket: BucketRef, rows = 1): Promise<FlushResult> =>
    write(writer, stream.id, { rows: rowsFor(bucket, `r${++commits}-`, rows) }, commitAt(`p${commits}`));
  const before = await stored(bench);
  return { writer, stream, one, two, commit, before };
}

describe('small commits', () => {
  test('stand in the instance until there are many of them, and are read alike wherever they are', () =>
    withInstance(mongodbFactory, async (bench) => {
      const { storage, open } = bench;
      const { one, two, commit, before } = await prepare(bench);
      const results: FlushResult[] = [];
      for (let at = 0; at < 32; at++) results.push(await commit(at % 3 === 0 ? two : one));
      expect(await stored(bench)).toEqual({ ...before, recent: 32 });
      const fresh = await open();
      const read = async (reader: typeof storage.reader) => {
        const { op } = results.at(-1)!.notice!;
        return {
          totals: await Promise.all(results.map(({ lastOp }) => reader.totals([one, two], lastOp))),
          operations: await readBucket(reader, one, op),
          notices: await reader.noticesAfter(results[9]!.notice!.op, 1000),
          few: await reader.noticesAfter(results[9]!.notice!.op, 3),
        };
      };
      const inInstance = await read(storage.reader);
      expect(inInstance.operations).toHaveLength(21);
      expect(inInstance.notices).toEqual(results.slice(10).map(({ notice }) => notice));
      expect(inInstance.few).toEqual(results.slice(10, 13).map(({ notice }) => notice));
      expect(inInstance.totals.at(-1)).toMatchObject([{ count: 21 }, { count: 11 }]);

      const last = await commit(one);
      expect(await stored(bench)).toEqual({ recent: 0, chunks: before.chunks + 33, commits: before.commits + 33 });
      const after = await read(fresh.reader);
      expect(after).toEqual({
        ...inInstance,
        notices: [...(inInstance.notices as object[]), last.notice],
      });
      // A reader that looked before they were moved answers the same.
      expect((await read(storage.reader)).operations).toEqual(after.operations);
    }));

  test('are moved by a larger commit, by one that writes anything else, and by a look at all of a definition', () =>
    withInstance(mongodbFactory, async (bench) => {
      const { writer, stream, one, two, commit, before } = await prepare(bench);
      await commit(one);
      await commit(two, 65);
      expect(await stored(bench)).toMatchObject({ recent: 0, commits: before.commits + 2 });
      await commit(one);
      await write(
        writer,
        stream.id,
        { rows: rowsFor(one, 's', 1), rowStates: [{ key: '1/1/1/a', state: 'x', previous: null }] },
        commitAt('q1'),
      );
      expect(await stored(bench)).toMatchObject({ recent: 0, commits: before.commits + 4 });
      const { lastOp } = await commit(one);
      expect(await stored(bench)).toMatchObject({ recent: 1 });
      const all = await collect(writer.scanDefinition(one.definition));
      expect(all.map((chunk) => chunk.lastOp)).toContain(lastOp);
      expect(await stored(bench)).toMatchObject({ recent: 0, commits: before.commits + 5 });
    }));

  test(
    'of any sizes, with take-overs in between, leave buckets whole, in order and with the right totals',
    { timeout: 300_000 },
    () =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              bucket: fc.nat(1),
              rows: fc.constantFrom(1, 1, 2, 5, 70),
              lookup: fc.nat(9),
              takeOver: fc.nat(9),
            }),
            { minLength: 20, maxLength: 100 },
          ),
          (steps) =>
            withInstance(mongodbFactory, async (bench) => {
              const { stream, one, two, ...rest } = await prepare(bench);
              let { writer } = rest;
              const counts = [0, 0];
              for (const [at, { bucket, rows, lookup, takeOver }] of steps.entries()) {
                if (takeOver === 0) writer = await (await bench.open()).takeOver('s1', `step ${at}`);
                const ref = [one, two][bucket]!;
                counts[bucket]! += rows;
                const rowStates = lookup === 0 ? [{ key: '1/1/1/a', state: `${at}`, previous: null }] : [];
                const content = { rows: rowsFor(ref, `${at}-`, rows), rowStates };
                await writer.flush(await batchOf(writer, stream.id, content, commitAt(`p${at}`)));
                const op = await visibleOp(bench.storage);
                expect(await bench.storage.reader.totals([one, two], op)).toMatchObject(
                  counts.map((count) => ({ count })),
                );
              }
              const op = await visibleOp(bench.storage);
              for (const reader of [bench.storage.reader, (await bench.open()).reader]) {
                for (const [index, ref] of [one, two].entries()) {
                  const operations = await readBucket(reader, ref, op);
                  expect(operations.map(({ objectId }) => objectId)).toEqual(
                    steps.flatMap(({ bucket, rows }, at) =>
                      bucket === index ? Array.from({ length: rows }, (_, row) => `${at}-${row}`) : [],
                    ),
                  );
                }
              }
            }),
        ),
        { numRuns: 6 },
      ),
  );
});
