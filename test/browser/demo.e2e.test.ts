/**
 * The demo page in a real browser: the public web SDK, unmodified, with its workers, WebAssembly and browser storage, against `npm start`.
 * With MILLRACE_TEST_SCREENSHOTS=<folder> it leaves pictures there.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { chromium as playwright, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from 'vitest';
import { createDevCheckout, type DevCheckout, type DevRun } from '../instance/dev-checkout.ts';
import { until } from '../instance/instance.ts';
import { chromium } from '../services/chromium.ts';
import { startWatchingProxy } from './watching-proxy.ts';

/** What a person would call at once. */
const LIVE_MS = 10_000;

let checkout: DevCheckout;
let run: DevRun;
let browser: Browser;
let source: pg.Pool;
const pages: Page[] = [];
const complaints: string[] = [];

beforeAll(async () => {
  checkout = await createDevCheckout();
  run = await checkout.start();
  await run.untilReady();
  source = new pg.Pool({ connectionString: await run.sourceUrl(), max: 2 });
  // Stopped before the pool is; what is idle then is lost.
  source.on('error', () => undefined);
  browser = await playwright.launch(await chromium());
});
afterAll(async () => {
  await browser?.close();
  await source?.end();
  await checkout?.close();
});
beforeEach(async () => {
  await source.query('DELETE FROM todos');
  await source.query(
    `INSERT INTO todos (id, list_id, description, created_at) VALUES ('t-apples', 'groceries', 'Apples', '2026-01-01'), ('t-bread', 'groceries', 'Bread', '2026-01-02')`,
  );
});
afterEach(async () => {
  await Promise.all(pages.splice(0).map((page) => page.context().close()));
  const heard = complaints.splice(0);
  if (heard.length > 0) throw new Error(`The page complained: ${heard.join('; ')}`);
});

/** A browser profile of its own, as on another machine. */
async function open(user: string, { url = run.url, more = '' } = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 900, height: 800 } });
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(`${user}: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${user}: ${message.text()}`);
  });
  pages.push(page);
  await page.goto(`${url}/demo?user=${user}${more}`);
  await page.locator('#status[data-state=connected]').waitFor({ timeout: 60_000 });
  return page;
}

const shown = (page: Page): Promise<string[]> =>
  page
    .locator('#todos li')
    .evaluateAll((items) =>
      items.map((item) => `${item.className === 'done' ? '✓ ' : ''}${item.querySelector('span')!.textContent}`),
    );

async function untilShown(page: Page, ...wanted: string[]): Promise<void> {
  let last: string[] = [];
  await until(
    `the page to show ${wanted.join(', ')}`,
    async () => JSON.stringify((last = await shown(page))) === JSON.stringify(wanted),
    LIVE_MS,
    () => `It shows ${last.join(', ')}`,
  );
}

async function add(page: Page, text: string): Promise<void> {
  await page.getByPlaceholder('Add an item').fill(text);
  await page.getByRole('button', { name: 'Add', exact: true }).click();
}

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['MILLRACE_TEST_SCREENSHOTS'];
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

test('what one user adds, ticks and removes, the other sees at once', async () => {
  const [alice, bob] = await Promise.all([open('alice'), open('bob')]);
  await Promise.all([untilShown(alice, 'Apples', 'Bread'), untilShown(bob, 'Apples', 'Bread')]);
  expect(await bob.locator('h1').textContent()).toBe('Groceries');

  await add(alice, 'Cheese & <b>wine</b>');
  await untilShown(bob, 'Apples', 'Bread', 'Cheese & <b>wine</b>');
  await bob.getByRole('checkbox', { name: 'Bread' }).check();
  await untilShown(alice, 'Apples', '✓ Bread', 'Cheese & <b>wine</b>');
  await picture(alice, 'ticked');
  await alice.getByRole('button', { name: 'Remove Apples' }).click();
  await untilShown(bob, '✓ Bread', 'Cheese & <b>wine</b>');
  const { rows } = await source.query('SELECT description, completed FROM todos ORDER BY created_at');
  expect(rows).toEqual([
    { description: 'Bread', completed: true },
    { description: 'Cheese & <b>wine</b>', completed: false },
  ]);
});

