import { inspect } from 'node:util';
import { MongoClient } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import { mongodb, startMongodb } from '#test/services/mongodb.ts';
import { activate, commitAt, rowsFor, write } from '../conformance/content.ts';
import { type Bench, withInstance } from '../conformance/factory.ts';
import { rowStateKey, rowStatePrefix } from '../contract.ts';
import { mongodbFactory } from './opener.fixture.ts';
import { blockId } from './row-state-blocks.ts';
import { openMongodbStorage } from './storage.ts';

const log = { info: () => undefined, warn: () => undefined };
const open = (uri: string, more: { username?: string; password?: string; database?: string } = {}) =>
  openMongodbStorage({ uri, maxPoolSize: 2, log, clock: realClock, ...more });

describe('the server', () => {
  test('that is no replica set is refused with PSYNC_S2401 (O-70)', async () => {
    await using server = await startMongodb({ standalone: true });
    const { url } = await server.createDatabase();
    await expect(open(url)).rejects.toThrow(/PSYNC_S2401.*--replSet/);
  });

  test('that is not there, or refuses the login, is PSYNC_S2402; the password is in no message', async () => {
    const secret = 'pa55word-that-is-secret';
    const uri = `mongodb://somebody:${secret}@127.0.0.1:1/db?serverSelectionTimeoutMS=300&directConnection=true`;
    const error: unknown = await open(uri).catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/PSYNC_S2402/);
    expect(inspect(error, { depth: 10 })).not.toContain(secret);
    const { url } = await (await mongodb()).createDatabase();
    const login: unknown = await open(url, { username: 'nobody', password: secret }).catch((reason: unknown) => reason);
    expect(String(login)).toMatch(/PSYNC_S2402/);
    expect(inspect(login, { depth: 10 })).not.toContain(secret);
  });

  test('needs a database, of the uri or the configuration (O-38, O-39)', async () => {
    const { url } = await mongodb();
    await expect(open(url)).rejects.toThrow(/PSYNC_S1105/);
    await expect(open('postgres://x/y')).rejects.toThrow(/PSYNC_S1109/);
    await using database = await (await mongodb()).createDatabase();
    const storage = await open(url, { database: database.name });
    await storage.migrate();
    await storage.close();
    await withDatabase(database.url, async (db) => {
      expect((await db.listCollections().toArray()).map((item) => item.name)).toContain('bucket_data');
    });
  });

  test('that goes away during a read gives PSYNC_S2402 and is used again when it is back', async () => {
    await using server = await startMongodb();
    const database = await server.createDatabase();
    const storage = await open(`${database.url}&serverSelectionTimeoutMS=1000`);
    await storage.migrate();
    const { writer, stream, id } = await activate(storage);
    await server.kill();
    await expect(storage.reader.checkpoint()).rejects.toThrow(/PSYNC_S2402/);
    const flushing = write(
      writer,
      stream.id,
      { lookups: [{ lookup: id('l'), key: '[]', row: 'r', values: '[]' }] },
      commitAt('p1'),
    );
    flushing.catch(() => undefined);
    await server.start();
    // Totals were not needed, so the flush itself met the outage and went on when it was over.
    const { notice } = await flushing;
    expect((await storage.reader.checkpoint())!.op).toBe(notice!.op);
    await storage.close();
  });
});

