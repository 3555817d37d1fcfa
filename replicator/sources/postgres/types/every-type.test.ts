import { describe, expect, test } from 'vitest';
import type { SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../../contract.ts';
import { edition2, legacy } from '../testing.ts';
import type { TypeCatalog, TypeInfo } from './catalog.ts';
import { createColumnDecoders } from './column-decoders.ts';

/** One test for each row of the table of types; what a real server sends is in types.integration.test.ts. */
function decode(
  type: TypeInfo,
  text: string,
  options: ValueOptions,
  others: Record<number, TypeInfo> = {},
): SqliteValue {
  const catalog: TypeCatalog = {
    get: (oid) => (oid === 1 ? type : (others[oid] ?? null)),
    has: () => true,
    load: async () => undefined,
    outgrown: () => undefined,
    isOutdated: false,
    reload: async () => undefined,
  };
  return createColumnDecoders(catalog, options)(1).fromText(text);
}
const base = (name: string, custom = false): TypeInfo => ({ kind: 'base', name, custom });

test.each<[string, string, string, SqliteValue]>([
  ['S-278', 'text', 'é', 'é'],
  ['S-278', 'varchar', '', ''],
  ['S-279', 'int2', '-32768', -32768n],
  ['S-279', 'int4', '2147483647', 2147483647n],
  ['S-279 S-275', 'int8', '9223372036854775807', 9223372036854775807n],
  ['S-280', 'numeric', '-12345678901234567890.1200', '-12345678901234567890.1200'],
  ['S-281', 'bool', 't', 1n],
  ['S-281', 'bool', 'f', 0n],
  ['S-282', 'float4', '0.1', 0.1],
  ['S-282', 'float8', '-1e+300', -1e300],
  ['S-284', 'uuid', '0123abcd-0000-4000-8000-000000000001', '0123abcd-0000-4000-8000-000000000001'],
  ['S-287', 'date', '2024-02-29', '2024-02-29'],
  ['S-287', 'timetz', '12:34:56.5+02', '12:34:56.5+02'],
  ['S-288', 'json', '{"a": 1.0}', '{"a": 1.0}'],
  ['S-288', 'jsonb', '[1, 2]', '[1, 2]'],
  ['S-289', 'interval', '1 day 02:03:04', '1 day 02:03:04'],
  ['S-290', 'macaddr', '08:00:2b:01:02:03', '08:00:2b:01:02:03'],
  ['S-291', 'inet', '10.0.0.1/8', '10.0.0.1/8'],
  ['S-292', 'bytea', '\\x00ff', Buffer.from([0, 255])],
  ['S-300', 'tsvector', "'a' 'b'", "'a' 'b'"],
])('%s %s %s', (_, name, text, expected) => {
  for (const options of [edition2, legacy]) expect(decode(base(name), text, options)).toEqual(expected);
});

test('S-283 the label of an enum', () => {
  expect(decode({ kind: 'enum' }, 'happy', legacy)).toBe('happy');
});

test('S-293 geometry and geography of PostGIS: the hex text of EWKB', () => {
  const ewkb = '0101000020E6100000000000000000F03F0000000000000040';
  for (const name of ['geometry', 'geography']) expect(decode(base(name, true), ewkb, edition2)).toBe(ewkb);
});

describe('S-287 time', () => {
  test('with six digits in ISO form, as Postgres prints it else', () => {
    expect(decode(base('time'), '12:34:56.5', edition2)).toBe('12:34:56.500000');
    expect(decode(base('time'), '12:34:56.5', legacy)).toBe('12:34:56.5');
  });
});

describe('S-46 what users defined: decoded, or as its text', () => {
  test.each<[string, TypeInfo, string, Record<number, TypeInfo>, SqliteValue]>([
    ['S-295 domain', { kind: 'domain', base: 2 }, '4', { 2: base('int4') }, 4n],
    [
      'S-296 S-301 composite',
      {
        kind: 'composite',
        oid: 1,
        fields: [
          { name: 'street', type: 2 },
          { name: 'zip', type: 3 },
        ],
      },
      '("Main St",80211)',
      { 2: base('text'), 3: base('numeric') },
      '{"street":"Main St","zip":80211}',
    ],
    [
      'S-297 range',
      { kind: 'range', bound: 2 },
      '[1,)',
      { 2: base('int4') },
      '{"lower":1,"upper":null,"lower_exclusive":0,"upper_exclusive":1}',
    ],
    [
      'S-298 multirange',
      { kind: 'multirange', range: 2 },
      '{[1,2)}',
      { 2: { kind: 'range', bound: 3 }, 3: base('int4') },
      '[{"lower":1,"upper":2,"lower_exclusive":0,"upper_exclusive":1}]',
    ],
    [
      'S-299 array of an enum',
      { kind: 'array', element: 2, delimiter: ',' },
      '{sad,NULL}',
      { 2: { kind: 'enum' } },
      '["sad",null]',
    ],
  ])('%s', (_, type, text, others, expected) => {
    expect(decode(type, text, edition2, others)).toEqual(expected);
    expect(decode(type, text, legacy, others)).toBe(text);
  });
  test('S-294 an array of a built-in type is JSON either way', () => {
    const array: TypeInfo = { kind: 'array', element: 2, delimiter: ',' };
    for (const options of [edition2, legacy])
      expect(decode(array, '{a,"b c"}', options, { 2: base('text') })).toBe('["a","b c"]');
  });
});
