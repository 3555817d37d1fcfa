import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, test } from 'vitest';
import { mysql, startMysql } from './mysql.ts';

// May have to download it.
beforeAll(() => mysql());

async function rows(url: string, text: string): Promise<RowDataPacket[]> {
  const connection = await createConnection(url);
  try {
    const [found] = await connection.query<RowDataPacket[]>(text);
    return found;
  } finally {
    await connection.end();
  }
}

describe('the shared MySQL', () => {
  test('has what a source needs (R-180)', async () => {
    const server = await mysql();
    expect((await mysql()).url).toBe(server.url);
    const names = ['log_bin', 'gtid_mode', 'enforce_gtid_consistency', 'binlog_format', 'binlog_row_image'];
    const found = await rows(server.url, `SHOW VARIABLES WHERE Variable_name IN ('${names.join("','")}')`);
    expect(Object.fromEntries(found.map((row) => [row['Variable_name'], row['Value']]))).toEqual({
      log_bin: 'ON',
      gtid_mode: 'ON',
      enforce_gtid_consistency: 'ON',
      binlog_format: 'ROW',
      binlog_row_image: 'FULL',
    });
  });

  test('gives each test a database of its own, and drops it', async () => {
    const server = await mysql();
    const one = await server.createDatabase();
    await using two = await server.createDatabase();
    expect(one.name).not.toBe(two.name);
    expect(await rows(one.url, 'SELECT DATABASE() AS name')).toEqual([{ name: one.name }]);
    await one.drop();
    expect(await rows(server.url, `SHOW DATABASES LIKE '${one.name}'`)).toEqual([]);
  });
});

test('a private MySQL keeps port and committed rows over kill and start, and takes arguments', async () => {
  await using server = await startMysql({ arguments: ['--binlog-row-image=MINIMAL'] });
  const database = await server.createDatabase();
  await rows(database.url, 'CREATE TABLE t (id int PRIMARY KEY)');
  await rows(database.url, 'INSERT INTO t VALUES (1)');
  await server.kill();
  await expect(rows(server.url, 'SELECT 1')).rejects.toThrow(/ECONNREFUSED/);
  await server.start();
  expect(await rows(database.url, 'SELECT id, @@binlog_row_image AS image FROM t')).toEqual([
    { id: 1, image: 'MINIMAL' },
  ]);
});
