/** Initial replication of a million rows of about 200 bytes into a global and a per-owner stream. `ROWS`, `STORAGE` change the work. */
import { cpuSecondsOf, figuresOf, report, startStack } from './harness.ts';

const ROWS = Number(process.env['ROWS'] ?? 1_000_000);
const OWNERS = 1000;
const storage = (process.env['STORAGE'] ?? 'mongodb') as 'mongodb' | 'postgresql';

const stack = await startStack({
  storage,
  redis: false,
  syncConfig: `config:
  edition: 3
streams:
  everything:
    auto_subscribe: true
    query: SELECT * FROM items
  mine:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner_id = auth.user_id()
`,
  schema: `CREATE TABLE items (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), owner_id text NOT NULL, title text, n int, done boolean, price numeric, created_at timestamptz, note text);
CREATE PUBLICATION powersync FOR TABLE items;`,
});
try {
  await stack.query(
    `INSERT INTO items (owner_id, title, n, done, price, created_at, note)
     SELECT 'owner-' || i % ${OWNERS}, 'title of item ' || i, i, i % 2 = 0, i / 100.0, now(), repeat(md5(i::text), 2) FROM generate_series(1, ${ROWS}) i`,
  );
  await stack.query('VACUUM ANALYZE items');
  const servers = async () => ({ mongod: await cpuSecondsOf('mongod'), postgres: await cpuSecondsOf('postgres') });
  const before = await servers();
  const started = performance.now();
  const service = await stack.instance.start('unified');
  await stack.instance.untilActive(service, 900_000);
  const seconds = (performance.now() - started) / 1000;
  const own = await figuresOf(service.pid);
  const after = await servers();
  report('initial-replication', {
    storage,
    rows: ROWS,
    /** From the start of the process until clients are served. */
    seconds,
    rowsPerSecond: ROWS / seconds,
    serviceCpuSeconds: own.cpuSeconds,
    serviceCpuMicrosecondsPerRow: (own.cpuSeconds * 1e6) / ROWS,
    servicePeakRssMb: own.peakRssMb,
    mongodCpuSeconds: after.mongod - before.mongod,
    postgresCpuSeconds: after.postgres - before.postgres,
  });
} finally {
  await stack.close();
}