test('a second tab of the same user shares the database of the first', async () => {
  const first = await open('alice');
  await untilShown(first, 'Apples', 'Bread');
  const second = await first.context().newPage();
  await second.goto(`${run.url}/demo?user=alice`);
  await untilShown(second, 'Apples', 'Bread');
  await add(second, 'Dates');
  await untilShown(first, 'Apples', 'Bread', 'Dates');
});

test('offline edits wait, and are uploaded on going online', async () => {
  const [alice, bob] = await Promise.all([open('alice'), open('bob')]);
  await Promise.all([untilShown(alice, 'Apples', 'Bread'), untilShown(bob, 'Apples', 'Bread')]);
  await alice.getByLabel('Offline').check();
  await alice.locator('#status[data-state=offline]').waitFor();
  await add(alice, 'Milk');
  await alice.getByRole('button', { name: 'Remove Bread' }).click();
  await untilShown(alice, 'Apples', 'Milk');
  await alice.getByText('2 changes waiting').waitFor();
  await picture(alice, 'offline');

  // Meanwhile elsewhere; alice must not see it yet, nor lose it later.
  await bob.getByRole('checkbox', { name: 'Apples' }).check();
  await until(
    'the tick in Postgres',
    async () => (await source.query(`SELECT FROM todos WHERE completed`)).rowCount === 1,
    LIVE_MS,
  );
  expect(await shown(alice)).toEqual(['Apples', 'Milk']);
  expect(await shown(bob)).toEqual(['✓ Apples', 'Bread']);

  await alice.getByLabel('Offline').uncheck();
  await Promise.all([untilShown(alice, '✓ Apples', 'Milk'), untilShown(bob, '✓ Apples', 'Milk')]);
  await until(
    'no change to wait',
    async () => !(await alice.locator('#status').textContent())!.includes('waiting'),
    LIVE_MS,
  );
});

test('the network fails under the page: it goes on working, and catches up', async () => {
  const alice = await open('alice');
  await untilShown(alice, 'Apples', 'Bread');
  await alice.context().setOffline(true);
  await add(alice, 'Milk');
  await untilShown(alice, 'Apples', 'Bread', 'Milk');
  await source.query(`UPDATE todos SET description = 'Pears' WHERE id = 't-apples'`);
  await alice.context().setOffline(false);
  await untilShown(alice, 'Pears', 'Bread', 'Milk');
  await until(
    'the row in Postgres',
    async () => (await source.query(`SELECT FROM todos WHERE description = 'Milk'`)).rowCount === 1,
    LIVE_MS,
  );
  // The browser itself reports requests that it could not make.
  complaints.splice(0);
});

test('over WebSocket: rows arrive and change, edits are uploaded, and a cut connection comes back (S-508, S-593)', async () => {
  const proxy = await startWatchingProxy(run.port);
  try {
    const alice = await open('alice', { url: proxy.url, more: '&connection=websocket' });
    await untilShown(alice, 'Apples', 'Bread');
    const bob = await open('bob', { url: proxy.url });
    expect(proxy.streams).toEqual({ websocket: 1, http: 1 });

    await source.query(`UPDATE todos SET description = 'Pears' WHERE id = 't-apples'`);
    await untilShown(alice, 'Pears', 'Bread');
    await add(alice, 'Milk');
    await untilShown(bob, 'Pears', 'Bread', 'Milk');
    await bob.getByRole('checkbox', { name: 'Bread' }).check();
    await untilShown(alice, 'Pears', '✓ Bread', 'Milk');
    await until(
      'no change to wait',
      async () => !(await alice.locator('#status').textContent())!.includes('waiting'),
      LIVE_MS,
    );
    await source.query(
      `INSERT INTO todos (list_id, description, created_at) SELECT 'groceries', 'Item ' || i, '2026-02-01'::timestamptz + i * interval '1 s' FROM generate_series(1, 1000) i`,
    );
    await until('1003 items', async () => (await alice.locator('#todos li').count()) === 1003, LIVE_MS);

    proxy.cut();
    await source.query(`DELETE FROM todos WHERE description LIKE 'Item%'`);
    // The SDK waits 5 s before it tries again.
    await until('another connection', () => Promise.resolve(proxy.streams.websocket > 1), 30_000);
    await untilShown(alice, 'Pears', '✓ Bread', 'Milk');
    // The browser itself reports connections that were cut.
    complaints.splice(0);
  } finally {
    await Promise.all(pages.splice(0).map((page) => page.context().close()));
    complaints.splice(0);
    await proxy.close();
  }
});

