import { createHash } from 'node:crypto';
import { deserialize, EJSON, Int32 } from 'bson';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { countOperations, dataLines, LINE_OPERATIONS } from '../data-lines.ts';
import type {
  BucketEntry,
  CheckpointDiffLine,
  CheckpointLine,
  EncodedLine,
  LineEncoding,
  StreamEntry,
} from '../lines.ts';
import { encodeOperations, type Operation } from '../operations.ts';
import { bsonEncoding } from './bson.ts';
import { ndjsonEncoding, ndjsonObjectsEncoding } from './ndjson.ts';

const name = fc.string({ unit: 'grapheme', maxLength: 20 });
const opId = fc.nat(Number.MAX_SAFE_INTEGER);
const writeCheckpoint = fc.option(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }), { nil: null });
const reason = fc.oneof(fc.record({ default: fc.nat(20) }), fc.record({ sub: fc.nat(20) }));
const bucket: fc.Arbitrary<BucketEntry> = fc.record({
  bucket: name,
  checksum: fc.nat(0xffffffff),
  count: fc.nat(2 ** 31 - 1),
  priority: fc.nat(3),
  subscriptions: fc.array(reason, { maxLength: 3 }),
});
const stream: fc.Arbitrary<StreamEntry> = fc.record({
  name,
  isDefault: fc.boolean(),
  errors: fc.array(fc.record({ subscription: fc.oneof(fc.constant('default' as const), fc.nat(5)), message: name }), {
    maxLength: 2,
  }),
});
const checkpoint: fc.Arbitrary<CheckpointLine> = fc.record({
  lastOpId: opId,
  writeCheckpoint,
  buckets: fc.array(bucket, { maxLength: 12 }),
  streams: fc.array(stream, { maxLength: 3 }),
});
const diff: fc.Arbitrary<CheckpointDiffLine> = fc.record({
  lastOpId: opId,
  writeCheckpoint,
  updated: fc.array(bucket, { maxLength: 12 }),
  removed: fc.array(name, { maxLength: 3 }),
});

const whole = (line: EncodedLine): Buffer => {
  const bytes = Buffer.concat(line.parts);
  expect(line.bytes).toBe(bytes.length);
  return bytes;
};
/** What a client reads; `promoteValues: false` keeps the BSON types. */
const fromBson = (line: EncodedLine): unknown => deserialize(whole(line));
const fromJson = (line: EncodedLine): unknown => {
  const text = whole(line).toString('utf8');
  expect(text.endsWith('\n')).toBe(true);
  expect(text.indexOf('\n')).toBe(text.length - 1);
  return JSON.parse(text);
};
const withWriteCheckpoint = (value: bigint | null): object =>
  value === null ? {} : { write_checkpoint: String(value) };

describe.each([
  ['BSON', bsonEncoding, fromBson],
  ['NDJSON', ndjsonEncoding, fromJson],
] as const)('%s', (_, encoding: LineEncoding, read) => {
  test('a checkpoint carries every member (S-544…S-555)', () => {
    fc.assert(
      fc.property(checkpoint, (line) => {
        expect(read(encoding.checkpoint(line))).toEqual({
          checkpoint: {
            last_op_id: String(line.lastOpId),
            ...withWriteCheckpoint(line.writeCheckpoint),
            buckets: line.buckets,
            streams: line.streams.map((item) => ({ name: item.name, is_default: item.isDefault, errors: item.errors })),
          },
        });
      }),
    );
  });

  test('a diff carries updated and removed buckets (S-563, S-564, S-379)', () => {
    fc.assert(
      fc.property(diff, (line) => {
        expect(read(encoding.checkpointDiff(line))).toEqual({
          checkpoint_diff: {
            last_op_id: String(line.lastOpId),
            ...withWriteCheckpoint(line.writeCheckpoint),
            removed_buckets: line.removed,
            updated_buckets: line.updated,
          },
        });
      }),
    );
  });

  test('completions and keep-alive', () => {
    expect(read(encoding.checkpointComplete(12))).toEqual({ checkpoint_complete: { last_op_id: '12' } });
    expect(read(encoding.partialCheckpointComplete(12, 0))).toEqual({
      partial_checkpoint_complete: { last_op_id: '12', priority: 0 },
    });
    expect(read(encoding.tokenExpiresIn(0))).toEqual({ token_expires_in: 0 });
  });
});

