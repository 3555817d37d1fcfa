/** Every row of S chapter 8, by its number. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mssqlDecoder } from '#replicator/sources/mssql/values.ts';
import { textDecoder } from '#replicator/sources/mysql/values.ts';
import { createTypeCatalog } from '#replicator/sources/postgres/types/catalog.ts';
import { createColumnDecoders } from '#replicator/sources/postgres/types/column-decoders.ts';
import type { ValueType } from '../result-types.ts';
import type { SqliteValue } from '../values.ts';
import type { SourceKind } from './contract.ts';
import { catalogName } from './postgresql.ts';
import { valueTypeOf } from './value-type-of.ts';

type Row = readonly [number: number, names: readonly string[], becomes: ValueType | null];

const CHAPTER: Readonly<Record<SourceKind, readonly Row[]>> = {
  postgresql: [
    [278, ['text', 'varchar', 'varchar(20)', 'character varying(20)', 'character varying'], 'text'],
    [279, ['int2', 'int4', 'int8', 'smallint', 'integer', 'int', 'bigint'], 'integer'],
    [280, ['numeric', 'decimal', 'numeric(10,2)', 'Decimal (10, 2)'], 'text'],
    [281, ['bool', 'boolean'], 'integer'],
    [282, ['float4', 'float8', 'real', 'double precision'], 'real'],
    [283, ['mood', 'public.mood', '"Mood"', 'public."int4"', '"bool"'], 'text'],
    [284, ['uuid'], 'text'],
    [285, ['timestamptz', 'timestamp with time zone', 'timestamp(3) with time zone', 'timestamptz(3)'], 'text'],
    [286, ['timestamp', 'timestamp without time zone', 'timestamp(0) without time zone'], 'text'],
    [287, ['date', 'time', 'time without time zone', 'time(3) with time zone', 'timetz'], 'text'],
    [288, ['json', 'jsonb'], 'text'],
    [289, ['interval', 'interval day to second(3)', 'interval(3)'], 'text'],
    [290, ['macaddr', 'macaddr8'], 'text'],
    [291, ['inet', 'cidr'], 'text'],
    [292, ['bytea', 'BYTEA', 'pg_catalog.bytea'], 'blob'],
    [293, ['geometry', 'geography', 'geometry(Point,4326)', 'public.geometry(PointZ)'], 'text'],
    [294, ['text[]', '_text', 'int4[]', 'integer[][]', 'bytea[]', '_bytea', 'numeric(10,2)[]', 'boolean[3]'], 'text'],
    [295, ['email', 'public.email', 'public.bytea'], 'text'],
    [296, ['address'], 'text'],
    [297, ['int4range', 'tstzrange', 'numrange'], 'text'],
    [298, ['int4multirange'], 'text'],
    [299, ['address[]', '"Address"[]', 'public._address'], 'text'],
    [300, ['money', 'bit(8)', 'bit varying(8)', 'point', 'tsvector', 'xml', 'char(3)', '"char"', 'hstore'], 'text'],
  ],
  mongodb: [
    [303, ['String', 'string'], 'text'],
    [304, ['Int', 'Long', 'int', 'long', 'Int32', 'int | long'], 'integer'],
    [305, ['Double', 'double', 'Double | Null', 'Int | Double', 'double|long|null'], 'real'],
    [306, ['Decimal128', 'decimal'], 'text'],
    [307, ['Object', 'object'], 'text'],
    [308, ['Array', 'array', 'Array | Object'], 'text'],
    [309, ['ObjectId', 'objectId'], 'text'],
    [310, ['UUID'], 'text'],
    [311, ['Boolean', 'bool', 'bool | null | undefined'], 'integer'],
    [312, ['Date', 'date'], 'text'],
    [313, ['Null', 'null'], null],
    [314, ['Binary', 'binData'], 'blob'],
    [315, ['Regular expression', 'regex', 'BSONRegExp'], 'text'],
    [316, ['Timestamp', 'timestamp'], 'integer'],
    [317, ['Undefined', 'undefined'], null],
    [318, ['DBPointer', 'dbPointer'], 'text'],
    [319, ['JavaScript', 'javascript', 'javascriptWithScope'], 'text'],
    [320, ['Symbol', 'symbol'], 'text'],
    [321, ['MinKey', 'MaxKey', 'minKey | maxKey', 'null|undefined'], null],
    // several types of which none holds the others
    [322, ['String | Int', 'Binary | String', 'Int | Double | String', 'Int | Nothing'], null],
  ],
  mysql: [
    [324, ['tinyint', 'smallint', 'mediumint', 'int', 'integer', 'bigint'], 'integer'],
    [324, ['tinyint(1)', 'int(10) unsigned', 'bigint unsigned zerofill', 'INT(11)'], 'integer'],
    [325, ['numeric', 'decimal', 'decimal(10,2)', 'decimal(10,2) unsigned'], 'text'],
    [326, ['bool', 'boolean'], 'integer'],
    [327, ['float', 'double', 'real', 'double(10,2)', 'float unsigned', 'double precision'], 'real'],
    [328, ['enum', "enum('a','b')", "ENUM('x) unsigned','it''s','(')", "enum('blob')"], 'text'],
    [329, ['set', "set('a','b')"], 'text'],
    [330, ['char', 'varchar', 'varchar(20)', 'char(3) character set utf8mb4 collate utf8mb4_bin'], 'text'],
    [331, ['tinytext', 'text', 'mediumtext', 'longtext'], 'text'],
    [332, ['timestamp', 'timestamp(6)'], 'text'],
    [333, ['date'], 'text'],
    [334, ['time', 'datetime', 'time(3)', 'datetime(6)'], 'text'],
    [335, ['year', 'year(4)'], 'text'],
    [336, ['json'], 'text'],
    [337, ['bit', 'bit(1)'], 'blob'],
    [338, ['binary', 'varbinary', 'binary(16)', 'varbinary(255)'], 'blob'],
    [338, ['tinyblob', 'blob', 'mediumblob', 'longblob', 'blob(10)'], 'blob'],
    [339, ['image'], 'blob'],
    [340, ['geometry', 'geometrycollection', 'geomcollection'], 'blob'],
    [341, ['point', 'multipoint'], 'blob'],
    [342, ['linestring', 'multilinestring'], 'blob'],
    [343, ['polygon', 'multipolygon'], 'blob'],
  ],
  mssql: [
    [344, ['tinyint', 'smallint', 'int', 'bigint', '[int]', '[sys].[bigint]'], 'integer'],
    [345, ['numeric', 'decimal', 'decimal(10,2)', 'NUMERIC(18, 0)'], 'text'],
    [346, ['float', 'real', 'float(53)'], 'real'],
    [347, ['bit'], 'integer'],
    [348, ['money', 'smallmoney'], 'text'],
    [349, ['xml'], 'text'],
    [350, ['char', 'nchar', 'ntext', 'nchar(10)'], 'text'],
    [351, ['varchar', 'nvarchar', 'text', 'nvarchar(max)', 'varchar(20)'], 'text'],
    [352, ['uniqueidentifier'], 'text'],
    [353, ['timestamp'], 'blob'], // question 7 of chapter 23
    [354, ['date'], 'text'],
    [355, ['time', 'time(7)'], 'text'],
    [356, ['datetime', 'datetime2', 'smalldatetime', 'datetimeoffset', 'datetime2(7)', 'datetimeoffset(3)'], 'text'],
    [357, ['json'], 'text'],
    [358, ['geometry', 'geography'], 'text'],
    [359, ['binary', 'varbinary', 'image', 'varbinary(max)'], 'blob'],
    [360, ['rowversion', 'timestamp'], 'blob'],
    [361, ['hierarchyid', 'sys.hierarchyid'], 'blob'],
  ],
  convex: [
    [362, ['Id', 'id', 'Id<"users">', 'v.id("users")'], 'text'],
    [363, ['Null', 'v.null()'], null],
    [364, ['Int64', 'v.int64()', 'Int64 | Null'], 'text'], // question 8 of chapter 23
    [365, ['Float64', 'v.float64()', 'v.number()'], 'real'],
    [366, ['Boolean', 'v.boolean()'], 'integer'],
    [367, ['String', 'v.string()'], 'text'],
    [368, ['Bytes', 'v.bytes()'], 'text'], // question 8 of chapter 23
    [369, ['Array', 'Array<Float64>', 'Array<Float64 | Null> | Null', 'v.array(v.number())'], 'text'],
    [370, ['Object', 'object', 'Object | Array<Boolean>'], 'text'],
    [371, ['Record', 'Record<Id<"users">, Float64>'], 'text'],
    // what the schema cannot tell
    [372, ['Any', 'Boolean | String', 'v.any()'], null],
  ],
};
const KINDS = Object.keys(CHAPTER) as SourceKind[];

describe.each(KINDS)('%s', (kind) => {
  test.each(CHAPTER[kind].map(([number, names, becomes]) => ({ number: `S-${number}`, names, becomes })))(
    '$number: $names',
    ({ names, becomes }) => {
      const found = names.flatMap((name) =>
        [name, name.toUpperCase(), ` ${name} `].map((form) => [form, valueTypeOf(kind, form)]),
      );
      expect(Object.fromEntries(found)).toEqual(Object.fromEntries(found.map(([form]) => [form, becomes])));
    },
  );

  test('what is no type of it tells nothing, and no name breaks it', () => {
    for (const name of ['', ' ', '()', 'constructor', '__proto__', 'toString']) {
      const known = kind === 'postgresql' && name.trim() !== '' && name !== '()';
      expect([name, valueTypeOf(kind, name)]).toEqual([name, known ? 'text' : null]);
    }
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'int4 ()[]<>|".,\'x_\n'.split('')) }), (name) => {
        expect([null, 'text', 'integer', 'real', 'blob']).toContain(valueTypeOf(kind, name));
      }),
    );
  });
});

test('no row of the chapter is left out', () => {
  const numbers = new Set(KINDS.flatMap((kind) => CHAPTER[kind].map(([number]) => number)));
  const tables = [...range(278, 300), ...range(303, 321), ...range(324, 371)];
  expect(tables.filter((number) => !numbers.has(number))).toEqual([]);
});

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, at) => from + at);

/** As the evaluator sees a value. */
function typeOf(value: SqliteValue): ValueType | null {
  const types = { bigint: 'integer', number: 'real', string: 'text', object: 'blob' } as const;
  return value === null ? null : types[typeof value as keyof typeof types];
}
const OPTIONS = { timestampsIso8601: true, timestampMaxPrecision: null, customPostgresTypes: true };

