/**
 * The sync inspector in a real browser, on a running service: what it shows is what the storage and plain SQL say.
 * With MILLRACE_TEST_SCREENSHOTS=<folder> it leaves pictures there.
 */
import { join } from 'node:path';
import { chromium as playwright, type Browser, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createFixture, type Fixture } from '../e2e/fixture.ts';
import { until, type Service } from '../instance/instance.ts';
import { chromium } from '../services/chromium.ts';

const SCHEMA = `
CREATE TABLE lists (id text PRIMARY KEY, name text NOT NULL, colour text, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE members (id text PRIMARY KEY, list_id text NOT NULL, user_id text NOT NULL);
CREATE TABLE items (id text PRIMARY KEY, list_id text NOT NULL, owner_id text NOT NULL, title text, n bigint, done boolean NOT NULL DEFAULT false);
CREATE TABLE notes (id text PRIMARY KEY, topic text NOT NULL, body text);
CREATE PUBLICATION powersync FOR ALL TABLES;
INSERT INTO lists SELECT 'list-' || i, 'List ' || i, NULL FROM generate_series(1, 40) i;
INSERT INTO members VALUES ('m-1', 'list-2', 'alice'), ('m-2', 'list-3', 'alice'), ('m-3', 'list-3', 'bob');
INSERT INTO items SELECT 'item-' || i, 'list-' || 1 + i % 40, CASE WHEN i % 2 = 0 THEN 'alice' ELSE 'bob' END, 'Item ' || i, i, i % 5 = 0 FROM generate_series(1, 600) i;
INSERT INTO notes SELECT 'big-' || i, 'big', (SELECT string_agg(md5(random()::text || i || j), '') FROM generate_series(1, 20) j) FROM generate_series(1, 3000) i;
INSERT INTO notes VALUES ('note-1', 'sails', 'Reef early & <b>often</b>'), ('note-2', 'ropes', 'Dry them');`;

const SYNC_CONFIG = `config:
  edition: 3
streams:
  lists:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM lists
  mine:
    auto_subscribe: true
    query: SELECT * FROM items WHERE owner_id = auth.user_id()
  shared:
    auto_subscribe: true
    priority: 2
    query: SELECT * FROM items WHERE list_id IN (SELECT list_id FROM members WHERE user_id = auth.user_id())
  notes:
    query: SELECT * FROM notes WHERE topic = subscription.parameter('topic')
  by_region:
    auto_subscribe: true
    query: SELECT * FROM notes WHERE topic = connection.parameter('region')
`;

/** What a person would call at once. */
const LIVE_MS = 10_000;

let fixture: Fixture;
let service: Service;
let browser: Browser;
const pages: Page[] = [];
const complaints: string[] = [];
const requested: string[] = [];

beforeAll(async () => {
  fixture = await createFixture({
    storage: 'postgresql',
    schema: SCHEMA,
    syncConfig: SYNC_CONFIG,
    api: ['inspector: true'],
  });
  service = await fixture.instance.start('unified');
  await fixture.instance.untilActive(service);
  browser = await playwright.launch(await chromium());
});
afterAll(async () => {
  await browser?.close();
  await fixture?.close();
});
afterEach(async () => {
  await Promise.all(pages.splice(0).map((page) => page.context().close()));
  const heard = complaints.splice(0);
  if (heard.length > 0) throw new Error(`The page complained: ${heard.join('; ')}`);
});

async function open(colorScheme: 'light' | 'dark' = 'light'): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme });
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
  });
  page.on('request', (request) => requested.push(request.url()));
  pages.push(page);
  await page.goto(`${service.endpoint}/inspector`);
  return page;
}

async function connect(page: Page, token: string, more: { parameters?: string; streams?: string } = {}): Promise<void> {
  await page.getByLabel('Client token').fill(token);
  if (more.parameters !== undefined || more.streams !== undefined) {
    await page.getByText('Connection parameters and streams').click();
    await page.getByLabel('Connection parameters, a JSON object').fill(more.parameters ?? '');
    await page.getByLabel('Streams to subscribe to').fill(more.streams ?? '');
  }
  await page.getByRole('button', { name: 'Connect', exact: true }).click();
}

/** The cells of a table's rows. */
const cells = (page: Page, body: string): Promise<string[][]> =>
  page
    .locator(`#${body} tr`)
    .evaluateAll((rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent.trim())));