describe('reads stay within their ranges', () => {
  const many = async ({ storage, instance }: Bench) => {
    const { writer, stream, id } = await activate(storage);
    const rows = Array.from({ length: 20 }, (_, at) =>
      rowsFor({ definition: id('b'), key: `["u${at}"]` }, 'r', 50),
    ).flat();
    const lookups = Array.from({ length: 500 }, (_, at) => ({
      lookup: id('l'),
      key: `[${at}]`,
      row: 'r',
      values: '[]',
    }));
    await write(writer, stream.id, { rows, lookups, chunkSize: 1 }, commitAt('p1'));
    return { url: instance.url, definition: id('b'), lookup: id('l'), storage };
  };

  /** Documents examined by what `work` does, from the profiler. */
  const examined = async (url: string, work: () => Promise<unknown>): Promise<{ docs: number; plans: string[] }> =>
    withDatabase(url, async (db) => {
      await db.command({ profile: 2 });
      await work();
      await db.command({ profile: 0 });
      const entries = await db
        .collection('system.profile')
        .find({ op: { $in: ['query', 'command'] }, docsExamined: { $gt: 0 } })
        .toArray();
      await db.collection('system.profile').drop();
      const docs = entries.reduce((sum, entry) => sum + Number(entry['docsExamined']), 0);
      return { docs, plans: [...new Set(entries.map((entry) => String(entry['planSummary'])))] };
    });

  test('totals of many buckets examine one chunk each', () =>
    withInstance(mongodbFactory, async (bench) => {
      const { url, definition, storage } = await many(bench);
      const buckets = Array.from({ length: 20 }, (_, at) => ({ definition, key: `["u${at}"]` }));
      const op = (await storage.reader.checkpoint())!.op;
      await storage.reader.totals(buckets, op);
      const { docs } = await examined(url, () => storage.reader.totals(buckets, op));
      // A clustered range is left at the document after it.
      expect(docs).toBeLessThanOrEqual(3 * buckets.length);
    }));

  test('a page examines its chunks, lookups their entries', () =>
    withInstance(mongodbFactory, async (bench) => {
      const { url, definition, lookup, storage } = await many(bench);
      const op = (await storage.reader.checkpoint())!.op;
      const page = await examined(url, () => storage.reader.chunks({ definition, key: '["u7"]' }, 0, op, 1_000_000));
      expect(page.docs).toBeLessThanOrEqual(60);
      const keys = Array.from({ length: 10 }, (_, at) => ({ lookup, key: `[${at * 40}]` }));
      const lookups = await examined(url, () => storage.reader.lookups(keys, op));
      expect(lookups.docs).toBeLessThanOrEqual(30);
    }));

  test('pages of a large bucket hold four full chunks, and none is examined twice', () =>
    withInstance(mongodbFactory, async ({ storage, instance }) => {
      const { writer, stream, id } = await activate(storage);
      const bucket = { definition: id('b'), key: '[]' };
      const rows = rowsFor(bucket, 'r', 400, JSON.stringify({ text: 'x'.repeat(26_000) }));
      const { lastOp } = await write(writer, stream.id, { rows, chunkSize: 10 }, commitAt('p1'));
      const pages: number[] = [];
      const readAll = async (): Promise<void> => {
        for (let after = 0, more = true; more;) {
          const page = await storage.reader.chunks(bucket, after, lastOp, 1152 * 1024);
          pages.push(page.chunks.length);
          after = page.chunks.at(-1)!.lastOp;
          more = page.more;
        }
      };
      // Learns how large chunks are.
      await readAll();
      pages.length = 0;
      const { docs } = await examined(instance.url, readAll);
      expect(pages).toEqual(Array.from({ length: 10 }, () => 4));
      // The instance document of each page is one more.
      expect(docs).toBeLessThanOrEqual(40 + pages.length);
    }));

  test('row states of a first copy examine one block each, and none when there are none', () =>
    withInstance(mongodbFactory, async ({ storage, instance }) => {
      const { writer, stream } = await activate(storage);
      const keys = (generation: number) =>
        Array.from({ length: 3000 }, (_, row) => rowStateKey(1, 1, generation, `${row}`));
      const rowStates = keys(0).map((key) => ({ key, state: 'state', previous: null, isNew: true as const }));
      await write(writer, stream.id, { rowStates }, commitAt('p1'));
      const some = keys(0).filter((_, at) => at % 300 === 0);
      const found = await examined(instance.url, () => writer.readRowStates(some));
      // The instance document is one more.
      expect(found.docs).toBeLessThanOrEqual(some.length + 1);
      expect(found.plans).toContainEqual(expect.stringContaining('h: 1'));
      const next = await storage.takeOver('s1', 'next');
      await next.readRowStates([rowStateKey(1, 1, 1, 'first'), ...some]);
      const none = await examined(instance.url, () => next.readRowStates(keys(1)));
      expect(none.docs).toBeLessThanOrEqual(1);
    }));

  test('a take-over finds unfinished chunks by their index', () =>
    withInstance(mongodbFactory, async (bench) => {
      const { url, storage } = await many(bench);
      const next = await storage.takeOver('s1', 'next');
      const [stream] = await next.streams();
      const definition = stream!.definitions[0]!;
      await write(next, stream!.id, { rows: rowsFor({ definition, key: '["u3"]' }, 'lost', 5), chunkSize: 1 });
      const { docs } = await examined(url, () => storage.takeOver('s1', 'after'));
      expect(docs).toBeLessThanOrEqual(60);
    }));
});

