/**
 * Streaming: transactions of `PER_TX` row changes (inserts and updates) for `SECONDS`, from `WRITERS` connections, at `RATE` row changes a second
 * (0: as fast as the source takes them). Reports what the replicator kept up with, and how far behind it was.
 */
import pg from 'pg';
import { figuresOf, percentile, report, startStack, until } from './harness.ts';

const PER_TX = Number(process.env['PER_TX'] ?? 100);
const SECONDS = Number(process.env['SECONDS'] ?? 20);
const WRITERS = Number(process.env['WRITERS'] ?? 4);
const RATE = Number(process.env['RATE'] ?? 0);
const SEED = 50_000;
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
  schema: `CREATE TABLE items (id int PRIMARY KEY, owner_id text NOT NULL, title text, n int, note text);
CREATE PUBLICATION powersync FOR TABLE items;
CREATE SEQUENCE ids START ${SEED + 1};
INSERT INTO items SELECT i, 'owner-' || i % 1000, 'title ' || i, i, repeat(md5(i::text), 3) FROM generate_series(1, ${SEED}) i;
CREATE PROCEDURE write_one_by_one(transactions int) LANGUAGE plpgsql AS $$
DECLARE row_id int;
BEGIN
  FOR turn IN 1 .. transactions LOOP
    IF turn % 2 = 0 THEN
      row_id := 1 + floor(random() * ${SEED});
      UPDATE items SET n = n + 1 WHERE id = row_id;
    ELSE
      INSERT INTO items SELECT nextval('ids'), 'owner-' || floor(random() * 1000), 'new', 0, repeat('x', 96);
    END IF;
    COMMIT;
  END LOOP;
END $$;`,
});

/** Transactions of one call. One by one they are made inside the server: a client in between would be the bottleneck. */
const BATCH = PER_TX === 1 ? 50 : 1;
/** Half inserts, half updates of random rows. */
const half = Math.max(1, Math.floor(PER_TX / 2));
const statement =
  PER_TX === 1
    ? `CALL write_one_by_one(${BATCH})`
    : `WITH a AS (INSERT INTO items SELECT nextval('ids'), 'owner-' || i % 1000, 'new', i, repeat('x', 96) FROM generate_series(1, ${half}) i)
       UPDATE items SET n = n + 1 WHERE id IN (SELECT 1 + floor(random() * ${SEED})::int FROM generate_series(1, ${PER_TX - half}))`;

async function write(deadline: number, startedAt: number, count: (transactions: number) => void): Promise<void> {
  const client = new pg.Client({ connectionString: stack.sourceUrl });
  await client.connect();
  // The source's disk is not what is measured.
  await client.query('SET synchronous_commit = off');
  let done = 0;
  while (performance.now() < deadline) {
    if (RATE > 0) {
      const due = (done * PER_TX * WRITERS * 1000) / RATE;
      const early = due - (performance.now() - startedAt);
      if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
    }
    await client.query(statement);
    done += BATCH;
    count(BATCH);
  }
  await client.end();
}

try {
  const service = await stack.instance.start('unified');
  await stack.instance.untilActive(service, 300_000);
  const before = await figuresOf(service.pid);
  const startedAt = performance.now();
  let transactions = 0;
  const lags: number[] = [];
  const writers = Array.from({ length: WRITERS }, () =>
    write(startedAt + SECONDS * 1000, startedAt, (count) => (transactions += count)),
  );
  /** Bytes between what is confirmed and the head, sampled; turned into seconds by the rate of WAL. */
  const lagQuery = `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::float8 AS behind, pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS head FROM pg_replication_slots WHERE active`;
  const first = (await stack.query(lagQuery)).rows[0] as { head: number };
  const sampler = setInterval(() => {
    void stack.query(lagQuery).then(({ rows }) => {
      const row = rows[0] as { behind: number; head: number } | undefined;
      const rate = row ? (row.head - first.head) / ((performance.now() - startedAt) / 1000) : 0;
      if (row && rate > 0) lags.push(row.behind / rate);
    });
  }, 500);
  await Promise.all(writers);
  clearInterval(sampler);
  const wroteSeconds = (performance.now() - startedAt) / 1000;
  const { rows } = await stack.query('SELECT pg_current_wal_lsn() AS lsn');
  const head = (rows[0] as { lsn: string }).lsn;
  await until(
    'the replicator to catch up',
    async () =>
      (
        await stack.query('SELECT 1 FROM pg_replication_slots WHERE active AND confirmed_flush_lsn >= $1::pg_lsn', [
          head,
        ])
      ).rowCount! > 0,
    300_000,
  );
  const seconds = (performance.now() - startedAt) / 1000;
  const after = await figuresOf(service.pid);
  const changes = transactions * PER_TX;
  report('streaming', {
    storage,
    perTransaction: PER_TX,
    transactions,
    wroteChangesPerSecond: changes / wroteSeconds,
    replicatedChangesPerSecond: changes / seconds,
    replicatedTransactionsPerSecond: transactions / seconds,
    caughtUpAfterSeconds: seconds - wroteSeconds,
    lagSecondsP50: percentile(lags, 0.5),
    lagSecondsMax: Math.max(...lags),
    serviceCpuSeconds: after.cpuSeconds - before.cpuSeconds,
    serviceCpuMicrosecondsPerChange: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / changes,
    servicePeakRssMb: after.peakRssMb,
  });
} finally {
  await stack.close();
}