const fact = (page: Page, name: string): Promise<string | null> =>
  page.locator(`#overview [data-fact=${name}] dd`).textContent();

async function untilEqual(page: Page): Promise<void> {
  await until(
    'all checksums to be equal',
    async () => {
      const states = (await cells(page, 'buckets')).map((row) => row.at(-1));
      return states.length > 0 && states.every((state) => state === 'equal');
    },
    LIVE_MS,
    () => service.output(),
  );
}

/** In a page that refreshes all the time, chooses its two tables in turns, each time at another moment; answers the choices that were lost. */
const CHOOSE_TABLES = `(async () => {
  const filter = document.getElementById('row-filter');
  const refreshing = setInterval(() => filter.dispatchEvent(new Event('input')), 5);
  const lost = [];
  for (let choice = 0; choice < 60 && lost.length === 0; choice++) {
    await new Promise((resolve) => setTimeout(resolve, choice * 2));
    const button = document.querySelectorAll('#tables button')[choice % 2];
    button.click();
    const deadline = performance.now() + ${LIVE_MS / 2};
    while (button.getAttribute('aria-pressed') !== 'true' && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 1));
    if (button.getAttribute('aria-pressed') !== 'true' || !button.isConnected) lost.push(choice);
  }
  clearInterval(refreshing);
  return lost;
})()`;

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['MILLRACE_TEST_SCREENSHOTS'];
  if (folder) await page.screenshot({ path: join(folder, `inspector-${name}.png`), fullPage: true });
}

