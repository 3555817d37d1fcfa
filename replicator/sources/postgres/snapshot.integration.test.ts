import { expect, test } from 'vitest';
import { postgres } from '#test/services/postgres.ts';
import { newCursor, openTestSource, session } from './testing.ts';

const signal = new AbortController().signal;

test('a copy that gets no data fails after snapshot_socket_timeout; one that we hold back does not (R-131)', async () => {
  await using database = await (await postgres()).createDatabase();
  await using app = await session(database.url);
  await app.query(`CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION powersync FOR ALL TABLES;
    INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 5000) n`);
  const source = openTestSource(database.url, { connection: { snapshotSocketTimeoutMs: 400 } });
  const cursor = newCursor(source);
  const snapshot = await source.createCursor(cursor, signal);
  const parts = snapshot.tables.flatMap(({ table, ranges }) => ranges.map((range) => ({ table, range })));
  let rowsCopied = 0;
  const copying = snapshot.copy(
    parts,
    {
      async rows(_part, rows) {
        rowsCopied += rows.length;
        await new Promise((resolve) => setTimeout(resolve, 600));
      },
      done: () => undefined,
    },
    signal,
  );
  await copying;
  expect(rowsCopied).toBe(5000);

  await app.query('BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
  const waiting = snapshot.copy(parts, { rows: () => undefined, done: () => undefined }, signal);
  await expect(waiting).rejects.toMatchObject({
    code: 'PSYNC_S1121',
    message: expect.stringContaining('snapshot_socket_timeout'),
  });
  await app.query('COMMIT');
  await snapshot.close();
  await source.dropCursor(cursor);
  await source.close();
});
