import { postgres } from '#test/services/postgres.ts';
import { describeSource } from '../conformance/conformance.ts';
import { openTestSource, session } from './testing.ts';

for (const version of [15, 18]) {
  describeSource(`Postgres ${version}`, async () => {
    const database = await (await postgres({ version })).createDatabase();
    const app = await session(database.url);
    await app.query('CREATE PUBLICATION powersync FOR ALL TABLES');
    return {
      open: () => openTestSource(database.url),
      async createTable(name) {
        await app.query(`CREATE TABLE ${name} (id text PRIMARY KEY, v text NOT NULL)`);
      },
      async write(writes) {
        await app.query('BEGIN');
        for (const { table, id, v } of writes) {
          if (v === null) await app.query(`DELETE FROM ${table} WHERE id = $1`, [id]);
          else
            await app.query(`INSERT INTO ${table} VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET v = excluded.v`, [
              id,
              v,
            ]);
        }
        await app.query('COMMIT');
      },
      async read(table) {
        const { rows } = await app.query<{ id: string; v: string }>(`SELECT id, v FROM ${table}`);
        return Object.fromEntries(rows.map(({ id, v }) => [id, v]));
      },
      async cutStreams() {
        await app.query(
          `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE database = current_database() AND active`,
        );
      },
      async [Symbol.asyncDispose]() {
        await app.end();
        await database.drop();
      },
    };
  });
}