test('connects with a token alone: buckets, tables and rows are those of this user', async () => {
  const page = await open();
  await picture(page, 'form');
  await connect(page, await fixture.instance.token('alice'));
  await page.locator('#status[data-state=connected]').waitFor({ timeout: 30_000 });
  await untilEqual(page);

  // `shared` has two buckets of 15 items each; both hold some that are alice's own.
  const buckets = await cells(page, 'buckets');
  expect(buckets.map(([name, priority, operations, , rows]) => [name, priority, operations, rows])).toEqual([
    [expect.stringMatching(/#lists\|\d+\[\]$/), '1', '40', '40'],
    [expect.stringMatching(/#shared\|\d+\["list-2"\]$/), '2', '15', '15'],
    [expect.stringMatching(/#shared\|\d+\["list-3"\]$/), '2', '15', '15'],
    [expect.stringMatching(/#mine\|\d+\["alice"\]$/), '3', '300', '300'],
  ]);
  const [{ n }] = (await fixture.sql<{ n: string }>(
    `SELECT count(*) AS n FROM items WHERE owner_id = 'alice' OR list_id IN ('list-2', 'list-3')`,
  )) as [{ n: string }];
  const tables = await page.locator('#tables button').allTextContents();
  expect(tables).toEqual([expect.stringMatching(new RegExp(`^items${n} · `)), expect.stringMatching(/^lists40 · /)]);
  expect(await fact(page, 'row-count')).toBe(String(Number(n) + 40));
  expect(await fact(page, 'bucket-count')).toBe('4');
  expect(await fact(page, 'write-checkpoint')).toBe('none');
  expect(Number(await fact(page, 'checkpoint'))).toBeGreaterThan(0);

  expect((await cells(page, 'priorities')).map(([priority, number, , done]) => [priority, number, done])).toEqual([
    ['1', '1 bucket', '40 / 40'],
    ['2', '2 buckets', '30 / 30'],
    ['3', '1 bucket', '300 / 300'],
  ]);
  expect((await cells(page, 'streams')).map(([name, , how, , state]) => `${name} ${how} ${state}`)).toEqual(
    expect.arrayContaining(['lists by default synced', 'mine by default synced', 'shared by default synced']),
  );
  const times = (await cells(page, 'streams')).map((row) => row[5]);
  expect(times.filter((text) => !/^\d\d:\d\d:\d\d$/.test(text!))).toEqual([]);
  await page.locator('#tables button', { hasText: 'items' }).click();
  await page.getByText(`The 100 of ${n} that changed last`).waitFor();
  expect(await page.locator('#rows tr').count()).toBe(100);
  await picture(page, 'light');

  await page.getByLabel('Filter rows by id').fill('item-42');
  const wanted = await fixture.sql<{ id: string }>(
    `SELECT id FROM items WHERE (owner_id = 'alice' OR list_id IN ('list-2', 'list-3')) AND id LIKE '%item-42%'`,
  );
  await page.getByText(`${wanted.length} found`).waitFor();
  const found = (await cells(page, 'rows')).map(([id]) => id);
  expect(found.toSorted()).toEqual(wanted.map(({ id }) => id).toSorted());
  // Alice's own, and in a list that is shared with her.
  await page.getByRole('button', { name: 'item-42', exact: true }).click();
  const holders = await page.locator('#row-holders code').allTextContents();
  expect(holders.map((name) => name.replace(/^.*#/, '').replace(/\|\d+/, '')).toSorted()).toEqual([
    'mine["alice"]',
    'shared["list-3"]',
  ]);
  expect(JSON.parse((await page.locator('#row-data').textContent())!)).toMatchObject({ id: 'item-42', n: 42 });
  await picture(page, 'row');
  await page.keyboard.press('Escape');
  await page.locator('#row').waitFor({ state: 'hidden' });

  // The same by keyboard alone.
  await page.getByRole('button', { name: /^lists/ }).focus();
  await page.keyboard.press('Enter');
  await page.getByLabel('Filter rows by id').fill('');
  await page.locator('#rows').getByText('List 40', { exact: true }).waitFor();
  expect(await page.getByRole('button', { name: /^lists/ }).getAttribute('aria-pressed')).toBe('true');
  await page.getByRole('button', { name: 'list-40', exact: true }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog', { name: 'list-40' }).waitFor();
  await page.keyboard.press('Enter');
  await page.locator('#row').waitFor({ state: 'hidden' });
});

test('a changed row, a new one and a lost one arrive while one looks', async () => {
  const page = await open('dark');
  await connect(page, await fixture.instance.token('alice'));
  await untilEqual(page);
  // The first table that arrived is shown at first.
  await page.locator('#tables button', { hasText: 'items' }).click();
  await page.locator('#rows').getByText('Item 600', { exact: true }).waitFor();
  const before = BigInt((await fact(page, 'checkpoint'))!);
  await fixture.sql(`UPDATE items SET title = 'Changed just now' WHERE id = 'item-300'`);
  const first = page.locator('#rows tr').first();
  await first.getByText('Changed just now').waitFor({ timeout: LIVE_MS });
  expect(await first.getByRole('button').textContent()).toBe('item-300');
  expect(await first.getAttribute('class')).toBe('changed');
  await fixture.sql(`INSERT INTO items VALUES ('item-new', 'list-9', 'alice', 'New', 1, false)`);
  await page.getByRole('button', { name: 'item-new' }).waitFor({ timeout: LIVE_MS });
  await picture(page, 'dark');
  await page.setViewportSize({ width: 420, height: 900 });
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(420);
  await picture(page, 'narrow');
  await fixture.sql(`DELETE FROM items WHERE id = 'item-new'`);
  await page.getByRole('button', { name: 'item-new' }).waitFor({ state: 'detached', timeout: LIVE_MS });
  await untilEqual(page);
  expect(BigInt((await fact(page, 'checkpoint'))!)).toBeGreaterThan(before);
  await page
    .locator('#log')
    .getByText(/checkpoint \d+ announced: 1 bucket changed/)
    .first()
    .waitFor();
});

test('a slow download: high priorities first, progress on the way, checksums at its end', async () => {
  const page = await open();
  const network = await page.context().newCDPSession(page);
  await network.send('Network.enable');
  const token = await fixture.instance.token('dave');
  const limits = { offline: false, latency: 0, uploadThroughput: -1 };
  await network.send('Network.emulateNetworkConditions', { ...limits, downloadThroughput: 250_000 });
  await connect(page, token, { streams: 'notes {"topic": "big"}' });
  let seen: string[][] = [];
  await until(
    'some of priority 3 and all of priority 1',
    async () => {
      seen = await cells(page, 'priorities');
      const [first, last] = [seen[0]?.[3], seen.at(-1)?.[3]];
      return first === '40 / 40' && last !== undefined && !/^(0|3,000) /.test(last);
    },
    LIVE_MS,
    () => JSON.stringify(seen),
  );
  expect(await page.locator('#status').textContent()).toMatch(/^connected · downloading \d+ %$/);
  const states = (await cells(page, 'buckets')).map((row) => row.at(-1));
  expect(states[0]).toBe('equal');
  expect(states.at(-1)).toBe('downloading');
  expect(states).not.toContain('differs');
  await picture(page, 'downloading');
  await network.send('Network.emulateNetworkConditions', { ...limits, downloadThroughput: -1 });
  await untilEqual(page);
  expect((await cells(page, 'priorities')).at(-1)![3]).toBe('3,000 / 3,000');
});

test('a write checkpoint of this client is shown when the stream has reached it (S-545)', async () => {
  const page = await open();
  const token = await fixture.instance.token('alice');
  await connect(page, token);
  await untilEqual(page);
  const line = await page
    .locator('#log')
    .getByText(/client [0-9a-f-]{36}/)
    .textContent();
  const clientId = /client ([0-9a-f-]{36})/.exec(line!)![1]!;
  const response = await fetch(`${service.endpoint}/write-checkpoint2.json?client_id=${clientId}`, {
    headers: { authorization: `Token ${token}` },
  });
  const { data } = (await response.json()) as { data: { write_checkpoint: string } };
  await until(
    'the write checkpoint',
    async () => (await fact(page, 'write-checkpoint')) === data.write_checkpoint,
    LIVE_MS,
  );
});

test('connection parameters and subscriptions are used, and rows are shown as text', async () => {
  const page = await open();
  const token = await fixture.instance.token('carol');
  await connect(page, token, { parameters: '{"region": "ropes"}', streams: 'notes {"topic": "sails"}\nnothing_here' });
  await untilEqual(page);
  await page.locator('#tables button', { hasText: 'notes' }).click();
  await page.locator('#rows').getByText('Reef early & <b>often</b>').waitFor({ timeout: LIVE_MS });
  const names = (await cells(page, 'buckets')).map(([name]) => name!.replace(/^.*#/, '').replace(/\|\d+/, ''));
  expect(names).toEqual(expect.arrayContaining(['notes["sails"]', 'by_region["ropes"]']));
  expect((await cells(page, 'streams')).map((row) => [...row.slice(0, 3), row[4]].join(' '))).toEqual(
    expect.arrayContaining(['notes {"topic":"sails"} by this page synced', 'nothing_here  by this page not active']),
  );
  await picture(page, 'subscriptions');
});

test('a table that is chosen while the page reads its rows stays chosen', async () => {
  const page = await open();
  await connect(page, await fixture.instance.token('alice'));
  await untilEqual(page);
  expect(await page.evaluate(CHOOSE_TABLES)).toEqual([]);
});

test('a token that the service refuses: its code, and no more attempts', async () => {
  const page = await open('dark');
  await connect(page, `${await fixture.instance.token('alice')}x`);
  await page.locator('#problem', { hasText: 'PSYNC_S2101' }).waitFor({ timeout: LIVE_MS });
  await page.locator('#status[data-state=refused]').waitFor();
  await page.getByLabel('Client token').waitFor();
  await picture(page, 'refused');
  // The browser itself reports the 401.
  expect(complaints.splice(0)).toEqual([expect.stringContaining('401')]);
  await connect(page, 'nonsense');
  await page.getByText('This is no JWT').waitFor();
  await connect(page, await fixture.instance.token('alice'));
  await untilEqual(page);
});

test('the token stays in memory, unless one wants it for this tab; it is never in an address', async () => {
  const page = await open();
  const token = await fixture.instance.token('alice');
  await connect(page, token);
  await untilEqual(page);
  const kept = (): Promise<string> =>
    page.evaluate('JSON.stringify([{ ...sessionStorage }, { ...localStorage }, document.cookie])');
  expect(await kept()).not.toContain(token);
  await page.reload();
  await page.getByLabel('Client token').waitFor();
  expect(await page.getByLabel('Client token').inputValue()).toBe('');

  await page.getByLabel('Keep it in this tab').check();
  await connect(page, token);
  await untilEqual(page);
  await page.reload();
  await untilEqual(page);
  await page.getByRole('button', { name: 'Disconnect' }).click();
  await page.getByLabel('Client token').waitFor();
  expect(await kept()).not.toContain(token);
  expect(await page.evaluate('indexedDB.databases().then(({ length }) => length)')).toBe(0);

  expect(requested.length).toBeGreaterThan(10);
  expect(requested.filter((url) => url.includes('ey') || !url.startsWith(service.endpoint))).toEqual([]);
  expect(service.output()).not.toContain(token);
});