describe('Postgres', () => {
  /** Built-in types by their oid, with a value as the server prints it. */
  const TEXTS: readonly (readonly [oid: number, text: string])[] = [
    [16, 't'],
    [17, '\\x01'],
    [18, 'c'],
    [19, 'n'],
    [20, '1'],
    [21, '1'],
    [23, '1'],
    [25, 't'],
    [26, '1'],
    [114, '{}'],
    [700, '1'],
    [701, '1.5'],
    [1042, 'c '],
    [1043, 'v'],
    [1082, '2024-02-29'],
    [1083, '12:34:56'],
    [1114, '2024-02-29 12:34:56'],
    [1184, '2024-02-29 12:34:56+00'],
    [1186, '1 day'],
    [1266, '12:34:56+02'],
    [1700, '1'],
    [2950, '3f5a31dc-0882-5963-984d-ef07293fc3fa'],
    [3802, '{}'],
  ];

  test.each(TEXTS)('values of the stream have the type that is told of their column: type %i', (oid, text) => {
    const none = (): Promise<never> => Promise.reject(new Error('all are built in'));
    const catalog = createTypeCatalog(none, none);
    const value = createColumnDecoders(catalog, OPTIONS)(oid).fromText(text);
    const type = catalog.get(oid);
    const name = type?.kind === 'base' ? type.name : '';
    expect([name, valueTypeOf('postgresql', name === 'char' ? '"char"' : name)]).toEqual([
      expect.stringMatching(/./),
      typeOf(value),
    ]);
  });

  test.each([
    // as recorded: wire/10, exchange "schema"
    ['uuid', 'uuid'],
    ['text', 'text'],
    ['boolean', 'bool'],
    ['smallint', 'int2'],
    ['integer', 'int4'],
    ['bigint', 'int8'],
    ['real', 'float4'],
    ['double precision', 'float8'],
    ['numeric', 'numeric'],
    ['timestamp with time zone', 'timestamptz'],
    ['character varying(20)', 'varchar'],
    ['character(5)', 'bpchar'],
    ['"char"', 'char'],
    ['timestamp(3) without time zone', 'timestamp'],
    ['time(3) with time zone', 'timetz'],
    ['bit varying(3)', 'varbit'],
    ['interval day to second(3)', 'interval'],
    ['integer[]', '_int4'],
    ['character varying(20)[]', '_varchar'],
    ['public.mood', 'mood'],
    ['"My ""own"" (type)"[]', '_My "own" (type)'],
    ['geometry(Point,4326)', 'geometry'],
  ])('%s is %s in the catalog', (typeName, name) => {
    expect(catalogName(typeName)).toBe(name);
  });
});