const operation: fc.Arbitrary<Omit<Operation, 'opId'>> = fc.oneof(
  fc.record({
    op: fc.constant('PUT' as const),
    objectType: name,
    objectId: name,
    subkey: name,
    checksum: fc.nat(0xffffffff),
    data: fc.dictionary(name, fc.oneof(name, fc.integer(), fc.constant(null))).map((value) => JSON.stringify(value)),
  }),
  fc.record({
    op: fc.constant('REMOVE' as const),
    objectType: name,
    objectId: name,
    subkey: name,
    checksum: fc.nat(0xffffffff),
    data: fc.constant(null),
  }),
  fc.record({
    op: fc.constantFrom('MOVE' as const, 'CLEAR' as const),
    objectType: fc.constant(null),
    objectId: fc.constant(null),
    subkey: fc.constant(null),
    checksum: fc.nat(0xffffffff),
    data: fc.constant(null),
  }),
);
const chunks = fc.array(fc.array(operation, { minLength: 1, maxLength: 8 }), { maxLength: 6 }).map((lists) => {
  let next = 1;
  return lists.map((list): Operation[] => list.map((item) => ({ ...item, opId: next++ })));
});
const asRuns = (lists: readonly Operation[][]): { lastOp: number; count: number; operations: Buffer }[] =>
  lists.map((list) => ({ lastOp: list.at(-1)!.opId, count: list.length, operations: encodeOperations(list) }));

/** An operation as clients see it. */
function expected(item: Operation, form: 'string' | 'object'): object {
  if (item.op === 'MOVE' || item.op === 'CLEAR')
    return { op_id: String(item.opId), op: item.op, checksum: item.checksum };
  const data = item.data === null || form === 'string' ? item.data : (JSON.parse(item.data) as unknown);
  return {
    op_id: String(item.opId),
    op: item.op,
    object_type: item.objectType,
    object_id: item.objectId,
    checksum: item.checksum,
    subkey: item.subkey,
    data,
  };
}

describe('data lines', () => {
  test.each([
    [bsonEncoding, fromBson, 'string'],
    [ndjsonEncoding, fromJson, 'string'],
    [ndjsonObjectsEncoding, fromJson, 'object'],
  ] as const)('carry every operation once and in order, %#', (encoding, read, form) => {
    fc.assert(
      fc.property(chunks, name, fc.boolean(), (lists, bucketName, hasMore) => {
        const lines = dataLines(encoding, bucketName, 0, asRuns(lists), hasMore);
        const seen: unknown[] = [];
        let position = '0';
        for (const [index, line] of lines.entries()) {
          const { data } = read(line) as { data: Record<string, unknown> };
          const operations = data['data'] as Record<string, unknown>[];
          expect(data).toMatchObject({
            bucket: bucketName,
            after: position,
            has_more: hasMore || index < lines.length - 1,
          });
          expect(operations).toHaveLength(line.operations);
          position = data['next_after'] as string;
          expect(operations.at(-1)?.['op_id']).toBe(position);
          // BSON keeps the stored null of MOVE and CLEAR, which clients read like an absent member (S-592).
          for (const item of operations) if (item['op'] === 'MOVE' || item['op'] === 'CLEAR') delete item['data'];
          seen.push(...operations);
        }
        expect(seen).toEqual(lists.flat().map((item) => expected(item, form)));
      }),
    );
  });

  test('kinds are counted without decoding (S-681)', () => {
    fc.assert(
      fc.property(chunks, (lists) => {
        const counts = { put: 0, remove: 0, move: 0, clear: 0 };
        for (const run of asRuns(lists)) countOperations(run.operations, counts);
        const kinds = lists.flat().map((item) => item.op);
        expect(counts).toEqual({
          put: kinds.filter((kind) => kind === 'PUT').length,
          remove: kinds.filter((kind) => kind === 'REMOVE').length,
          move: kinds.filter((kind) => kind === 'MOVE').length,
          clear: kinds.filter((kind) => kind === 'CLEAR').length,
        });
      }),
    );
  });

  test('a large chunk is forwarded, not copied; small ones share a line within the bounds (S-575)', () => {
    const big = { lastOp: 1, count: 1, operations: encodeOperations([put(1, 'x'.repeat(70_000))]) };
    const small = Array.from({ length: 2500 }, (_, index) => ({
      lastOp: index + 2,
      count: 1,
      operations: encodeOperations([put(index + 2, 'x')]),
    }));
    const lines = dataLines(bsonEncoding, 'b', 0, [big, ...small], false);
    expect(lines[0]!.parts[1]).toBe(big.operations);
    expect(lines.slice(1).map((line) => line.operations)).toEqual([LINE_OPERATIONS, LINE_OPERATIONS, 500]);
  });
});

