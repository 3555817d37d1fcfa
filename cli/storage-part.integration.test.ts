import pg from 'pg';
import { expect, test } from 'vitest';
import { realClock } from '#core/platform/clock.ts';
import { parseServiceConfig } from '#core/platform/config/load.ts';
import { SILENT_LOG } from '#core/platform/log.ts';
import { postgres } from '#test/services/postgres.ts';
import { openStorage } from './instance.ts';
import { storagePart } from './storage-part.ts';

/** What the migration to compaction made. */
const AS_BEFORE_COMPACTION = `
DROP TABLE powersync.compacted_buckets, powersync.compaction_runs;
ALTER TABLE powersync.bucket_data DROP COLUMN needs_op;
DELETE FROM powersync.millrace_migrations WHERE name = '4-compaction'`;

test('the storage of another instance is refused before its schema is touched; its own is migrated (O-69, O-78)', async () => {
  await using database = await (await postgres()).createDatabase();
  const text = `storage: { type: postgresql, uri: "${database.url}", sslmode: disable }
client_auth: { jwks: { keys: [] }, audience: [x] }
`;
  const parsed = parseServiceConfig(text, { environment: {}, folder: '/', syncConfigContent: '', needsSource: false });
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  const { config } = parsed;
  const start = async (instance: string): Promise<void> => {
    const part = storagePart({ config, instance, log: SILENT_LOG, clock: realClock, opened: () => undefined });
    await part.start({ signal: new AbortController().signal, fail: (error) => expect.unreachable(String(error)) });
    await part.stop?.();
  };
  const storage = await openStorage(config, SILENT_LOG, realClock);
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    await start('one');
    await client.query(AS_BEFORE_COMPACTION);
    await expect(start('two')).rejects.toMatchObject({ code: 'PSYNC_S0106' });
    await expect(storage.assertMigrated()).rejects.toMatchObject({ code: 'PSYNC_S1005' });
    await start('one');
    await storage.assertMigrated();
  } finally {
    await client.end();
    await storage.close();
  }
});