/** Names as the catalogs of the servers have them, with a value as their drivers give it. */
const ALIKE = [
  'varchar',
  'char',
  'text',
  'date',
  'time',
  'datetime',
  'timestamp',
  'decimal',
  'json',
  'geometry',
  'varbinary',
  'binary',
];
const INTEGERS = ['tinyint', 'smallint', 'int', 'bigint'];

test.each([
  ...ALIKE,
  ...INTEGERS,
  'mediumint',
  'float',
  'double',
  'enum',
  'set',
  'tinytext',
  'mediumtext',
  'longtext',
  'year',
  'bit',
  'tinyblob',
  'blob',
  'mediumblob',
  'longblob',
  'geomcollection',
  'point',
  'multipoint',
  'linestring',
  'multilinestring',
  'polygon',
  'multipolygon',
  'vector',
])('MySQL: values have the type that is told of their column: %s', (type) => {
  const text = /^(date|time)/.test(type) ? '2024-02-29 12:34:56' : '1';
  const column = { name: 'c', type, fullType: type } as Parameters<typeof textDecoder>[0];
  const decode = textDecoder(column, OPTIONS);
  expect(valueTypeOf('mysql', type)).toBe(typeOf(decode(Buffer.from(text))));
});

const [date, bytes, shape] = [new Date(0), Buffer.from('1'), { points: [] }];
test.each([
  ...INTEGERS.map((type) => [type, '1'] as const),
  ...['numeric', 'decimal', 'money', 'smallmoney', 'sql_variant', 'xml', 'char', 'nchar', 'ntext'].map(
    (type) => [type, '1.0'] as const,
  ),
  ...['varchar', 'nvarchar', 'text', 'sysname', 'uniqueidentifier', 'json'].map((type) => [type, '1'] as const),
  ...['date', 'time', 'datetime', 'datetime2', 'smalldatetime', 'datetimeoffset'].map((type) => [type, date] as const),
  ...['binary', 'varbinary', 'image', 'timestamp', 'rowversion', 'hierarchyid'].map((type) => [type, bytes] as const),
  ...['geometry', 'geography'].map((type) => [type, shape] as const),
  ['bit', true] as const,
  ...['float', 'real'].map((type) => [type, 1.5] as const),
])('SQL Server: values have the type that is told of their column: %s', (type, value) => {
  expect(valueTypeOf('mssql', type)).toBe(typeOf(mssqlDecoder({ name: 'c', type, scale: 1 }, OPTIONS)(value)));
});
