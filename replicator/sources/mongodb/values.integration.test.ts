import { Decimal128, Double, Int32, Long, MongoClient, ObjectId, Timestamp, UUID } from 'mongodb';
import { expect, test } from 'vitest';
import { mongodb } from '#test/services/mongodb.ts';
import type { ValueOptions } from '../contract.ts';
import { cstringStop, documentStop, valueEnd } from './bson-bytes.ts';
import { readPlainly } from './plain-mapping.fixture.ts';
import { createDocumentReader } from './values.ts';

const iso: ValueOptions = { timestampsIso8601: true, timestampMaxPrecision: null, customPostgresTypes: true };
const id = new ObjectId('65a1b2c3d4e5f60718293a4b');
const uuid = new UUID('01234567-89ab-cdef-0123-456789abcdef');

/** Where the document lies in an event. */
function fullDocumentIn(event: Buffer): [number, number] {
  const stop = documentStop(event, 0, event.length);
  for (let at = 4; at < stop;) {
    const valueAt = cstringStop(event, at + 1, stop) + 1;
    const end = valueEnd(event, event[at]!, valueAt, stop);
    if (event.toString('utf8', at + 1, valueAt - 1) === 'fullDocument') return [valueAt, end];
    at = end;
  }
  throw new Error('The event has no fullDocument.');
}

test('what the driver hands out with raw: true is what is read: from a collection, and inside an event of a change stream (R-256)', async () => {
  await using database = await (await mongodb()).createDatabase();
  const client = await new MongoClient(database.url).connect();
  try {
    const rows = await client.db().createCollection('rows');
    const { operationTime } = await client.db().command({ hello: 1 });
    await rows.insertOne({
      _id: id,
      s: 'é',
      i: new Int32(1),
      l: Long.fromString('9223372036854775807'),
      d: new Double(3),
      n: Decimal128.fromString('1.50'),
      u: uuid,
      t: new Timestamp({ t: 1_741_064_767, i: 5 }),
      at: new Date('2025-03-04T05:06:07.123Z'),
      r: /a"b/im,
      o: { a: [true, null, { x: new Double(0.5), b: Buffer.from([1]) }], u: uuid },
    });
    const [copied] = await rows.find({}, { raw: true }).toArray();
    const changes = rows.aggregate([{ $changeStream: { startAtOperationTime: operationTime as Timestamp } }], {
      raw: true,
    });
    const event = (await changes.next()) as unknown as Buffer;
    await changes.close();
    const [from, to] = fullDocumentIn(event);
    const reader = createDocumentReader(iso);
    const expected = {
      columns: ['_id', 's', 'i', 'l', 'd', 'n', 'u', 't', 'at', 'r', 'o'],
      values: [
        '65a1b2c3d4e5f60718293a4b',
        'é',
        1n,
        9223372036854775807n,
        3,
        '1.50',
        '01234567-89ab-cdef-0123-456789abcdef',
        (1_741_064_767n << 32n) | 5n,
        '2025-03-04T05:06:07.123Z',
        '{"pattern":"a\\"b","options":"im"}',
        '{"a":[1,null,{"x":0.5}],"u":"01234567-89ab-cdef-0123-456789abcdef"}',
      ],
    };
    expect(reader.read(copied as unknown as Buffer)).toEqual(expected);
    expect(reader.read(event, from, to)).toEqual(expected);
    expect([...readPlainly(copied as unknown as Buffer, iso).values()]).toEqual(expected.values);
  } finally {
    await client.close();
  }
});
