import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expressionOf } from '../testing/support.ts';
import type { SqliteValue } from '../values.ts';

/** What SQLite has no counterpart for; the rest is compared with it in expression.test.ts. */
const of = (sql: string, a: SqliteValue = null, fixedJsonExtract = true): SqliteValue =>
  expressionOf(sql, ['a'], fixedJsonExtract)([a]);
const bytes = fc.uint8Array({ maxLength: 40 });
const json = fc.jsonValue().map((value) => JSON.stringify(value));

describe('functions beyond SQLite', () => {
  test('base64 of blobs and texts (S-183)', () => {
    expect([of('base64(a)'), of('base64(a)', 'é'), of('base64(a)', 12n), of('base64(a)', '')]).toEqual([
      null,
      'w6k=',
      'MTI=',
      '',
    ]);
    fc.assert(
      fc.property(bytes, (blob) => {
        expect(of('base64(a)', blob)).toBe(btoa(String.fromCharCode(...blob)));
      }),
    );
  });

  test('uuid_blob: 16 bytes, or null (S-196)', () => {
    fc.assert(
      fc.property(fc.uuid(), (uuid) => {
        expect(of('hex(uuid_blob(a))', uuid)).toBe(uuid.replaceAll('-', '').toUpperCase());
        expect(of('hex(uuid_blob(upper(a)))', uuid)).toBe(uuid.replaceAll('-', '').toUpperCase());
      }),
    );
    for (const none of [null, '', 'x', 7n, '123e4567-e89b-12d3-a456-42661417400', new Uint8Array(15)]) {
      expect(of('uuid_blob(a)', none)).toBeNull();
    }
  });

  test('json_keys: the keys of an object, null for anything else (S-191)', () => {
    fc.assert(
      fc.property(json, (text) => {
        const value: unknown = JSON.parse(text);
        const object = typeof value === 'object' && value !== null && !Array.isArray(value);
        const keys = of('json_keys(a)', text);
        expect(keys === null ? null : (JSON.parse(String(keys)) as unknown)).toEqual(
          object ? Object.keys(value) : null,
        );
      }),
    );
    expect(of('json_keys(a)', ' { "a\\u0062" : 1 , "" : {"x":2} } ')).toBe('["a\\u0062",""]');
    expect(of("'ab' IN json_keys(a)", '{"a\\u0062":1}')).toBe(1n);
    expect(of('json_keys(a)', '{"a":1')).toBeNull();
  });

  test('names are case-insensitive (S-128)', () => {
    expect([of('UPPER(a)', 'x'), of('Json_Keys(a)', '{"x":1}'), of('cast(a As Text)', 1n)]).toEqual([
      'X',
      '["x"]',
      '1',
    ]);
  });
});

describe('JSON paths (S-45, S-177, S-188)', () => {
  const text = '{"a.b":1,"a":{"b":2,"c":[10,{"d":20}]},"$":3,"[0]":4}';

  test.each([
    ["a ->> 'a.b'", 1n, 2n],
    ["a ->> 'a'", '{"b":2,"c":[10,{"d":20}]}', '{"b":2,"c":[10,{"d":20}]}'],
    ["a ->> '$.a.b'", 2n, 2n],
    ["a ->> '$.a.c[1].d'", 20n, 20n],
    ["a -> 'a' -> 'c' ->> 0", 10n, 10n],
    ["a -> 'a' -> 'c' ->> -1", '{"d":20}', '{"d":20}'],
    ["a ->> 'a.c.d'", null, null],
    ["json_extract(a, '$.a.b')", 2n, 2n],
    ['a ->> \'$."a.b"\'', 1n, 1n],
  ])('%s', (sql, fixed, legacy) => {
    expect([of(sql, text), of(sql, text, false)]).toEqual([fixed, legacy]);
  });

  test('a dotted key without $ is one key, or with legacy paths the way to a nested one', () => {
    const part = fc.stringMatching(/^[a-z]{1,3}$/);
    fc.assert(
      fc.property(fc.array(part, { minLength: 2, maxLength: 4 }), (parts) => {
        const dotted = parts.join('.');
        const nested = JSON.stringify(parts.reduceRight<unknown>((inner, key) => ({ [key]: inner }), 7));
        const flat = JSON.stringify({ [dotted]: 7 });
        expect([of(`a ->> '${dotted}'`, nested), of(`a ->> '${dotted}'`, flat)]).toEqual([null, 7n]);
        expect([of(`a ->> '${dotted}'`, nested, false), of(`a ->> '${dotted}'`, flat, false)]).toEqual([7n, null]);
        expect(of(`a ->> '$.${dotted}'`, nested, false)).toBe(7n);
      }),
    );
  });

  test('numbers and texts inside of JSON stay exactly what they are (S-272)', () => {
    expect(of("a -> 'x'", '{"x": [1.50, 1E5, 12345678901234567890, "\\u00e9"] }')).toBe(
      '[1.50,1E5,12345678901234567890,"\\u00e9"]',
    );
    expect(of("a ->> 'x'", '{"x":9223372036854775807}')).toBe(9223372036854775807n);
  });
});
