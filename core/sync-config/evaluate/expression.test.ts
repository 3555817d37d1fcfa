import { DatabaseSync, type StatementSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { COLUMNS, expression, real, row, timeless } from '../testing/random-expressions.ts';
import type { Sql } from '../testing/sql-text.ts';
import { expressionOf } from '../testing/support.ts';
import type { SqliteValue } from '../values.ts';
import { valueToText } from './numbers.ts';

/** Set when a real became text whose digits SQLite does not give exactly (more than 13, or a large exponent). */
const digits = vi.hoisted(() => ({
  beyondSqlite: false,
  exact: (value: number) =>
    !Number.isFinite(value) ||
    (Number(value.toPrecision(13)) === value && (value === 0 || Math.abs(Math.log10(Math.abs(value))) < 22)),
}));
vi.mock('./numbers.ts', async (importOriginal) => {
  const actual = await importOriginal<typeof import('./numbers.ts')>();
  const watch =
    <T>(toText: (value: T) => string) =>
    (value: T): string => {
      if (typeof value === 'number' && !digits.exact(value)) digits.beyondSqlite = true;
      return toText(value);
    };
  return { ...actual, realToText: watch(actual.realToText), valueToText: watch(actual.valueToText) };
});

/** Expressions, and the rows that each is evaluated on. */
const RUNS = Number(process.env['RUNS'] ?? 3000);
const WINDOW = 64;
const seed = Number(process.env['SEED'] ?? Math.trunc(Math.random() * 2 ** 31));
const ROWS = fc.sample(row, { numRuns: 1024, seed });

const database = new DatabaseSync(':memory:');
database.function('base64', { deterministic: true }, (value) => {
  if (value === null) return null;
  return Buffer.from(value instanceof Uint8Array ? value : String(value)).toString('base64');
});
// columns have no affinity, as values here have none
database.exec(`CREATE TABLE rows (at INTEGER PRIMARY KEY, ${COLUMNS.join(', ')})`);
const insert = database.prepare(`INSERT INTO rows VALUES (?, ${COLUMNS.map(() => '?').join(', ')})`);
for (const [at, values] of ROWS.entries()) insert.run(at, ...values);
afterAll(() => database.close());

function prepare(text: string): StatementSync {
  const statement = database.prepare(text);
  statement.setReadBigInts(true);
  return statement;
}
const valueOf = (result: Record<string, unknown> | undefined): SqliteValue => (result?.['v'] ?? null) as SqliteValue;
const sameValue = (one: SqliteValue, other: SqliteValue): boolean =>
  one instanceof Uint8Array && other instanceof Uint8Array ? Buffer.compare(one, other) === 0 : Object.is(one, other);

/** SQLite's results for rows from `first` on; undefined where it stops, since text there is no JSON. */
function inSqlite(sql: string, first: number): (SqliteValue | undefined)[] {
  const statement = prepare(`SELECT ${sql} AS v FROM rows WHERE at >= ? AND at < ? ORDER BY at`);
  const rows = (from: number, count: number): SqliteValue[] => statement.all(from, from + count).map(valueOf);
  try {
    return rows(first, WINDOW);
  } catch (error) {
    if (!malformed(error)) throw error;
    return Array.from({ length: WINDOW }, (_, at) => {
      try {
        return rows(first + at, 1)[0];
      } catch (error) {
        if (malformed(error)) return undefined;
        throw error;
      }
    });
  }
}
const malformed = (error: unknown): boolean => error instanceof Error && error.message === 'malformed JSON';

/** SQLite reads these, text or blob, as the time of its clock, also from a column; here no expression depends on a clock. */
const readsClock = (sql: string, values: readonly SqliteValue[]): boolean =>
  /datetime|unixepoch/i.test(sql) &&
  values.some((value) => value !== null && /^(now|subsec|subsecond)$/i.test(valueToText(value)));

/** Compares on some rows; answers how many were compared. */
function compare({ ours, theirs }: Sql, from: number): number {
  digits.beyondSqlite = false;
  const evaluate = expressionOf(ours, COLUMNS);
  // constants are evaluated once
  if (digits.beyondSqlite) return 0;
  const first = from % (ROWS.length - WINDOW);
  const expected = inSqlite(theirs, first);
  let compared = 0;
  for (const [at, values] of ROWS.slice(first, first + WINDOW).entries()) {
    digits.beyondSqlite = false;
    const result = evaluate(values);
    const other = expected[at];
    if (digits.beyondSqlite || other === undefined || readsClock(theirs, values)) continue;
    compared++;
    if (!sameValue(result, other))
      expect({ ours, theirs, values, result }).toEqual({ ours, theirs, values, result: other });
  }
  return compared;
}

describe('expressions equal those of SQLite (S-125)', () => {
  test('random expressions over random rows, more than 100,000 pairs', { timeout: 20_000 + RUNS * 20 }, () => {
    let compared = 0;
    fc.assert(
      fc.property(expression, fc.nat(ROWS.length), (sql, from) => {
        fc.pre(timeless(sql));
        compared += compare(sql, from);
      }),
      { numRuns: RUNS, seed },
    );
    expect(compared).toBeGreaterThan((RUNS / 3000) * 100_000);
  });

  test('instr of a blob and a text, also where the blob holds parts of characters (S-687)', () => {
    const evaluate = expressionOf('instr(a, b)', ['a', 'b']);
    const statement = prepare('SELECT instr(?, ?) AS v');
    const text = fc.array(fc.constantFrom('é', '😀', '😁', 'a', 'b'), { maxLength: 5 }).map((parts) => parts.join(''));
    const part = fc.tuple(text, fc.nat(6), fc.nat(6)).map(([whole, from, length]) => {
      return new Uint8Array(Buffer.from(whole).subarray(from, from + length));
    });
    let found = 0;
    fc.assert(
      fc.property(fc.oneof(text, part), fc.oneof(text, part), (value, other) => {
        const result = evaluate([value, other]);
        expect(result).toBe(valueOf(statement.get(value, other)));
        if (Number(result) > 1) found++;
      }),
      { numRuns: 2000 },
    );
    expect(found).toBeGreaterThan(20);
  });

  test('the text of every real', () => {
    const evaluate = expressionOf('CAST(a AS TEXT)', ['a']);
    const statement = prepare('SELECT CAST(? AS TEXT) AS v');
    fc.assert(
      fc.property(real, (number) => {
        const ours = String(evaluate([number]));
        const theirs = String(valueOf(statement.get(number)));
        if (digits.exact(number)) expect(ours).toBe(theirs);
        else expect([Number(ours), ours.includes('e')]).toEqual([number, theirs.includes('e')]);
      }),
      { numRuns: 2000 },
    );
  });
});

/** A path as SQLite reads it: each key in quotes. */
const quotedPath = (keys: readonly string[]): string => `'$${keys.map((key) => `."${key}"`).join('')}'`;

describe('JSON', () => {
  const key = fc.constantFrom('a', 'b', 'a b', 'x1');
  const inner = fc.oneof(
    fc.constantFrom<unknown>(1, 'v', null, [1, 2], true, 1.5),
    fc.dictionary(key, fc.constantFrom(1, 'w')),
  );
  const json = fc.dictionary(fc.oneof(key, fc.constantFrom('a.b', '', '$')), inner, { maxKeys: 4 });

  test('with legacy paths a key is split at its dots unless it begins with $ (S-45, S-177)', () => {
    const keys = fc.array(key, { minLength: 1, maxLength: 3 });
    let found = 0;
    fc.assert(
      fc.property(json, keys, fc.constantFrom('->', '->>'), (document, path, op) => {
        const text = JSON.stringify(document);
        const bare = `'${path.join('.')}'`;
        const theirs = (of: string): SqliteValue => valueOf(prepare(`SELECT ? ${op} ${of} AS v`).get(text));
        const ours = (of: string, fixed: boolean): SqliteValue => expressionOf(`j ${op} ${of}`, ['j'], fixed)([text]);
        const split = theirs(quotedPath(path));
        expect([text, bare, ours(bare, false), ours(bare, true)]).toEqual([text, bare, split, theirs(bare)]);
        const whole = `'$.${path.join('.')}'`;
        expect([ours(whole, false), ours(whole, true)]).toEqual([theirs(whole), theirs(whole)]);
        if (split !== null && path.length > 1) found++;
      }),
      { numRuns: 1000 },
    );
    expect(found).toBeGreaterThan(10);
  });

  test('json_keys gives the keys that json_each gives (S-191)', () => {
    const evaluate = expressionOf('json_keys(k)', ['k']);
    const statement = prepare(`SELECT json_group_array(key) AS v FROM json_each(?)`);
    const odd = fc.dictionary(fc.string({ unit: 'grapheme' }), inner);
    fc.assert(
      fc.property(fc.oneof(json, odd), fc.constantFrom(0, 1), (document, indent) => {
        const text = JSON.stringify(document, null, indent);
        const keys = JSON.parse(String(evaluate([text]))) as unknown;
        expect(keys).toEqual(JSON.parse(String(valueOf(statement.get(text)))));
      }),
    );
  });
});

const MALFORMED = '{"a":1';
const JSONB = database.prepare(`SELECT jsonb('[1,2]') AS v`).get()?.['v'] as Uint8Array;

/**
 * Where results are not SQLite's, and why. `a` is the column; `sqlite` is what SQLite says, or the error that it stops with, for the
 * same text unless there is another.
 */
const DEVIATIONS: readonly {
  readonly what: string;
  readonly expression: string;
  readonly theirs?: string;
  readonly a?: SqliteValue;
  readonly ours: SqliteValue;
  readonly sqlite: SqliteValue | { readonly error: string };
}[] = [
  { what: 'BETWEEN is null if any operand is (S-174)', expression: '1 BETWEEN a AND 0', ours: null, sqlite: 0n },
  { what: 'NOT BETWEEN too (S-174)', expression: '1 NOT BETWEEN a AND 0', ours: null, sqlite: 1n },
  {
    what: 'CAST gives no affinity: values compare as they are (S-84)',
    expression: 'CAST(a AS TEXT) = 1',
    a: 1n,
    ours: 0n,
    sqlite: 1n,
  },
  {
    what: 'the right side of IN can be JSON text (S-154)',
    expression: `a IN '[1,2]'`,
    a: 1n,
    ours: 1n,
    sqlite: { error: 'no such table: [1,2]' },
  },
  {
    what: 'what is no array has no members (S-154)',
    expression: 'NOT (1 IN a)',
    theirs: 'NOT (1 IN (SELECT value FROM json_each(a)))',
    a: null,
    ours: null,
    sqlite: 1n,
  },
  {
    what: 'text that is no JSON has no parts (ADR 0006)',
    expression: `a ->> 'a'`,
    a: MALFORMED,
    ours: null,
    sqlite: { error: 'malformed JSON' },
  },
  {
    what: 'text that is no JSON is no array (S-189)',
    expression: 'json_array_length(a)',
    a: MALFORMED,
    ours: 0n,
    sqlite: { error: 'malformed JSON' },
  },
  { what: 'JSON is strict (S-190)', expression: `a ->> 'a'`, a: '{a:1}', ours: null, sqlite: 1n },
  { what: 'a blob is no JSON (S-270)', expression: `a ->> 0`, a: JSONB, ours: null, sqlite: 1n },
  {
    what: 'an empty key is a key (S-177)',
    expression: `a ->> ''`,
    a: '{"":7}',
    ours: 7n,
    sqlite: { error: `bad JSON path: ''` },
  },
  {
    what: 'a real has the fewest digits that tell it (S-276)',
    expression: 'CAST(a AS TEXT)',
    a: 1 / 3,
    ours: '0.3333333333333333',
    sqlite: '0.33333333333333332',
  },
  {
    what: 'bytes that are no UTF-8 are replaced (S-124)',
    expression: `hex(a || '')`,
    a: new Uint8Array([255]),
    ours: 'EFBFBD',
    sqlite: 'FF',
  },
  {
    what: 'the present time is no value (S-120, S-202)',
    expression: 'typeof(datetime(a))',
    a: 'now',
    ours: 'null',
    sqlite: 'text',
  },
  {
    what: 'a time ends with its text, not at NUL (S-195)',
    expression: 'unixepoch(a)',
    a: '2024-01-01\0',
    ours: null,
    sqlite: 1704067200n,
  },
];

describe('documented deviations from SQLite', () => {
  test.each(DEVIATIONS)('$what', ({ expression, theirs, a = null, ours, sqlite }) => {
    expect(expressionOf(expression, ['a'])([a])).toEqual(ours);
    const ask = (): SqliteValue => valueOf(prepare(`SELECT ${theirs ?? expression} AS v FROM (SELECT ? AS a)`).get(a));
    if (typeof sqlite === 'object' && sqlite !== null && 'error' in sqlite) expect(ask).toThrow(sqlite.error);
    else expect(ask()).toEqual(sqlite);
  });
});
