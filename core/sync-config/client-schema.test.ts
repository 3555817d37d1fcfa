import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clientSchema, type TypedTable } from './client-schema.ts';
import { FUNCTION_NAMES, functionDefinition } from './evaluate/functions.ts';
import type { PlanExpr } from './plan.ts';
import { resultTypes, type ValueType } from './result-types.ts';
import { COLUMNS, expression, row } from './testing/random-expressions.ts';
import { expressionOf, planExpressionOf, planOf, streamOf } from './testing/support.ts';
import type { SqliteValue } from './values.ts';

const source = (name: string, columns: Readonly<Record<string, ValueType | null>>): TypedTable => ({
  source: 'default',
  schema: 'public',
  name,
  columns: Object.keys(columns),
  types: Object.values(columns),
});
const SOURCES = [
  source('boats', { id: 'integer', name: 'text', length: 'real', crew: 'integer', photo: 'blob', odd: null }),
  source('log_2024', { id: 'text', note: 'text', level: 'integer' }),
  source('log_2025', { id: 'text', note: 'text', level: 'real', extra: 'text' }),
];
const schemaOf = (...queries: string[]) => clientSchema(planOf(streamOf(...queries)), SOURCES);
/** As `name: column type, column type`. */
const tablesOf = (...queries: string[]): string[] =>
  schemaOf(...queries).tables.map(
    ({ name, columns, unknown }) =>
      `${name}: ${[...columns.map((column) => `${column.name} ${column.type}`), ...unknown.map((column) => `${column} ?`)].join(', ')}`,
  );

describe('tables and columns (S-213, O-273, O-274)', () => {
  test.each([
    // no id, no blobs; of what is not known text can hold everything
    ['SELECT * FROM boats', ['boats: name text, length real, crew integer, odd text']],
    ['SELECT id, name AS title FROM boats AS ships', ['ships: title text']],
    [
      'SELECT *, hex(photo) AS photo, crew AS name FROM boats',
      ['boats: name integer, length real, crew integer, photo text, odd text'],
    ],
    [
      'SELECT id, crew + 1 AS a, crew / 2.0 AS b, crew > 3 AS c, name || crew AS d FROM boats',
      ['boats: a integer, b real, c integer, d text'],
    ],
    [
      'SELECT id, CASE WHEN crew THEN 1 ELSE 1.5 END AS a, ifnull(name, 7) AS b, iif(crew, crew, NULL) AS c FROM boats',
      ['boats: a real, b text, c integer'],
    ],
    [
      "SELECT id, name ->> 'x' AS a, unixepoch(name) AS b, unixepoch(name, 'subsec') AS c, NULL AS d FROM boats",
      ['boats: a text, b integer, c real, d text'],
    ],
    // renamed in the source: what exists already has its type (S-34)
    ['SELECT id, ifnull(new_name, name) AS name, new_name FROM boats', ['boats: name text, new_name ?']],
    // wildcards: by alias, or each by its own name
    ['SELECT * FROM "log_%" AS logs', ['logs: note text, level real, extra text']],
    ['SELECT id, level, extra FROM "log_%"', ['log_2024: level integer, extra ?', 'log_2025: level real, extra text']],
    ['SELECT id, a FROM nothing', ['nothing: a ?']],
    ['SELECT * FROM "nothing%"', []],
  ])('%s', (query, tables) => {
    expect(tablesOf(query)).toEqual(tables);
  });

  test('several queries for one table are united', () => {
    expect(
      tablesOf(
        'SELECT id, name FROM boats WHERE crew = 1',
        'SELECT id, crew AS name, length FROM boats WHERE crew = 2',
      ),
    ).toEqual(['boats: name text, length real']);
  });

  test('streams without auto_subscribe, with the names of their parameters (O-275)', () => {
    const plan = planOf(
      "config: { edition: 3 }\nstreams:\n  a: { auto_subscribe: true, query: SELECT * FROM boats }\n  b: { query: \"SELECT * FROM boats WHERE name = subscription.parameter('n') AND crew = subscription.parameter('c')\" }\n  c: { query: SELECT * FROM boats }\nbucket_definitions:\n  d: { data: SELECT * FROM boats }\n",
    );
    expect(clientSchema(plan, SOURCES).streams).toEqual([
      { name: 'b', parameters: ['c', 'n'] },
      { name: 'c', parameters: [] },
    ]);
  });
});

describe('types of expressions', () => {
  const typeOf = (value: Exclude<SqliteValue, null>): ValueType => {
    if (typeof value === 'bigint') return 'integer';
    if (typeof value === 'number') return 'real';
    return typeof value === 'string' ? 'text' : 'blob';
  };

  test('every value has one of the types that its expression can have', () => {
    fc.assert(
      fc.property(expression, row, ({ ours }, values) => {
        const columns = new Map(COLUMNS.map((name, at) => [name, values[at] ?? null]));
        const types = resultTypes(planExpressionOf(ours), (name) => {
          const value = columns.get(name) ?? null;
          return value === null ? null : typeOf(value);
        });
        const result = expressionOf(ours, COLUMNS)(values);
        if (result === null) return;
        // an integer that leaves 64 bits becomes a real
        const overflow = typeof result === 'number' && /[-+*/%]|\d{19}/.test(ours) && !types.has('real');
        expect({ ours, values, types: [...types] }).toEqual({
          ours,
          values,
          types: expect.arrayContaining([overflow ? 'integer' : typeOf(result)]) as unknown,
        });
      }),
      { numRuns: Number(process.env['RUNS'] ?? 1500) },
    );
  });

  test('no function is unknown', () => {
    for (const name of FUNCTION_NAMES) {
      const args: PlanExpr[] = Array.from({ length: functionDefinition(name)?.minimum ?? 2 }, () => ({
        kind: 'text',
        value: '1',
      }));
      expect([name, resultTypes({ kind: 'call', name, args }, () => null).size < 4]).toEqual([name, true]);
    }
  });
});
