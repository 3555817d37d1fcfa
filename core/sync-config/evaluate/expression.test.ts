import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { COLUMNS, expression, real, row, timeless } from '../testing/random-expressions.ts';
import { expressionOf } from '../testing/support.ts';
import type { SqliteValue } from '../values.ts';

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

const database = new DatabaseSync(':memory:');
afterAll(() => database.close());

/** What real SQLite makes of the expression; columns have no affinity, as values here have none. */
function inSqlite(sql: string, row: readonly SqliteValue[], unlessMalformed?: SqliteValue): SqliteValue {
  const statement = database.prepare(
    `SELECT ${sql} AS v FROM (SELECT ${COLUMNS.map((name) => `? AS ${name}`).join(', ')})`,
  );
  statement.setReadBigInts(true);
  try {
    return statement.get(...row)?.['v'] as SqliteValue;
  } catch (error) {
    // SQLite fails on text that is no JSON; here it is null, and the rest of the expression is evaluated
    if (error instanceof Error && error.message === 'malformed JSON' && unlessMalformed !== undefined)
      return unlessMalformed;
    throw error;
  }
}

describe('expressions equal those of SQLite (S-125)', () => {
  test('random expressions over random rows', () => {
    fc.assert(
      fc.property(expression, fc.array(row, { minLength: 1, maxLength: 5 }), (sql, rows) => {
        fc.pre(timeless(sql));
        digits.beyondSqlite = false;
        const evaluate = expressionOf(sql.ours, COLUMNS);
        for (const values of rows) {
          const result = evaluate(values);
          if (digits.beyondSqlite) return;
          expect({ sql: sql.ours, values, result }).toEqual({
            sql: sql.ours,
            values,
            result: inSqlite(sql.theirs, values, result),
          });
        }
      }),
      { numRuns: Number(process.env['RUNS'] ?? 1500) },
    );
  });

  test('the text of every real', () => {
    const evaluate = expressionOf('CAST(a AS TEXT)', ['a']);
    fc.assert(
      fc.property(real, (number) => {
        const ours = String(evaluate([number]));
        const theirs = String(inSqlite('CAST(a AS TEXT)', [number, null, null, null, null]));
        if (digits.exact(number)) expect(ours).toBe(theirs);
        else expect([Number(ours), ours.includes('e')]).toEqual([number, theirs.includes('e')]);
      }),
      { numRuns: 2000 },
    );
  });
});