test('rows changed by SQL appear: the command that the page shows, and a transaction of many', async () => {
  const alice = await open('alice');
  await untilShown(alice, 'Apples', 'Bread');
  const command = await alice.locator('#psql').textContent();
  const statement = /-c "(.*)"$/.exec(command!)![1]!;
  await source.query(statement);
  await untilShown(alice, 'Apples', 'Bread and butter');
  await source.query(
    `INSERT INTO todos (list_id, description, created_at) SELECT 'groceries', 'Item ' || i, '2026-02-01'::timestamptz + i * interval '1 s' FROM generate_series(1, 500) i`,
  );
  await until('502 items', async () => (await alice.locator('#todos li').count()) === 502, LIVE_MS);
  await source.query('TRUNCATE todos');
  await alice.getByText('Nothing on the list.').waitFor({ timeout: LIVE_MS });
  await picture(alice, 'empty');
});

test('a user who is on no list sees nothing, and what the backend refuses is undone and explained', async () => {
  const carol = await open('carol');
  await carol.getByText('Nothing on the list.').waitFor();
  await add(carol, 'Crisps');
  await carol
    .getByText('The backend refused a change, so it is undone here: Only members of a list may add to it.')
    .waitFor({ timeout: LIVE_MS });
  await untilShown(carol);
  await picture(carol, 'refused');
  await source.query(`INSERT INTO members (list_id, user_id) VALUES ('groceries', 'carol')`);
  await untilShown(carol, 'Apples', 'Bread');
  await source.query(`DELETE FROM members WHERE user_id = 'carol'`);
  await untilShown(carol);
});

test('a sync config is edited while pages are connected: they follow it, without a reload', async () => {
  const alice = await open('alice');
  await untilShown(alice, 'Apples', 'Bread');
  const original = await readFile(checkout.syncConfigFile, 'utf8');
  await source.query(`UPDATE todos SET completed = true WHERE id = 't-bread'`);
  await untilShown(alice, 'Apples', '✓ Bread');
  await writeFile(
    checkout.syncConfigFile,
    original.replace('FROM todos WHERE', 'FROM todos WHERE completed = false AND'),
  );
  await untilShown(alice, 'Apples');
  await writeFile(checkout.syncConfigFile, original.replace('FROM todos', 'FORM todos'));
  await run.untilSaid(/was not deployed; the version before it goes on/);
  await add(alice, 'Milk');
  await until(
    'the row in Postgres',
    async () => (await source.query(`SELECT FROM todos WHERE description = 'Milk'`)).rowCount === 1,
    LIVE_MS,
  );
  await untilShown(alice, 'Apples', 'Milk');
  await writeFile(checkout.syncConfigFile, original);
  await untilShown(alice, 'Apples', '✓ Bread', 'Milk');
  await alice.locator('#status[data-state=connected]').waitFor();
});

test('npm start is stopped and started again under an open page', async () => {
  const alice = await open('alice');
  await untilShown(alice, 'Apples', 'Bread');
  expect(await run.signal('SIGINT', 'group')).toBe(0);
  await alice.locator('#status[data-state=connecting]').waitFor({ timeout: 20_000 });
  await add(alice, 'Milk');
  await untilShown(alice, 'Apples', 'Bread', 'Milk');
  await picture(alice, 'stopped');
  await source.end();
  run = await checkout.start({ port: run.port });
  await run.untilReady();
  source = new pg.Pool({ connectionString: await run.sourceUrl(), max: 2 });
  source.on('error', () => undefined);
  await alice.locator('#status[data-state=connected]').waitFor({ timeout: 30_000 });
  await until(
    'the row in Postgres',
    async () => (await source.query(`SELECT FROM todos WHERE description = 'Milk'`)).rowCount === 1,
    20_000,
  );
  await untilShown(alice, 'Apples', 'Bread', 'Milk');
  complaints.splice(0);
});
