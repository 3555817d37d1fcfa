import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codesOf, contributionOf, planOf, streamOf, table } from '../testing/support.ts';

/** The synced JSON of a row whose columns are id and `column`. */
const synced = (query: string, column: string): (string | null)[] =>
  contributionOf(planOf(streamOf(query)), table('t', ['id', column]), ['1', 'v']).buckets.map(({ data }) => data);

const WORDS =
  `order group left right full match filter over window offset limit values any end for like in is null case select from where
  as on join using distinct not and or true exists cast array row schema auth subscription constructor`.split(/\s+/);

describe('names (S-143, S-144, S-244)', () => {
  test.each(WORDS)('%s as a column', (word) => {
    const expected = [`{"id":"1","${word}":"v"}`];
    expect(synced(`SELECT id, "${word}" FROM t`, word)).toEqual(expected);
    expect(synced(`SELECT id, t.${word} FROM t`, word)).toEqual(expected);
    expect(
      synced(`SELECT id, T.${word.toUpperCase()} AS ${word.toUpperCase()} FROM t WHERE t.${word} = 'v'`, word),
    ).toEqual(expected);
  });

  test.each(
    `left right full match filter over window offset limit values any for like array row cast auth constructor`.split(
      ' ',
    ),
  )('%s as a bare column', (word) => {
    expect(synced(`SELECT id, ${word} FROM t WHERE ${word} = 'v' AND NOT ${word} IS NULL`, word)).toEqual([
      `{"id":"1","${word}":"v"}`,
    ]);
  });

  test('joins and clauses are still what they are', () => {
    expect(codesOf(streamOf('SELECT t.* FROM t LEFT JOIN u ON t.a = u.a'))).toEqual(['R2202']);
    expect(codesOf(streamOf('SELECT * FROM t LIMIT 1'))).toEqual(['R2201']);
    expect(codesOf(streamOf("SELECT * FROM t WHERE a LIKE 'x'"))).toEqual(['R2205']);
    expect(codesOf(streamOf('SELECT id, max(a) FILTER (WHERE b) AS x FROM t'))).toEqual(['R2201']);
    expect(codesOf(streamOf('SELECT * FROM t WHERE a = ANY (b)'))).toEqual(['R2203']);
    expect(codesOf(streamOf('SELECT id, order FROM t'))).toEqual(['R2101']);
  });

  test('a quoted name may contain anything printable, a string too; the quote is doubled', () => {
    const anything = fc
      .string({ unit: 'grapheme', minLength: 1 })
      .filter((item) => item !== 'id' && item !== '__proto__');
    fc.assert(
      fc.property(anything, anything, (name, value) => {
        const query = `SELECT id, '${value.replaceAll("'", "''")}' AS "${name.replaceAll('"', '""')}" FROM t`;
        expect(synced(query, 'x').map((data) => JSON.parse(data ?? '') as unknown)).toEqual([
          { id: '1', [name]: value },
        ]);
      }),
    );
  });

  test('unquoted names are lower case, ASCII letters only', () => {
    expect(synced('SELECT ID, Ab_1 FROM T', 'ab_1')).toEqual(['{"id":"1","ab_1":"v"}']);
    expect(codesOf(streamOf('SELECT id, größe FROM t'))).toEqual(['R2104']);
  });
});
