/** `npm start` as somebody meets it who just cloned the repository (O-301): one command, data that survive, a clean end. */
import { createServer } from 'node:http';
import { readFile, rename, writeFile } from 'node:fs/promises';
import pg from 'pg';
import { afterEach, describe, expect, test } from 'vitest';
import { startSdkClient, type SdkClient } from '../client/sdk-client.ts';
import { createDevCheckout, type DevCheckout, type DevRun } from '../instance/dev-checkout.ts';
import { until } from '../instance/instance.ts';

const TABLES = {
  lists: { name: 'text' },
  todos: { list_id: 'text', description: 'text', completed: 'integer' },
} as const;
const DESCRIPTIONS = 'SELECT description FROM todos ORDER BY description';
/** There is none on this machine; nobody and its group have these numbers on Debian and most others. */
const ORDINARY = { uid: 65_534, gid: 65_534 };

let checkout: DevCheckout;
const clients: SdkClient[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await checkout.close();
});

async function sql(run: DevRun, text: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: await run.sourceUrl() });
  await client.connect();
  try {
    return (await client.query(text)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

async function connected(run: DevRun, user: string): Promise<SdkClient> {
  const client = await startSdkClient(TABLES);
  clients.push(client);
  await client.connect({ endpoint: run.url, token: await run.token(user), upload: `${run.url}/demo/upload` });
  await client.untilSynced();
  return client;
}

const has =
  (...wanted: string[]) =>
  (rows: Record<string, unknown>[]): boolean =>
    JSON.stringify(rows.map((row) => row['description'])) === JSON.stringify(wanted);

async function untilAllGone(run: DevRun): Promise<void> {
  let alive: string[] = [];
  const gone = async (): Promise<boolean> => (alive = await run.alive()).length === 0;
  await until('all processes to be gone', gone, 15_000, () => alive.join('\n'));
}

const users = [
  { name: 'whoever runs the tests', user: undefined },
  { name: 'an ordinary user', user: ORDINARY },
];
describe.each(users)('as $name', ({ user }) => {
  test.skipIf(user !== undefined && process.getuid?.() !== 0)(
    'a client syncs and writes; the data survive an orderly end and a kill -9',
    async () => {
      checkout = await createDevCheckout(user);
      const first = await checkout.start();
      await first.untilReady();
      const [page, script] = await Promise.all([fetch(`${first.url}/demo`), fetch(`${first.url}/demo/app.js`)]);
      expect([page.status, script.status]).toEqual([200, 200]);
      const alice = await connected(first, 'alice');
      await alice.untilQuery(DESCRIPTIONS, has('Apples', 'Bread'));
      await alice.execute(
        `INSERT INTO todos (id, list_id, description, completed) VALUES ('t-milk', 'groceries', 'Milk', 0)`,
      );
      await until(
        'the row in Postgres',
        async () => (await sql(first, `SELECT FROM todos WHERE id = 't-milk'`)).length === 1,
      );
      expect(await first.signal('SIGTERM', 'npm')).toBe(0);
      // npm ends after everything it started.
      expect(await first.alive()).toEqual([]);

      const second = await checkout.start();
      await second.untilReady();
      const bob = await connected(second, 'bob');
      await bob.untilQuery(DESCRIPTIONS, has('Apples', 'Bread', 'Milk'));
      await sql(second, `UPDATE todos SET description = 'Soy milk' WHERE id = 't-milk'`);
      await bob.untilQuery(DESCRIPTIONS, has('Apples', 'Bread', 'Soy milk'));
      await second.signal('SIGKILL', 'group');
      await untilAllGone(second);

      const third = await checkout.start();
      await third.untilReady();
      const again = await connected(third, 'bob');
      await again.untilQuery(DESCRIPTIONS, has('Apples', 'Bread', 'Soy milk'));
      expect(third.output()).not.toMatch(/ERROR|WARN/);
    },
  );
});

test('Ctrl-C, which a terminal sends to every process of the group, and npm once more', async () => {
  checkout = await createDevCheckout();
  const run = await checkout.start();
  await run.untilReady();
  await connected(run, 'alice');
  expect(await run.signal('SIGINT', 'group')).toBe(0);
  expect(await run.alive()).toEqual([]);
  expect(run.output()).toContain('Stopping …');
  expect(run.output()).not.toMatch(/ERROR|WARN|npm error/);
});

test('Ctrl-C while it is still starting', async () => {
  checkout = await createDevCheckout();
  const run = await checkout.start();
  await run.untilSaid('Starting an embedded Postgres', 30_000);
  await run.signal('SIGINT', 'group');
  await untilAllGone(run);
  const second = await checkout.start();
  await second.untilReady();
});

test('when npm is killed nothing stays behind', async () => {
  checkout = await createDevCheckout();
  const run = await checkout.start();
  await run.untilReady();
  await run.signal('SIGKILL', 'npm');
  await untilAllGone(run);
});

test('a port in use, and a second start in the same checkout, are told in one line', async () => {
  checkout = await createDevCheckout();
  const other = createServer();
  const port = await new Promise<number>((resolve) =>
    other.listen(0, () => resolve((other.address() as { port: number }).port)),
  );
  const refused = await checkout.start({ port });
  await until('npm start to give up', () => refused.npm.exitCode !== null);
  expect(refused.npm.exitCode).toBe(1);
  expect(refused.output()).toContain(
    `[PSYNC_S0120] Port ${port} is in use. Stop the program that has it, or choose another: npm start -- -p ${port + 1}\n`,
  );
  expect(refused.output()).not.toMatch(/\n\s+at /);
  other.close();

  const first = await checkout.start();
  await first.untilReady();
  const second = await checkout.start();
  await until('the second to give up', () => second.npm.exitCode !== null);
  expect(second.output()).toContain(`millrace dev already runs in this checkout (http://localhost:${first.port}/demo`);
  await connected(first, 'alice');
});

test('saving the sync config deploys it; an invalid one is refused with its line, and the one before goes on', async () => {
  checkout = await createDevCheckout();
  const run = await checkout.start();
  await run.untilReady();
  const alice = await connected(run, 'alice');
  await alice.untilQuery(DESCRIPTIONS, has('Apples', 'Bread'));

  const original = await readFile(checkout.syncConfigFile, 'utf8');
  await checkout.editSyncConfig((text) => text.replace('SELECT * FROM todos', 'SELECT * FORM todos'));
  await run.untilSaid(/sync-config.yaml was not deployed; the version before it goes on[^]*line 11, column \d+/);
  await sql(run, `INSERT INTO todos (list_id, description) VALUES ('groceries', 'Cheese')`);
  await alice.untilQuery(DESCRIPTIONS, has('Apples', 'Bread', 'Cheese'));

  await checkout.editSyncConfig(() => original.replace('FROM todos WHERE', 'FROM todos WHERE completed = false AND'));
  await run.untilSaid(/sync-config.yaml: version \d+ is deployed/);
  await sql(run, `UPDATE todos SET completed = true WHERE description = 'Bread'`);
  await alice.untilQuery(DESCRIPTIONS, has('Apples', 'Cheese'));

  // As editors do: another file takes its place.
  await writeFile(`${checkout.syncConfigFile}.new`, original);
  await rename(`${checkout.syncConfigFile}.new`, checkout.syncConfigFile);
  await alice.untilQuery(DESCRIPTIONS, has('Apples', 'Bread', 'Cheese'));
});

test('an invalid sync config at the very first start: it waits for a valid one', async () => {
  checkout = await createDevCheckout();
  const original = await readFile(checkout.syncConfigFile, 'utf8');
  await writeFile(checkout.syncConfigFile, original.replace('streams:', 'stream:'));
  const run = await checkout.start();
  await run.untilSaid(/sync-config.yaml was not deployed\. [^]*line 4/, 60_000);
  await writeFile(checkout.syncConfigFile, original);
  await run.untilReady();
  const alice = await connected(run, 'alice');
  await alice.untilQuery(DESCRIPTIONS, has('Apples', 'Bread'));
});
