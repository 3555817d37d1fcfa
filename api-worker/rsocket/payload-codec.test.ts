/** Documents of clients (S-594…S-596): the same in JSON and in BSON, and bytes that are none. */
import { Binary, Decimal128, Long, ObjectId, serialize, Timestamp } from 'bson';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isCodedError } from '#core/platform/errors/coded-error.ts';
import { documentReader } from './payload-codec.ts';

const JSON_TYPE = 'application/json';
const BSON_TYPE = 'application/bson';
const read = (mime: string, bytes: Uint8Array): unknown => documentReader(mime)!(Buffer.from(bytes));

/** What both formats can say. */
const key = fc.string({ maxLength: 8 }).filter((text) => !/[\0$]/.test(text));
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(fc.string(), fc.integer(), fc.maxSafeInteger(), fc.boolean(), fc.constant(null)),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((number) => number + 0),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4 }),
  ),
}));
const document = fc.dictionary(key, value, { maxKeys: 5 });

describe('the types that can be announced', () => {
  test.each([
    ['application/json', true],
    ['application/bson', true],
    ['APPLICATION/JSON', true],
    [' application/json ;charset=utf-8', true],
    ['text/json', false],
    ['application/octet-stream', false],
    ['', false],
  ])('%s: %s', (mime, isKnown) => {
    expect(documentReader(mime) !== null).toBe(isKnown);
  });
});

describe('documents', () => {
  test('are the same however they travel, also as BSON under the name of JSON (wire/11)', () => {
    fc.assert(
      fc.property(document, (content) => {
        const plain: unknown = JSON.parse(JSON.stringify(content));
        expect(read(JSON_TYPE, Buffer.from(JSON.stringify(content)))).toEqual(plain);
        for (const mime of [BSON_TYPE, JSON_TYPE]) expect(read(mime, serialize(content))).toEqual(plain);
      }),
      { numRuns: 500 },
    );
  });

  test('have JSON values only, whatever BSON says', () => {
    const at = new Date('2026-01-02T03:04:05.678Z');
    const id = new ObjectId('0123456789abcdef01234567');
    const content = {
      ...{ long: Long.fromNumber(5), longest: Long.MAX_VALUE, nan: NaN, infinite: -Infinity, at, id },
      ...{ bytes: new Binary(Buffer.from('abc')), decimal: Decimal128.fromString('1.50'), time: new Timestamp(5n) },
      ...{ inside: [{ deep: Long.fromNumber(-1) }], expression: /x/i },
    };
    const found = read(BSON_TYPE, serialize(content));
    expect(JSON.parse(JSON.stringify(found))).toEqual(found);
    expect(found).toMatchObject({
      ...{ long: 5, longest: 2 ** 63, nan: null, infinite: null, at: at.toISOString(), id: id.toHexString() },
      ...{ bytes: 'YWJj', inside: [{ deep: -1 }] },
    });
  });

  test('with a member of the name __proto__ change nothing else', () => {
    const text = '{"__proto__":{"polluted":true},"a":1}';
    const content = JSON.parse(text) as object;
    for (const found of [read(JSON_TYPE, Buffer.from(text)), read(BSON_TYPE, serialize(content))]) {
      expect((found as { polluted?: boolean }).polluted).toBe(undefined);
      expect(JSON.stringify(found)).toBe(text);
    }
    expect(({} as { polluted?: boolean }).polluted).toBe(undefined);
  });
});

describe('bytes that are no document', () => {
  /** PSYNC_S2001 as the fault of the client, which quotes nothing of it. */
  const attempt = (mime: string, bytes: Uint8Array): void => {
    try {
      expect(read(mime, bytes)).toBeInstanceOf(Object);
    } catch (error) {
      if (!isCodedError(error, 'PSYNC_S2001')) throw error;
      expect(error.status).toBe(400);
      expect(error.message).toMatch(
        /^\[PSYNC_S2001\] (The payload is no valid (JSON|BSON) document$|The request body is refused: )/,
      );
    }
  };
  const mime = fc.constantFrom(JSON_TYPE, BSON_TYPE);

  test('arbitrary ones', () => {
    fc.assert(fc.property(mime, fc.uint8Array({ maxLength: 100 }), attempt), { numRuns: 2000 });
  });

  test('documents with bytes changed', () => {
    fc.assert(
      fc.property(
        mime,
        document,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        (type, content, changes) => {
          const bytes = type === JSON_TYPE ? Buffer.from(JSON.stringify(content)) : Buffer.from(serialize(content));
          for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
          attempt(type, bytes);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test.each(['[]', '"text"', '5', 'null', '', ' ', '{'])('JSON that is no object: %s', (text) => {
    expect(() => read(JSON_TYPE, Buffer.from(text))).toThrow('The payload is no valid JSON document');
  });

  test('more than any request has (G9)', () => {
    const [readJson, readBson] = ['application/json', 'application/bson'].map((mime) => documentReader(mime)!);
    expect(() => readJson!(Buffer.from(`{"a":${'['.repeat(1000)}`))).toThrow('nested deeper than 64 levels');
    expect(() => readJson!(Buffer.from(JSON.stringify({ a: Array(300_000).fill(0) })))).toThrow(
      'more than 250000 values',
    );
    const large = Buffer.from(serialize({ a: 'x'.repeat(2 * 1024 * 1024) }));
    for (const read of [readBson!, readJson!])
      expect(() => read(large)).toThrow(expect.objectContaining({ code: 'PSYNC_S2020' }) as Error);
  });

  test('nested deeper than anybody can follow', () => {
    const depth = 200_000;
    attempt(JSON_TYPE, Buffer.from(`{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`));
    let inner = Buffer.of(5, 0, 0, 0, 0);
    const parts: Buffer[] = [];
    for (let level = 0; level < depth; level++) {
      const head = Buffer.alloc(7);
      head.writeInt32LE(inner.length + 8 * (depth - level));
      head.set([3, 'a'.charCodeAt(0), 0], 4);
      parts.push(head);
    }
    inner = Buffer.concat([...parts, inner, Buffer.alloc(depth)]);
    expect(inner.readInt32LE(0)).toBe(inner.length);
    expect(() => read(BSON_TYPE, inner)).toThrow('The payload is no valid BSON document');
  });
});
