import { describe, expect, test } from 'vitest';
import type { SqliteValue } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../../contract.ts';
import { edition2, legacy } from '../testing.ts';
import type { TypeCatalog, TypeInfo } from './catalog.ts';
import { createColumnDecoders } from './column-decoders.ts';

const types = new Map<number, TypeInfo>(
  Object.entries<TypeInfo>({
    16: { kind: 'base', name: 'bool', custom: false },
    17: { kind: 'base', name: 'bytea', custom: false },
    20: { kind: 'base', name: 'int8', custom: false },
    23: { kind: 'base', name: 'int4', custom: false },
    25: { kind: 'base', name: 'text', custom: false },
    114: { kind: 'base', name: 'json', custom: false },
    701: { kind: 'base', name: 'float8', custom: false },
    1114: { kind: 'base', name: 'timestamp', custom: false },
    1700: { kind: 'base', name: 'numeric', custom: false },
    1007: { kind: 'array', element: 23, delimiter: ',' },
    1231: { kind: 'array', element: 1700, delimiter: ',' },
    1000: { kind: 'array', element: 16, delimiter: ',' },
    1022: { kind: 'array', element: 701, delimiter: ',' },
    199: { kind: 'array', element: 114, delimiter: ',' },
    1115: { kind: 'array', element: 1114, delimiter: ',' },
    3904: { kind: 'range', bound: 23 },
    3905: { kind: 'array', element: 3904, delimiter: ',' },
    4451: { kind: 'multirange', range: 3904 },
    20000: { kind: 'enum' },
    20001: { kind: 'array', element: 20000, delimiter: ',' },
    20002: { kind: 'domain', base: 23 },
    20003: { kind: 'domain', base: 20002 },
    20004: {
      kind: 'composite',
      oid: 20004,
      fields: [
        { name: 'street', type: 25 },
        { name: 'zip', type: 1700 },
        { name: 'more "info"', type: 114 },
      ],
    },
    20005: { kind: 'array', element: 20004, delimiter: ',' },
    // A tree: composite with an array of itself.
    20006: {
      kind: 'composite',
      oid: 20006,
      fields: [
        { name: 'v', type: 23 },
        { name: 'children', type: 20007 },
      ],
    },
    20007: { kind: 'array', element: 20006, delimiter: ',' },
    20008: { kind: 'domain', base: 1007 },
    20009: { kind: 'base', name: 'text', custom: true },
  }).map(([oid, type]) => [Number(oid), type]),
);
const catalog: TypeCatalog = {
  get: (oid) => types.get(oid) ?? null,
  has: () => true,
  load: async () => undefined,
  outgrown: () => undefined,
  isOutdated: false,
  reload: async () => undefined,
};
const decode = (options: ValueOptions, oid: number, text: string): SqliteValue =>
  createColumnDecoders(catalog, options)(oid).fromText(text);

describe('what edition 2 decodes, and what legacy leaves as text (S-46, S-294…S-301)', () => {
  test.each<[string, number, string, SqliteValue, SqliteValue]>([
    ['int4[]', 1007, '{1,NULL,3}', '[1,null,3]', '[1,null,3]'],
    ['numeric[] keeps its digits', 1231, '{1.50,NaN}', '["1.50","NaN"]', '["1.50","NaN"]'],
    ['bool[]', 1000, '{t,f}', '[1,0]', '[1,0]'],
    ['float8[]', 1022, '{1.5,NaN,-Infinity,1e+20}', '[1.5,null,null,1e+20]', '[1.5,null,null,1e+20]'],
    ['json[] embeds', 199, String.raw`{"{\"a\": 1}"}`, '[{"a": 1}]', '[{"a": 1}]'],
    ['timestamp[]', 1115, '{"2024-01-02 03:04:05"}', '["2024-01-02T03:04:05.000000"]', '["2024-01-02 03:04:05"]'],
    ['range', 3904, '[1,5)', '{"lower":1,"upper":5,"lower_exclusive":0,"upper_exclusive":1}', '[1,5)'],
    ['unbounded range', 3904, '(,)', '{"lower":null,"upper":null,"lower_exclusive":1,"upper_exclusive":1}', '(,)'],
    ['empty range', 3904, 'empty', 'empty', 'empty'],
    [
      'array of ranges',
      3905,
      '{"[1,2)",empty}',
      '[{"lower":1,"upper":2,"lower_exclusive":0,"upper_exclusive":1},"empty"]',
      '{"[1,2)",empty}',
    ],
    ['multirange', 4451, '{[1,2)}', '[{"lower":1,"upper":2,"lower_exclusive":0,"upper_exclusive":1}]', '{[1,2)}'],
    ['enum', 20000, 'happy', 'happy', 'happy'],
    ['array of enum', 20001, '{sad,happy}', '["sad","happy"]', '{sad,happy}'],
    ['domain', 20002, '4', 4n, '4'],
    ['domain of a domain', 20003, '4', 4n, '4'],
    ['domain of an array', 20008, '{1}', '[1]', '{1}'],
    [
      'composite',
      20004,
      '(Main,80211,"{""k"": [1]}")',
      '{"street":"Main","zip":80211,"more \\"info\\"":{"k": [1]}}',
      '(Main,80211,"{""k"": [1]}")',
    ],
    ['nulls in a composite', 20004, '(,,)', '{"street":null,"zip":null,"more \\"info\\"":null}', '(,,)'],
    ['array of composites', 20005, '{"(a,1.5,)"}', '[{"street":"a","zip":1.5,"more \\"info\\"":null}]', '{"(a,1.5,)"}'],
    ['recursive type', 20006, '(1,"{""(2,)""}")', '{"v":1,"children":[{"v":2,"children":null}]}', '(1,"{""(2,)""}")'],
    ['type of an extension', 20009, 'x', 'x', 'x'],
    ['unknown type', 99999, 'x', 'x', 'x'],
  ])('%s', (_name, oid, text, modern, old) => {
    expect(decode(edition2, oid, text)).toEqual(modern);
    expect(decode(legacy, oid, text)).toEqual(old);
  });
});

describe('scalars', () => {
  test.each<[number, string, SqliteValue]>([
    [16, 't', 1n],
    [16, 'f', 0n],
    [20, '-9223372036854775808', -9223372036854775808n],
    [701, 'NaN', Number.NaN],
    [701, '-Infinity', Number.NEGATIVE_INFINITY],
    [701, '1e-07', 1e-7],
    [1700, '12345678901234567890.10', '12345678901234567890.10'],
    [17, String.raw`\x00ff`, Buffer.from([0, 255])],
    [17, String.raw`\x`, Buffer.alloc(0)],
  ])('%d %s', (oid, text, expected) => {
    expect(decode(edition2, oid, text)).toEqual(expected);
  });
});

test('text that is not of its type is passed on as text', () => {
  expect(decode(edition2, 1007, 'nonsense')).toBe('"nonsense"');
  expect(decode(edition2, 20004, '(one,2,,more)')).toBe('"(one,2,,more)"');
});
