import { MongoClient } from 'mongodb';
import { describe, expect, test } from 'vitest';
import { mongodb, startMongodb } from './mongodb.ts';

async function withClient<T>(url: string, work: (client: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(url);
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

describe('the shared MongoDB', () => {
  test('has transactions and change streams with post-images', async () => {
    const server = await mongodb();
    expect((await mongodb()).url).toBe(server.url);
    await using database = await server.createDatabase();
    await withClient(database.url, async (client) => {
      const rows = await client.db().createCollection<{ _id: number }>('rows', {
        changeStreamPreAndPostImages: { enabled: true },
      });
      const changes = rows.watch([], { fullDocument: 'required' });
      // opens it: what happens before that is not in it
      expect(await changes.tryNext()).toBeNull();
      const first = changes.next();
      await client.withSession((session) =>
        session.withTransaction(async () => {
          await rows.insertOne({ _id: 1 }, { session });
          await rows.insertOne({ _id: 2 }, { session });
        }),
      );
      expect(await first).toMatchObject({ operationType: 'insert', documentKey: { _id: 1 } });
      await changes.close();
    });
  });

  test('gives each test a database name of its own, and drops it', async () => {
    const server = await mongodb();
    const one = await server.createDatabase();
    const two = await server.createDatabase();
    expect(one.name).not.toBe(two.name);
    await withClient(one.url, async (client) => {
      expect(client.db().databaseName).toBe(one.name);
      await client.db().collection('rows').insertOne({});
      const names = async () => (await client.db().admin().listDatabases()).databases.map((each) => each.name);
      expect(await names()).toContain(one.name);
      await one.drop();
      expect(await names()).not.toContain(one.name);
    });
  });
});

describe('a private MongoDB', () => {
  test.each(['stop', 'kill'] as const)('keeps port and acknowledged writes over %s and start', async (end) => {
    await using server = await startMongodb({ parameters: { transactionLifetimeLimitSeconds: '7' } });
    const database = await server.createDatabase();
    const insert = (client: MongoClient) =>
      client
        .db()
        .collection('rows')
        .insertOne({ x: 1 }, { writeConcern: { w: 'majority', j: true } });
    await withClient(database.url, insert);
    await server[end]();
    await expect(
      withClient(`${server.url}&serverSelectionTimeoutMS=300`, (client) => client.db().command({ ping: 1 })),
    ).rejects.toThrow(/ECONNREFUSED/);
    await server.start();
    // At once: start() resolves when writes are possible.
    await withClient(database.url, async (client) => {
      await insert(client);
      expect(await client.db().collection('rows').countDocuments()).toBe(2);
      const parameters = await client.db('admin').command({ getParameter: 1, transactionLifetimeLimitSeconds: 1 });
      expect(parameters['transactionLifetimeLimitSeconds']).toBe(7);
    });
  });
});