describe('row states of a first copy', () => {
  const copied = async ({ storage, instance }: Bench) => {
    const { writer, stream } = await activate(storage);
    const keys = Array.from({ length: 320 }, (_, row) => rowStateKey(1, 1, 0, `${row}`));
    const rowStates = keys.map((key) => ({ key, state: 'state', previous: null, isNew: true as const }));
    await write(writer, stream.id, { rowStates }, commitAt('p1'));
    const remove = (key: string) =>
      write(writer, stream.id, { rowStates: [{ key, state: null, previous: null }] }, commitAt('p2'));
    const count = () =>
      withDatabase(instance.url, async (db) => ({
        single: await db.collection('row_states').countDocuments(),
        blocks: await db.collection('row_state_blocks').countDocuments(),
      }));
    return { writer, stream, keys, remove, count };
  };

  test('stand in blocks; a removed one leaves a document only where a block has it', () =>
    withInstance(mongodbFactory, async (bench) => {
      const { writer, stream, keys, remove, count } = await copied(bench);
      expect(await count()).toEqual({ single: 0, blocks: 10 });
      await remove(keys[0]!);
      await remove(keys[0]!);
      expect(await count()).toEqual({ single: 1, blocks: 10 });
      await remove(rowStateKey(1, 1, 0, 'unknown'));
      await remove(rowStateKey(1, 1, 7, '0'));
      const own = [{ key: rowStateKey(1, 1, 0, 'late'), state: 'late', previous: null }];
      await write(writer, stream.id, { rowStates: own }, commitAt('p3'));
      await remove(own[0]!.key);
      expect(await count()).toEqual({ single: 1, blocks: 10 });
      await writer.dropRowStates(rowStatePrefix(1, 1, 0));
      expect(await count()).toEqual({ single: 0, blocks: 0 });
    }));

  test('of flushes that are not final, and of few rows, stand alone', () =>
    withInstance(mongodbFactory, async ({ storage, instance }) => {
      const { writer, stream } = await activate(storage);
      const rows = (generation: number, length: number) =>
        Array.from({ length }, (_, row) => ({
          key: rowStateKey(1, 1, generation, `${row}`),
          state: 'state',
          previous: null,
          isNew: true as const,
        }));
      await write(writer, stream.id, { rowStates: rows(0, 200) });
      await write(writer, stream.id, { rowStates: rows(1, 10) }, commitAt('p1'));
      await withDatabase(instance.url, async (db) => {
        expect(await db.collection('row_states').countDocuments()).toBe(210);
        expect(await db.collection('row_state_blocks').countDocuments()).toBe(0);
      });
    }));

  test('with equal hashes are told apart, however many blocks have one of them', () =>
    withInstance(mongodbFactory, async (bench) => {
      const { writer, keys } = await copied(bench);
      await withDatabase(bench.instance.url, async (db) => {
        const blocks = db.collection<{ _id: string }>('row_state_blocks');
        const first = (await blocks.findOne({}))!;
        const other = rowStatePrefix(1, 2, 0);
        const copies = Array.from({ length: 1200 }, (_, at) => ({ ...first, _id: blockId(other, 1, at) }));
        await blocks.insertMany(copies);
      });
      expect(await writer.readRowStates(keys)).toEqual(keys.map(() => 'state'));
    }));
});

describe('operators', () => {
  test('see the stored operations by definition, bucket and op (O-74)', () =>
    withInstance(mongodbFactory, async ({ storage, instance }) => {
      const { writer, stream, id } = await activate(storage);
      const { lastOp } = await write(
        writer,
        stream.id,
        {
          rows: rowsFor({ definition: id('b'), key: '["u1"]' }, 'r', 3),
          rowStates: [{ key: rowStateKey(1, 1, 1, 'r'), state: 'x', previous: null }],
        },
        commitAt('p1'),
      );
      await withDatabase(instance.url, async (db) => {
        const chunk = await db.collection('bucket_data').findOne({ _id: { $regex: `^${id('b')}\\["u1"\\]` } as never });
        expect(chunk).toMatchObject({ _id: `${id('b')}["u1"] ${lastOp.toString(16).padStart(16, '0')}`, n: 3, tn: 3 });
        expect(await db.collection('definitions').findOne({ _id: id('b') as never })).toMatchObject({
          name: 'b|0',
          source: 's1',
        });
      });
    }));

  test('are told when a newer release has migrated the storage in a way that this one cannot read (O-77)', () =>
    withInstance(mongodbFactory, async ({ storage, instance }) => {
      await withDatabase(instance.url, async (db) => {
        await db
          .collection<{ _id: string }>('migrations')
          .insertOne({ _id: '9998-compatible', appliedMs: 1, breaking: false } as never);
        await storage.assertMigrated();
        await db
          .collection<{ _id: string }>('migrations')
          .insertOne({ _id: '9999-other', appliedMs: 1, breaking: true } as never);
        await expect(storage.assertMigrated()).rejects.toThrow(/PSYNC_S1005.*9999-other/);
      });
    }));
});

async function withDatabase<T>(url: string, work: (db: ReturnType<MongoClient['db']>) => Promise<T>): Promise<T> {
  const client = new MongoClient(url);
  try {
    return await work(client.db());
  } finally {
    await client.close();
  }
}
