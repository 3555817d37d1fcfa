/** What the runner calls equal and different, against SQLite and a comparison of plain values. */
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { renderValue } from '#core/sync-config/evaluate/output.ts';
import { runTestText } from './run.ts';

type Value = null | bigint | number | string;
type Row = Readonly<Record<string, Value>>;
/** Rows by stream (each fills one table here) and id. */
type Rows = Record<string, Map<string, Row | null>>;

const CONFIG = `sync_config_content: |
  config: { edition: 3 }
  streams:
    own:
      auto_subscribe: true
      query: SELECT id, name, n FROM items WHERE owner = auth.user_id() AND n > 1
    shared:
      auto_subscribe: true
      query: SELECT * FROM items AS others WHERE list_id IN (SELECT list_id FROM members WHERE user_id = auth.user_id())
`;
const SQL: Readonly<Record<string, string>> = {
  own: `SELECT id, name, n FROM items WHERE owner = 'u' AND n > 1`,
  shared: `SELECT * FROM items WHERE list_id IN (SELECT list_id FROM members WHERE user_id = 'u')`,
};
const TABLES: Readonly<Record<string, string>> = { own: 'items', shared: 'others' };
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  items: ['id', 'owner', 'list_id', 'name', 'n'],
  members: ['list_id', 'user_id'],
};

const value = fc.constantFrom<Value>(null, 0n, 2n, 2, 1.5, 2n ** 53n + 1n, 2n ** 53n, '2', "it's", 'ünïcode\n"x"');
const item = fc.record({
  id: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'null', '1', '#'),
  owner: fc.constantFrom('u', 'u', 'v', null),
  list_id: fc.constantFrom('x', 'y', null),
  name: value,
  n: value,
});
const fixture = fc.record({
  items: fc.uniqueArray(item, { selector: ({ id }) => id, minLength: 3, maxLength: 6 }),
  members: fc.array(fc.record({ list_id: fc.constantFrom('x', 'y'), user_id: fc.constantFrom('u', 'v') }), {
    maxLength: 3,
  }),
});
/** How a test errs about the truth. */
const edit = fc.oneof(
  fc.record({ kind: fc.constant('forget' as const), stream: fc.constantFrom('own', 'shared'), at: fc.nat(5) }),
  fc.record({
    kind: fc.constant('invent' as const),
    stream: fc.constantFrom('own', 'shared'),
    id: fc.constantFrom('a', 'b', 'z'),
  }),
  fc.record({ kind: fc.constant('by id' as const), stream: fc.constantFrom('own', 'shared'), at: fc.nat(5) }),
  fc.record({
    kind: fc.constant('column' as const),
    stream: fc.constantFrom('own', 'shared'),
    at: fc.nat(5),
    column: fc.constantFrom('name', 'n', 'owner', 'extra'),
    value,
  }),
);

function truthOf(data: Readonly<Record<string, readonly Row[]>>): Rows {
  const database = new DatabaseSync(':memory:');
  try {
    for (const [name, columns] of Object.entries(COLUMNS)) {
      database.exec(`CREATE TABLE ${name} (${columns.join(', ')})`);
      const insert = database.prepare(`INSERT INTO ${name} VALUES (${columns.map(() => '?').join(', ')})`);
      for (const row of data[name] ?? []) insert.run(...columns.map((column) => row[column] ?? null));
    }
    return Object.fromEntries(
      Object.entries(SQL).map(([stream, text]) => {
        const statement = database.prepare(text);
        statement.setReadBigInts(true);
        return [stream, new Map((statement.all() as Row[]).map((row) => [String(row['id']), row]))];
      }),
    );
  } finally {
    database.close();
  }
}

function expectationOf(truth: Rows, edits: readonly (typeof edit extends fc.Arbitrary<infer E> ? E : never)[]): Rows {
  const rows: Rows = Object.fromEntries(Object.entries(truth).map(([stream, of]) => [stream, new Map(of)]));
  for (const change of edits) {
    const of = rows[change.stream] as Map<string, Row | null>;
    if (change.kind === 'invent') {
      if (!of.has(change.id)) of.set(change.id, null);
      continue;
    }
    const id = [...of.keys()][change.at % Math.max(1, of.size)];
    if (id === undefined) continue;
    const row = of.get(id) ?? null;
    if (change.kind === 'forget') of.delete(id);
    else if (change.kind === 'by id') of.set(id, null);
    else if (row !== null) of.set(id, { ...row, [change.column]: change.value });
  }
  return rows;
}

/** `kind stream/id column`, compared without any code of ours. */
function directDifferences(truth: Rows, expected: Rows): string[] {
  const found: string[] = [];
  for (const [stream, rows] of Object.entries(truth)) {
    const wanted = expected[stream] as Map<string, Row | null>;
    for (const [id, row] of rows) {
      const want = wanted.get(id);
      if (want === undefined) found.push(`unexpected ${stream}/${id}`);
      else if (want !== null) {
        for (const column of new Set([...Object.keys(want), ...Object.keys(row as Row)])) {
          if (!Object.is(want[column] ?? null, row?.[column] ?? null)) found.push(`changed ${stream}/${id} ${column}`);
        }
      }
    }
    for (const id of wanted.keys()) if (!rows.has(id)) found.push(`missing ${stream}/${id}`);
  }
  return found.toSorted();
}

const yamlRow = (row: Row): string =>
  `{ ${Object.entries(row)
    .map(([name, of]) => `${name}: ${renderValue(of)}`)
    .join(', ')} }`;

function testText(data: Readonly<Record<string, readonly Row[]>>, expected: Rows): string {
  const tables = Object.entries(data).map(([name, rows]) => `  ${name}: [${rows.map(yamlRow).join(', ')}]\n`);
  const streams = Object.entries(expected).map(([stream, rows]) => {
    const items = [...rows].map(([id, row]) => (row === null ? JSON.stringify(id) : yamlRow(row)));
    return `      ${stream}: { ${TABLES[stream]}: [${items.join(', ')}] }\n`;
  });
  return `${CONFIG}tables:\n${tables.join('')}tests:\n  - name: t\n    user: u\n    expect:\n${streams.join('')}`;
}

test('random rows, and expectations that err', async () => {
  const seen = { passed: 0, failed: 0, changed: 0 };
  await fc.assert(
    fc.asyncProperty(fixture, fc.array(edit, { maxLength: 3 }), async (data, edits) => {
      const truth = truthOf(data);
      const expected = expectationOf(truth, edits);
      const differences = directDifferences(truth, expected);
      const text = testText(data, expected);
      const { tests, findings, passed } = await runTestText(text);
      expect([text, findings.filter(({ level }) => level === 'error')]).toEqual([text, []]);
      const found = (tests[0]?.differences ?? []).map((difference) => {
        const { kind, stream, id, column } = difference as Record<'kind' | 'stream' | 'id' | 'column', string>;
        return `${kind} ${stream}/${id}${column === undefined ? '' : ` ${column}`}`;
      });
      expect([text, found.toSorted()]).toEqual([text, differences]);
      expect(passed).toBe(differences.length === 0);
      seen[passed ? 'passed' : 'failed']++;
      if (differences.some((item) => item.startsWith('changed'))) seen.changed++;
    }),
    { numRuns: Number(process.env['RUNS'] ?? 300) },
  );
  // neither is a rare case
  expect(Math.min(seen.passed, seen.failed, seen.changed)).toBeGreaterThan(10);
});
