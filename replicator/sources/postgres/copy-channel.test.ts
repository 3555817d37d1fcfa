import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import { createFrameReader } from './copy-channel.ts';

function frame(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(5);
  header[0] = type;
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}
function readAll(chunks: readonly Buffer[]): [number, string][] {
  const reader = createFrameReader();
  const found: [number, string][] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let next = reader.next(); next !== null; next = reader.next()) {
      found.push([next.type, next.bytes.toString('latin1', next.start, next.end)]);
    }
  }
  return found;
}

test('messages are the same however the bytes are cut', () => {
  const message = fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ maxLength: 40 }));
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 10 }),
      fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 60 }),
      (messages, cuts) => {
        const all = Buffer.concat(messages.map(([type, body]) => frame(type, Buffer.from(body))));
        const chunks: Buffer[] = [];
        let at = 0;
        for (const size of cuts) {
          chunks.push(all.subarray(at, at + size));
          at += size;
        }
        chunks.push(all.subarray(at));
        expect(readAll(chunks)).toEqual(messages.map(([type, body]) => [type, Buffer.from(body).toString('latin1')]));
      },
    ),
    { numRuns: 1_000 },
  );
});

test('several chunks may arrive before the first is read', () => {
  const all = Buffer.concat([frame(100, Buffer.from('abc')), frame(101, Buffer.from('defg'))]);
  const reader = createFrameReader();
  for (const byte of all) reader.push(Buffer.from([byte]));
  const first = reader.next();
  expect([first?.type, first?.bytes.toString('utf8', first.start, first.end)]).toEqual([100, 'abc']);
  const second = reader.next();
  expect([second?.type, second?.bytes.toString('utf8', second.start, second.end)]).toEqual([101, 'defg']);
  expect(reader.next()).toBeNull();
});

test('any bytes are messages, wait for more, or are refused with a code', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 10 }), (chunks) => {
      try {
        readAll(chunks.map((chunk) => Buffer.from(chunk)));
      } catch (error) {
        expect(isCodedError(error, 'PSYNC_S1101')).toBe(true);
      }
    }),
    { numRuns: 1_000 },
  );
});
