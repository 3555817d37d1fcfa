import { expect, test } from 'vitest';
import { definitionReads, planChanges, type ActiveDefinitions } from './plan-changes.ts';
import type { SyncPlan } from './plan.ts';
import { planOf } from './testing/support.ts';

const config = (streams: Readonly<Record<string, string>>, more = ''): SyncPlan =>
  planOf(
    `config: { edition: 3 }\nstreams:\n${Object.entries(streams)
      .map(([name, query]) => `  ${name}:\n    query: ${query}`)
      .join('\n')}\n${more}`,
  );
const ROWS: Readonly<Record<string, number>> = { lists: 10, items: 200, members: 3000, people: 40_000 };
const activeOf = (plan: SyncPlan, rows: Readonly<Record<string, number>> = ROWS): ActiveDefinitions => ({
  streams: plan.streams.map(({ name }) => name),
  tables: definitionReads(plan)
    .flatMap(({ tables }) => tables)
    .map((table) => ({ ...table, rows: rows[table.name] ?? null })),
  definitions: definitionReads(plan),
});

const LISTS = 'SELECT * FROM lists';
const ITEMS = 'SELECT * FROM items WHERE list IN (SELECT list FROM members WHERE person = auth.user_id())';
const PEOPLE = 'SELECT * FROM people WHERE id IN (SELECT list FROM members WHERE person = auth.user_id())';

test('a stream that reads the same is kept, one that reads something else is copied, one that is gone is removed', () => {
  const former = config({ lists: LISTS, items: ITEMS, people: PEOPLE });
  const next = config({ lists: LISTS, items: `${ITEMS} AND open` });
  const { streams, rowsToCopy, tables } = planChanges(activeOf(former), next);
  expect(streams).toEqual([
    { name: 'lists', action: 'Kept', rows: 0 },
    // the lookup in members is the same: only items are read again
    { name: 'items', action: 'Copied', rows: 200 },
    { name: 'people', action: 'Removed', rows: 0 },
  ]);
  expect(rowsToCopy).toBe(200);
  expect(tables).toEqual([{ source: 'default', schema: 'public', name: 'items', rows: 200 }]);
});

test('the same plan again copies nothing', () => {
  const plan = config({ lists: LISTS, items: ITEMS });
  expect(planChanges(activeOf(plan), plan)).toMatchObject({ rowsToCopy: 0, tables: [] });
});

test('a table that several definitions read counts once', () => {
  const former = config({ lists: LISTS, all: 'SELECT * FROM items', members: 'SELECT * FROM members' });
  const next = config({
    lists: LISTS,
    items: ITEMS,
    open: 'SELECT * FROM items WHERE open AND list IN (SELECT list FROM members WHERE person = auth.user_id())',
  });
  const { streams, rowsToCopy } = planChanges(activeOf(former), next);
  expect(streams.filter(({ action }) => action === 'Copied').map(({ rows }) => rows)).toEqual([3200, 3200]);
  expect(rowsToCopy).toBe(3200);
});

test('a table that nobody counted makes the sum unknown, for its streams and all together', () => {
  const next = config({ lists: `${LISTS} WHERE open`, people: PEOPLE });
  const { streams, rowsToCopy, tables } = planChanges(activeOf(config({ lists: LISTS })), next);
  expect(streams).toEqual([
    { name: 'lists', action: 'Copied', rows: 10 },
    { name: 'people', action: 'Copied', rows: null },
  ]);
  expect(rowsToCopy).toBeNull();
  expect(tables.map(({ name, rows }) => [name, rows])).toEqual([
    ['lists', 10],
    ['people', null],
    ['members', null],
  ]);
});

test('nothing is served yet: all is copied', () => {
  const { streams, rowsToCopy } = planChanges(null, config({ lists: LISTS }));
  expect(streams).toEqual([{ name: 'lists', action: 'Copied', rows: null }]);
  expect(rowsToCopy).toBeNull();
});
