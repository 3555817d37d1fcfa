import type pg from 'pg';
import { describe, expect, test } from 'vitest';
import { postgres, startPostgres } from '#test/services/postgres.ts';
import { newCursor, openTestSource, record, session } from './testing.ts';

const signal = new AbortController().signal;
const findings = async (source: ReturnType<typeof openTestSource>): Promise<string[]> =>
  (await source.check()).findings.map(({ level, code }) => `${level} ${code}`);

describe.each([15, 18])('check, Postgres %i', (version) => {
  test('the publication (R-92, R-93, R-94)', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    const source = openTestSource(database.url);
    expect(await findings(source)).toEqual(['fatal PSYNC_S1141']);
    await app.query(`CREATE PUBLICATION powersync FOR ALL TABLES WITH (publish = 'insert, update')`);
    expect((await source.check()).findings).toMatchObject([
      { code: 'PSYNC_S1142', message: expect.stringContaining('does not publish delete, truncate') },
    ]);
    await app.query(
      `DROP PUBLICATION powersync; CREATE PUBLICATION powersync FOR ALL TABLES WITH (publish_via_partition_root = true)`,
    );
    expect(await findings(source)).toEqual(['fatal PSYNC_S1143']);
    await app.query(`ALTER PUBLICATION powersync SET (publish_via_partition_root = false)`);
    expect(await source.check()).toMatchObject({
      ok: true,
      serverVersion: expect.stringContaining(String(version)),
      findings: [],
    });
    await source.close();
  });

  test('wanted tables, each with what is wrong with it (R-11, R-90, R-115)', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    await withRole(app, database.name, 'LOGIN REPLICATION', async (username) => {
      await app.query(`
        CREATE TABLE open (id int PRIMARY KEY); CREATE TABLE guarded (id int PRIMARY KEY); CREATE TABLE bare (id int);
        CREATE TABLE secret (id int PRIMARY KEY); CREATE TABLE unseen (id int);
        ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; CREATE PUBLICATION powersync FOR TABLE open, guarded, bare, secret;
        GRANT SELECT ON open, guarded, bare TO ${username}`);
      const source = openTestSource(database.url, { connection: { username, password: 'p' } });
      source.want(({ name }) => name !== 'unseen');
      const report = await source.check({ connect: false });
      expect(report).toMatchObject({ ok: true, findings: [] });
      expect(
        Object.fromEntries(report.tables.map(({ name, errors }) => [name, errors.map(({ code }) => code)])),
      ).toEqual({
        open: [],
        guarded: ['PSYNC_S1145'],
        bare: ['PSYNC_S1150'],
        secret: ['PSYNC_S1152'],
      });
      await source.close();
    });
  });

  test('a minimal role is enough for everything (R-86)', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    await withRole(app, database.name, 'LOGIN REPLICATION BYPASSRLS', async (username) => {
      await app.query(`
        CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE PUBLICATION powersync FOR ALL TABLES;
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${username}; INSERT INTO t VALUES (1)`);
      const source = openTestSource(database.url, { connection: { username, password: 'p' } });
      expect(await source.check()).toMatchObject({ ok: true, findings: [] });
      const cursor = newCursor(source);
      const snapshot = await source.createCursor(cursor, signal);
      expect(snapshot.reports).toMatchObject([{ name: 't', errors: [] }]);
      await snapshot.close();
      const stream = record(source, cursor, snapshot.position);
      await app.query('INSERT INTO t VALUES (2)');
      await stream.passed(await source.head());
      expect(stream.events.map(({ kind }) => kind)).toContain('insert');
      await source.heartbeat();
      expect(await source.status(cursor)).toMatchObject({ slot: cursor });
      expect(await source.cursorState(cursor)).toEqual({ kind: 'ok' });
      await (await source.openSnapshot(signal)).close();
      expect((await source.schema()).map(({ name }) => name)).toEqual(['t']);
      // Its own name in pg_stat_activity.
      const { rows } = await app.query(`SELECT DISTINCT application_name FROM pg_stat_activity WHERE usename = $1`, [
        username,
      ]);
      expect(rows).toEqual([{ application_name: 'millrace' }]);
      await stream.stop();
      await source.dropCursor(cursor);
      await source.close();
    });
  });

  test('where logical messages are refused, head() still works (R-45)', async () => {
    await using server = await startPostgres({ version, durable: false });
    await using database = await server.createDatabase();
    await using app = await session(database.url);
    await withRole(app, database.name, 'LOGIN REPLICATION', async (username) => {
      await app.query(`CREATE PUBLICATION powersync FOR ALL TABLES; CREATE TABLE t (id int PRIMARY KEY)`);
      await app.query(
        `REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_catalog FROM PUBLIC; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA pg_catalog TO ${username}`,
      );
      await app.query(
        `DO $$ DECLARE f regprocedure; BEGIN FOR f IN SELECT oid FROM pg_proc WHERE proname = 'pg_logical_emit_message' LOOP EXECUTE 'REVOKE EXECUTE ON FUNCTION ' || f || ' FROM ${username}'; END LOOP; END $$`,
      );
      const source = openTestSource(database.url, { connection: { username, password: 'p' } });
      const cursor = newCursor(source);
      const snapshot = await source.createCursor(cursor, signal);
      await snapshot.close();
      const stream = record(source, cursor, snapshot.position);
      for (let n = 0; n < 3; n += 1) {
        await app.query(`CREATE TABLE unseen_${n} (id int)`);
        await stream.passed(await source.head());
      }
      await stream.stop();
      await source.dropCursor(cursor);
      await source.close();
    });
  });

  test('roles and logins that are not enough, each with its own code (R-87, R-91)', async () => {
    await using database = await (await postgres({ version })).createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    await withRole(app, database.name, 'LOGIN', async (username) => {
      const source = openTestSource(database.url, { connection: { username, password: 'p' } });
      expect(await findings(source)).toEqual(['fatal PSYNC_S1172']);
      await expect(source.createCursor(newCursor(source), signal)).rejects.toMatchObject({ code: 'PSYNC_S1172' });
      await source.close();
      const wrong = openTestSource(database.url, { connection: { username, password: 'wrong secret' } });
      const report = await wrong.check();
      expect(report).toMatchObject({ ok: false, serverVersion: null, findings: [{ code: 'PSYNC_S1171' }] });
      expect(JSON.stringify(report)).not.toContain('wrong secret');
      await wrong.close();
    });
    const nowhere = openTestSource(database.url, { connection: { hosts: [{ hostname: '127.0.0.1', port: 1 }] } });
    expect(await findings(nowhere)).toEqual(['fatal PSYNC_S1170']);
    await nowhere.close();
    const missing = openTestSource(database.url, { connection: { database: 'no_such_database' } });
    expect(await findings(missing)).toEqual(['fatal PSYNC_S1171']);
    await missing.close();
  });

  test('membership of rds_replication is accepted in place of the attribute (R-87)', async () => {
    await using server = await startPostgres({ version, durable: false });
    await using database = await server.createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES; CREATE ROLE rds_replication');
    await withRole(app, database.name, 'LOGIN', async (username) => {
      const source = openTestSource(database.url, { connection: { username, password: 'p' } });
      await app.query(`GRANT rds_replication TO ${username}`);
      // This server is no RDS: the attempt to open a walsender fails all the same.
      expect((await source.check()).findings).toMatchObject([
        { code: 'PSYNC_S1172', message: expect.stringMatching(/walsender|WAL sender/) },
      ]);
      await source.close();
    });
  });

  test('wal_level and walsenders (R-81, R-82)', async () => {
    await using server = await startPostgres({ version, durable: false, settings: { wal_level: 'replica' } });
    await using app = await session(server.url);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    const source = openTestSource(server.url);
    const report = await source.check();
    expect(report.ok).toBe(false);
    expect(report.findings).toMatchObject([
      { code: 'PSYNC_S1173', message: expect.stringContaining('wal_level of the source is replica') },
    ]);
    await source.close();
  });

  test('several hosts: the first primary is used, a standby is passed over (R-70)', async () => {
    await using standby = await startPostgres({ version, durable: false, files: { 'standby.signal': '' } });
    await using server = await startPostgres({ version, durable: false });
    await using database = await server.createDatabase();
    await using app = await session(database.url);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    const port = (url: string): number => Number(new URL(url).port);
    const host = (number: number) => ({ hostname: '127.0.0.1', port: number });
    const hosts = [host(1), host(port(standby.url)), host(port(server.url))];
    const source = openTestSource(database.url, { connection: { hosts } });
    expect(await source.check()).toMatchObject({ ok: true });
    const cursor = newCursor(source);
    const snapshot = await source.createCursor(cursor, signal);
    await snapshot.close();
    const stream = record(source, cursor, snapshot.position);
    await stream.passed(await source.head());
    await stream.stop();
    await source.dropCursor(cursor);
    await source.close();
    const only = openTestSource(standby.url, { connection: { hosts: [host(port(standby.url))] } });
    expect(await findings(only)).toEqual(['fatal PSYNC_S1176']);
    await only.close();
    const none = openTestSource(standby.url, { connection: { hosts: hosts.slice(0, 2) } });
    expect((await none.check()).findings).toMatchObject([
      { code: 'PSYNC_S1170', message: expect.stringMatching(/ECONNREFUSED.*is a standby/) },
    ]);
    await none.close();
  });
});

async function withRole(
  app: pg.Client,
  database: string,
  attributes: string,
  work: (role: string) => Promise<void>,
): Promise<void> {
  const role = `role_${database}`;
  await app.query(`CREATE ROLE ${role} ${attributes} PASSWORD 'p'`);
  try {
    await work(role);
  } finally {
    await app.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
  }
}
