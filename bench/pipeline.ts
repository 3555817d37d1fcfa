/** The replicator's own cost: a table copied and evaluated into a storage that keeps nothing. Rows/s and CPU without a storage server. */
import pg from 'pg';
import { realClock } from '#core/platform/clock.ts';
import { parseServiceConfig } from '#core/platform/config/load.ts';
import type { FlushBatch, ReplicationStream, SourceWriter } from '#core/bucket-storage/contract.ts';
import { startPostgres } from '#test/services/postgres.ts';
import { compilerFor } from '../cli/deploy.ts';
import { definitionSpecs } from '#core/sync-config/plan.ts';
import { openSource } from '#replicator/sources/registry.ts';
import { createStreamRunner } from '#replicator/stream-runner.ts';
import { wantedTables } from '#replicator/wanted-tables.ts';
import { report } from './harness.ts';

const ROWS = Number(process.env['ROWS'] ?? 300_000);
const postgres = await startPostgres();
const database = await postgres.createDatabase();
const client = new pg.Client({ connectionString: database.url });
await client.connect();
await client.query(`CREATE TABLE items (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), owner_id text NOT NULL, title text, n int, done boolean, price numeric, created_at timestamptz, note text);
CREATE PUBLICATION powersync FOR TABLE items;`);
await client.query(
  `INSERT INTO items (owner_id, title, n, done, price, created_at, note) SELECT 'owner-' || i % 1000, 'title of item ' || i, i, i % 2 = 0, i / 100.0, now(), repeat(md5(i::text), 2) FROM generate_series(1, ${ROWS}) i`,
);
await client.query('VACUUM ANALYZE items');

const yaml = `replication: {connections: [{type: postgresql, uri: "${database.url}", sslmode: disable}]}
storage: {type: postgresql, uri: "${database.url}", sslmode: disable}
client_auth: {audience: [x], jwks: {keys: []}}`;
const parsed = parseServiceConfig(yaml, { environment: {}, folder: '/' });
if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
const connection = parsed.config.replication.connections[0]!;
const text = `config: {edition: 3}
streams:
  everything: {auto_subscribe: true, query: SELECT * FROM items}
  mine: {auto_subscribe: true, query: SELECT * FROM items WHERE owner_id = auth.user_id()}`;
const { plan, diagnostics } = compilerFor([connection])(text);
if (!plan) throw new Error(JSON.stringify(diagnostics));

let op = 0;
let bytes = 0;
let states = 0;
const writer = {
  source: connection.tag,
  epoch: 1,
  registerTable: async () => 1,
  setSlot: async () => undefined,
  readRowStates: async (keys: readonly string[]) => keys.map(() => null),
  prepare: () => undefined,
  readTotals: async (buckets: readonly object[]) => buckets.map(() => ({ lastOp: 0, count: 0, checksum: 0 })),
  keepalive: async () => undefined,
  async flush(batch: FlushBatch) {
    const firstOp = op + 1;
    op += batch.operations;
    for (const chunk of batch.build(firstOp).chunks) bytes += chunk.operations.length;
    states += batch.rowStates.length;
    return { firstOp, lastOp: op, notice: null };
  },
} as unknown as SourceWriter;
const definitions = definitionSpecs(plan).map((spec, index) => ({ ...spec, id: index + 1, since: 1 }));
const stream: ReplicationStream = {
  id: 1,
  source: connection.tag,
  version: 1,
  slot: '',
  position: null,
  progress: null,
  definitions: definitions.map((item) => item.id),
  committedOp: 0,
  lastCommitMs: null,
};
const log = { debug() {}, info() {}, warn: console.warn, error: console.error };
const source = openSource(connection, { log, snapshotConnections: 2, valueOptions: () => plan.valueOptions });
source.want(wantedTables(plan, connection.tag));
const stop = new AbortController();
const runner = createStreamRunner({
  source,
  writer,
  stream,
  version: {
    version: 1,
    state: 'processing',
    content: text,
    plan: '',
    label: null,
    definitions,
    streams: [stream],
    error: null,
    createdMs: 0,
    activatedMs: null,
  },
  plan,
  now: () => realClock.now(),
  log,
  signal: stop.signal,
  flushed() {},
  applied() {},
  copied() {},
  published() {},
});
const cpu = process.cpuUsage();
const started = performance.now();
const running = runner.run();
while (!runner.ready) await new Promise((resolve) => setTimeout(resolve, 10));
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
report('pipeline-copy', {
  rows: ROWS,
  rowsPerSecond: ROWS / seconds,
  cpuMicrosecondsPerRow: (user + system) / ROWS,
  operations: op,
  bytes,
  states,
  rssMb: process.memoryUsage.rss() / 1048576,
});
stop.abort();
await running.catch(() => undefined);
await source.close();
await client.end();
await postgres.close();
process.exit();
