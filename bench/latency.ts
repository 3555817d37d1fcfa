/**
 * Latency with the parts as separate processes and Redis: commit in Postgres -> line at the client for 1 and 100 clients of one bucket at 20
 * transactions a second, and write checkpoint request -> completed checkpoint that carries it.
 */
import pg from 'pg';
import { createProtocolClient, type ProtocolClient } from '#test/client/protocol-client.ts';
import { figuresOf, percentile, report, startStack } from './harness.ts';

const TRANSACTIONS = Number(process.env['TRANSACTIONS'] ?? 400);
const storage = (process.env['STORAGE'] ?? 'mongodb') as 'mongodb' | 'postgresql';
const stack = await startStack({
  storage,
  redis: true,
  syncConfig: `config:
  edition: 3
streams:
  everything:
    auto_subscribe: true
    query: SELECT * FROM items
`,
  schema: `CREATE TABLE items (id int PRIMARY KEY, n int NOT NULL, note text);
CREATE PUBLICATION powersync FOR TABLE items;
INSERT INTO items SELECT i, 0, 'row ' || i FROM generate_series(1, 10) i;`,
});

async function openClients(count: number, endpoint: string): Promise<ProtocolClient[]> {
  const clients: ProtocolClient[] = [];
  for (let index = 0; index < count; index++) {
    const client = createProtocolClient({
      endpoint,
      token: await stack.instance.token('u1'),
      clientId: `client-${index}`,
    });
    await client.connect();
    await client.until(() => client.counts.completes > 0, 'the first checkpoint');
    clients.push(client);
  }
  return clients;
}

/** Milliseconds from the return of COMMIT to the arrival of the change at each client. */
async function commitToLine(clients: readonly ProtocolClient[], writer: pg.Client): Promise<number[]> {
  const latencies: number[] = [];
  for (let turn = 0; turn < TRANSACTIONS; turn++) {
    const next = performance.now() + 50;
    const before = clients.map((client) => client.counts.completes);
    await writer.query('UPDATE items SET n = n + 1 WHERE id = $1', [1 + (turn % 10)]);
    const committed = performance.now();
    const arrivals = clients.map(async (client, index) => {
      await client.until(() => client.counts.completes > before[index]!, 'the change');
      latencies.push(Math.max(0, performance.now() - committed));
    });
    await Promise.all(arrivals);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
  }
  return latencies;
}

try {
  await stack.instance.start('sync');
  const api = await stack.instance.start('api');
  await stack.instance.untilActive(api);
  const writer = new pg.Client({ connectionString: stack.sourceUrl });
  await writer.connect();

  for (const count of [1, 100]) {
    const clients = await openClients(count, api.endpoint);
    // As in a service that runs for a while: compiled code, warm connections.
    await commitToLine(clients, writer);
    const before = await figuresOf(api.pid);
    const latencies = await commitToLine(clients, writer);
    const after = await figuresOf(api.pid);
    report('commit-to-line', {
      storage,
      clients: count,
      transactions: TRANSACTIONS,
      p50Ms: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      maxMs: percentile(latencies, 1),
      workerCpuMsPerCommit: ((after.cpuSeconds - before.cpuSeconds) * 1000) / TRANSACTIONS,
    });
    for (const client of clients) client.disconnect();
  }

  const [client] = (await openClients(1, api.endpoint)) as [ProtocolClient];
  let latencies: number[] = [];
  for (let turn = 0; turn < 2 * TRANSACTIONS; turn++) {
    if (turn === TRANSACTIONS) latencies = [];
    await writer.query('UPDATE items SET n = n + 1 WHERE id = 1');
    const asked = performance.now();
    const number = await client.requestWriteCheckpoint();
    await client.until(
      () => client.writeCheckpoint !== null && client.writeCheckpoint >= number,
      'the write checkpoint',
    );
    latencies.push(performance.now() - asked);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  report('write-checkpoint', {
    storage,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    maxMs: percentile(latencies, 1),
  });
  client.disconnect();
  await writer.end();
} finally {
  await stack.close();
}
