import { globSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { contributionOf, planOf, streamOf, table } from '#core/sync-config/testing/support.ts';
import type { SourceRow } from '#core/sync-config/values.ts';
import type { ValueOptions } from '../contract.ts';
import { createConvexReader, type ConvexRow } from '../convex/values.ts';
import {
  bsonDocument,
  binaryBytes,
  doubleBytes,
  element,
  int64Bytes,
  stringBytes,
} from '../mongodb/bson-documents.fixture.ts';
import { bsonType } from '../mongodb/bson-bytes.ts';
import { createDocumentReader, type DocumentRow } from '../mongodb/values.ts';
import { createMssqlRowReader } from '../mssql/values.ts';
import { createMysqlRowReader } from '../mysql/values.ts';

const options: ValueOptions = { timestampsIso8601: true, timestampMaxPrecision: null, customPostgresTypes: true };
const names = ['_id', 'n', 'r', 'b', 'j'];
const blob = Buffer.from([0xab, 0xcd]);
const json = '{"a":[1]}';
const exact = 9223372036854775807n;

/** The same row from each source, where it has such a type. */
const rows: Readonly<Record<string, SourceRow>> = {
  MongoDB: (
    createDocumentReader(options).read(
      bsonDocument([
        element('_id', bsonType.string, stringBytes('k')),
        element('n', bsonType.int64, int64Bytes(exact)),
        element('r', bsonType.double, doubleBytes(3)),
        element('b', bsonType.binary, binaryBytes(0, blob)),
        element(
          'j',
          bsonType.object,
          bsonDocument([element('a', bsonType.array, bsonDocument([element('0', bsonType.int64, int64Bytes(1n))]))]),
        ),
      ]),
    ) as DocumentRow
  ).values,
  MySQL: createMysqlRowReader(
    ['varchar', 'bigint', 'double', 'blob', 'json'].map((type, index) => ({
      name: names[index]!,
      type,
      fullType: type,
      charset: null,
    })),
    options,
  )(['k', String(exact), '3', blob, json].map((value) => Buffer.from(value as string))) as SourceRow,
  'SQL Server': createMssqlRowReader(
    ['nvarchar', 'bigint', 'float', 'varbinary', 'json'].map((type, index) => ({
      name: names[index]!,
      type,
      scale: 0,
    })),
    options,
  )(['k', String(exact), 3, blob, json]) as SourceRow,
};

const synced = (query: string, row: SourceRow): unknown =>
  contributionOf(planOf(streamOf(query)), table('t', names), row).buckets.map(({ data }) => data);

describe.each(Object.entries(rows))('%s to the client', (_, row) => {
  test('exact integers, reals with their fraction, JSON as text; a blob is left out (S-269, S-271, S-275, S-276, S-277)', () => {
    expect(synced('SELECT _id AS id, * FROM t', row)).toEqual([
      `{"id":"k","_id":"k","n":9223372036854775807,"r":3.0,"j":${JSON.stringify(json)}}`,
    ]);
  });
  test('a blob is there for expressions, converted (S-270)', () => {
    expect(synced("SELECT _id AS id, hex(b) AS h, base64(b) AS x FROM t WHERE hex(b) = 'ABCD'", row)).toEqual([
      '{"id":"k","h":"ABCD","x":"q80="}',
    ]);
  });
  test('JSON functions work on the text (S-272)', () => {
    expect(synced("SELECT _id AS id, j ->> '$.a[0]' AS a FROM t", row)).toEqual(['{"id":"k","a":1}']);
  });
});

test('Convex: texts where the others have integers and blobs (S-364, S-368)', () => {
  const row = createConvexReader()(`{"_id":"k","n":"${exact}","r":3,"b":"q80=","j":${json}}`) as ConvexRow;
  expect(synced('SELECT _id AS id, CAST(n AS INTEGER) AS n, r, b, j FROM t', row.values)).toEqual([
    `{"id":"k","n":9223372036854775807,"r":3.0,"b":"q80=","j":${JSON.stringify(json)}}`,
  ]);
});

test('each requirement of the mapping of types is cited by a test', () => {
  const root = new URL('../../../', import.meta.url);
  const citedIn = (pattern: string): Set<number> =>
    new Set(
      globSync(pattern, { cwd: root }).flatMap((path) =>
        Array.from(readFileSync(new URL(path, root), 'utf8').matchAll(/\bS-(\d+)/g), ([, number]) => Number(number)),
      ),
    );
  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);
  // What holds for every source is the evaluator's business too, and the casts of the client (S-274) are only its own.
  const general = citedIn('{core/sync-config,replicator/sources}/**/*.test.ts');
  const bySource = citedIn('replicator/sources/**/*.test.ts');
  expect(range(269, 277).filter((number) => !general.has(number))).toEqual([]);
  expect([43, 46, 48, 49, 50, ...range(278, 373)].filter((number) => !bySource.has(number))).toEqual([]);
});