function put(op: number, text: string): Operation {
  return {
    opId: op,
    op: 'PUT',
    objectType: 't',
    objectId: 'a',
    subkey: '1/a',
    checksum: 7,
    data: JSON.stringify({ id: 'a', text }),
  };
}

describe('types on the wire', () => {
  test('integers are int32 in BSON (S-588, S-589), checksums doubles without sign (S-590)', () => {
    const bytes = bsonEncoding.checkpoint({
      lastOpId: 5,
      writeCheckpoint: 2n ** 63n - 1n,
      buckets: [
        { bucket: 'b', checksum: 0xffffffff, count: 3, priority: 1, subscriptions: [{ sub: 2 }, { default: 0 }] },
      ],
      streams: [{ name: 's', isDefault: true, errors: [{ subscription: 1, message: 'm' }] }],
    });
    const read = deserialize(whole(bytes), { promoteValues: false }) as {
      checkpoint: { buckets: Record<string, unknown>[]; streams: { errors: Record<string, unknown>[] }[] };
    };
    const entry = read.checkpoint.buckets[0]!;
    expect(entry['count']).toBeInstanceOf(Int32);
    expect(entry['priority']).toBeInstanceOf(Int32);
    expect(entry['subscriptions']).toEqual([{ sub: new Int32(2) }, { default: new Int32(0) }]);
    expect(read.checkpoint.streams[0]!.errors[0]!['subscription']).toBeInstanceOf(Int32);
    expect(EJSON.serialize(entry, { relaxed: false })).toMatchObject({ checksum: { $numberDouble: '4294967295.0' } });
  });

  test('the wire schema is pinned: whoever changes these bytes must know that deployed clients read them', () => {
    const sample = (encoding: LineEncoding): Buffer =>
      Buffer.concat(
        [
          encoding.checkpoint({
            lastOpId: 2050,
            writeCheckpoint: 17n,
            buckets: [
              {
                bucket: '5#harbours|0[]',
                checksum: 2882400001,
                count: 12,
                priority: 3,
                subscriptions: [{ default: 0 }],
              },
              { bucket: '5#boat_log|0["b-1"]', checksum: 0, count: 0, priority: 0, subscriptions: [{ sub: 1 }] },
            ],
            streams: [{ name: 'harbours', isDefault: true, errors: [{ subscription: 'default', message: 'e' }] }],
          }),
          encoding.checkpointDiff({
            lastOpId: 2063,
            writeCheckpoint: null,
            removed: ['5#boat_log|0["b-1"]'],
            updated: [
              {
                bucket: '5#harbours|0[]',
                checksum: 1,
                count: 13,
                priority: 3,
                subscriptions: [{ default: 0 }, { sub: 0 }],
              },
            ],
          }),
          ...dataLines(
            encoding,
            '5#harbours|0[]',
            12,
            asRuns([[put(13, 'ä"')], [{ ...put(14, ''), op: 'REMOVE', data: null }]]),
            true,
          ),
          encoding.partialCheckpointComplete(2063, 1),
          encoding.checkpointComplete(2063),
          encoding.tokenExpiresIn(2875),
        ].flatMap((line) => line.parts),
      );
    const hash = (encoding: LineEncoding): string =>
      createHash('sha256').update(sample(encoding)).digest('hex').slice(0, 16);
    expect({ bson: hash(bsonEncoding), ndjson: hash(ndjsonEncoding), objects: hash(ndjsonObjectsEncoding) })
      .toMatchInlineSnapshot(`
      {
        "bson": "5c805487f4cea405",
        "ndjson": "b4f9dc0273166396",
        "objects": "2fda5d6c6b8069a9",
      }
    `);
  });
});
