/** What the page reads off a stream, with the encodings of the service as the other side. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bsonEncoding } from '#core/protocol/encoding/bson.ts';
import { ndjsonEncoding } from '#core/protocol/encoding/ndjson.ts';
import type { BucketEntry, EncodedLine, LineEncoding } from '#core/protocol/lines.ts';
import { afterLine, type Checkpoint } from './page/checkpoint.ts';
import { createFrameReader } from './page/stream-frames.ts';

const entry = fc.record({
  bucket: fc.constantFrom('a', 'b["ü"]', 'c', 'd[1,"x"]'),
  checksum: fc.nat({ max: 0xffffffff }),
  count: fc.nat({ max: 0x7fffffff }),
  priority: fc.nat({ max: 3 }),
  subscriptions: fc.constant([]),
});
const opId = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const writeCheckpoint = fc.option(fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }));
const entries = fc.uniqueArray(entry, { selector: ({ bucket }) => bucket });
const step = fc.oneof(
  fc.record({ kind: fc.constant('checkpoint' as const), opId, writeCheckpoint, entries }),
  fc.record({
    kind: fc.constant('diff' as const),
    ...{ opId, writeCheckpoint, entries, removed: fc.subarray(['a', 'c']) },
  }),
  fc.record({ kind: fc.constant('data' as const) }),
  fc.record({ kind: fc.constant('complete' as const) }),
  fc.record({ kind: fc.constant('partial' as const), priority: fc.nat({ max: 3 }) }),
  fc.record({ kind: fc.constant('keepalive' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Model {
  readonly opId: number;
  readonly writeCheckpoint: bigint | null;
  readonly buckets: ReadonlyMap<string, BucketEntry>;
  readonly isComplete: boolean;
  readonly priority: number;
}

function encode(encoding: LineEncoding, step: Step, model: Model | null): EncodedLine {
  const { opId: lastOpId = 0 } = model ?? {};
  switch (step.kind) {
    case 'checkpoint':
      return encoding.checkpoint({
        ...{ lastOpId: step.opId, writeCheckpoint: step.writeCheckpoint, buckets: step.entries },
        streams: [{ name: 's', isDefault: true, errors: [{ subscription: 'default', message: 'Too much' }] }],
      });
    case 'diff':
      return encoding.checkpointDiff({
        ...{ lastOpId: step.opId, writeCheckpoint: step.writeCheckpoint, updated: step.entries, removed: step.removed },
      });
    case 'data':
      return encoding.data({
        ...{ bucket: 'a', after: 0, hasMore: false, nextAfter: 0, count: 0, operations: Buffer.alloc(0) },
      });
    case 'complete':
      return encoding.checkpointComplete(lastOpId);
    case 'partial':
      return encoding.partialCheckpointComplete(lastOpId, step.priority);
    case 'keepalive':
      return encoding.tokenExpiresIn(60);
  }
}

function next(model: Model | null, step: Step): Model | null {
  if (step.kind === 'complete') return model && { ...model, isComplete: true, priority: Infinity };
  if (step.kind === 'partial') return model && { ...model, priority: step.priority };
  if (step.kind !== 'checkpoint' && step.kind !== 'diff') return model;
  if (step.kind === 'diff' && model === null) return null;
  const kept = step.kind === 'diff' ? [...model!.buckets].filter(([name]) => !step.removed.includes(name)) : [];
  const changed = step.entries.map((bucket) => [bucket.bucket, bucket] as const);
  return { ...step, buckets: new Map([...kept, ...changed]), isComplete: false, priority: -1 };
}

const summary = (
  opIdText: string,
  writeCheckpointText: string | null,
  buckets: Iterable<{ bucket: string; checksum: number; count: number; priority: number }>,
  complete: readonly [isComplete: boolean, priority: number],
): unknown => [
  ...[opIdText, writeCheckpointText, ...complete],
  [...buckets].map(({ bucket, checksum, count, priority }) => [bucket, checksum >>> 0, count, priority]).toSorted(),
];

describe.each([
  ['BSON', bsonEncoding],
  ['NDJSON', ndjsonEncoding],
])('%s', (_, encoding) => {
  test('the last checkpoint is that of the service, however the stream is cut', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), fc.array(fc.integer({ min: 1, max: 40 })), (steps, cuts) => {
        let model: Model | null = null;
        const sent: Buffer[] = [];
        for (const each of steps) {
          sent.push(...encode(encoding, each, model).parts);
          model = next(model, each);
        }
        const bytes = Buffer.concat(sent);
        const reader = createFrameReader(encoding.contentType);
        let checkpoint: Checkpoint | null = null;
        let lines = 0;
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const length = cuts.length === 0 ? bytes.length : cuts[turn % cuts.length]!;
          for (const line of reader.push(bytes.subarray(at, at + length))) {
            lines++;
            ({ checkpoint } = afterLine(checkpoint, line));
          }
          at += length;
        }
        expect(lines).toBe(steps.length);
        expect(
          checkpoint &&
            summary(checkpoint.opId, checkpoint.writeCheckpoint, checkpoint.buckets.values(), [
              checkpoint.isComplete,
              checkpoint.completePriority,
            ]),
        ).toEqual(
          model &&
            summary(
              String(model.opId),
              model.writeCheckpoint === null ? null : String(model.writeCheckpoint),
              model.buckets.values(),
              [model.isComplete, model.priority],
            ),
        );
        if (checkpoint) expect(checkpoint.problems).toEqual(['s: Too much']);
      }),
    );
  });
});

test('what is no such stream is refused, not kept', () => {
  const reader = createFrameReader('application/vnd.powersync.bson-stream');
  expect(() => reader.push(Buffer.from('<html>no</html>'))).toThrow('not BSON');
  expect(() => createFrameReader('application/x-ndjson').push(Buffer.from('<html>\n'))).toThrow('JSON');
});
