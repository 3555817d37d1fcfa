import { expect, test } from 'vitest';
import { planOf } from '#core/sync-config/testing/support.ts';
import { chooseTable, nameOf } from './choose-table.ts';

const plan = planOf(
  `config: { edition: 3 }
streams:
  a: { query: SELECT * FROM boats }
  b: { query: 'SELECT * FROM fleet."my.boats" AS "Boats"' }
  c: { query: 'SELECT * FROM "other.public".harbours AS ports' }
  d: { query: 'SELECT * FROM "log_%"' }
  e: { query: 'SELECT * FROM "other.public".berths' }
  f: { query: 'SELECT * FROM berths' }
  g: { query: 'SELECT * FROM "tenant_%".crew' }
`,
);
const SOURCES = [
  { tag: 'default', defaultSchema: 'public' },
  { tag: 'other', defaultSchema: 'public' },
];
const choose = (text: string): string => {
  const { table, read } = chooseTable(text, plan, SOURCES);
  return `${nameOf(table)}${read ? '' : ' (not read)'}`;
};

test.each([
  ['boats', 'default.public.boats'],
  ['public.boats', 'default.public.boats'],
  ['default.public.boats', 'default.public.boats'],
  ['fleet."my.boats"', 'default.fleet."my.boats"'],
  ['"my.boats"', 'default.fleet."my.boats"'],
  // names of clients
  ['Boats', 'default.fleet."my.boats"'],
  ['ports', 'other.public.harbours'],
  ['log_2026', 'default.public.log_2026'],
  ['tenant_x.crew', 'default.tenant_x.crew'],
  ['other.public.berths', 'other.public.berths'],
  ['default.public.berths', 'default.public.berths'],
  ['nothing', 'default.public.nothing (not read)'],
  ['BOATS', 'default.public.BOATS (not read)'],
])('%s is %s (S-212, S-248)', (text, expected) => {
  expect(choose(text)).toBe(expected);
});

test.each([
  ['berths', 'Several tables are called berths. Give one of: default.public.berths, other.public.berths'],
  ['nowhere.public.boats', 'No source has the tag of nowhere.public.boats; there are: default, other'],
  ['a.b.c.d', 'Give a table as name, schema.name or source.schema.name'],
  ['', 'Give a table as'],
])('%s is refused', (text, message) => {
  expect(() => choose(text)).toThrow(`[PSYNC_S2001] ${message}`);
});

test('a process without connections knows the tables of the plan', () => {
  expect(nameOf(chooseTable('boats', plan, []).table)).toBe('default.public.boats');
});
