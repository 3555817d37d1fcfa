/** Compression of streams: only for who asks, and what comes out is what went in (wire/09). */
import { gunzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { bsonEncoding } from '#core/protocol/encoding/bson.ts';
import { ndjsonEncoding, ndjsonObjectsEncoding } from '#core/protocol/encoding/ndjson.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { GLOBAL, startHarness, type Harness } from '../testing/harness.ts';
import { deflateLine } from '../deflate/lines.ts';
import { bodyStart, createBodySum } from './compression.ts';
import { negotiateCompression, negotiateEncoding } from './negotiate.ts';
import { createZstdStream } from './zstd-stream.ts';

const BSON = 'application/vnd.powersync.bson-stream';
const NDJSON = 'application/x-ndjson';

describe('what the client asks for', () => {
  test.each([
    [undefined, 'identity'],
    ['', 'identity'],
    ['identity', 'identity'],
    ['*', 'identity'],
    ['br', 'identity'],
    ['deflate', 'identity'],
    ['gzip;q=0', 'identity'],
    ['gzip;q=nonsense', 'identity'],
    ['gzip;q=2', 'identity'],
    ['x'.repeat(2000) + ',gzip', 'identity'],
    ['gzip', 'gzip'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['gzip, deflate', 'gzip'],
    ['br, gzip, deflate', 'gzip'],
    ['gzip, deflate, br, zstd', 'gzip'],
    ['gzip;q=0.5, zstd;q=0.9', 'zstd'],
    ['zstd', 'zstd'],
    ['zstd;q=0.1, gzip;q=0', 'zstd'],
  ])('accept-encoding %j: %s', (header, compression) => {
    expect(negotiateCompression(header)).toBe(compression);
  });

  test.each([
    [`${BSON};q=0.9,${NDJSON};q=0.8`, bsonEncoding],
    [BSON, bsonEncoding],
    [`${NDJSON}, ${BSON}`, bsonEncoding],
    [`${NDJSON};q=0.9, ${BSON};q=0.8`, ndjsonEncoding],
    [`${BSON};q=0`, ndjsonEncoding],
    [undefined, ndjsonEncoding],
    ['', ndjsonEncoding],
    ['*/*', ndjsonEncoding],
    ['text/html', ndjsonEncoding],
    ['application/*', ndjsonEncoding],
    [';;,,=', ndjsonEncoding],
  ])('accept %j (S-517 … S-520)', (header, encoding) => {
    expect(negotiateEncoding(header, true)).toBe(encoding);
  });

  test('without raw_data rows are objects, where the encoding has them (S-527, S-591)', () => {
    expect(negotiateEncoding(NDJSON, false)).toBe(ndjsonObjectsEncoding);
    expect(negotiateEncoding(BSON, false)).toBe(bsonEncoding);
  });

  test('no header makes it fail', () => {
    fc.assert(
      fc.property(fc.string(), fc.boolean(), (header, rawData) => {
        expect(['gzip', 'zstd', 'identity']).toContain(negotiateCompression(header));
        expect(negotiateEncoding(header, rawData).contentType).toBeDefined();
      }),
    );
  });
});

/** Lines of all sizes that are treated differently: stored, compressed at once, compressed on the thread pool. */
const line = fc
  .array(
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.constantFrom(1, 1, 7, 100, 3000, 20_000))
      .map(([bytes, times]) => Buffer.concat(Array.from({ length: times }, () => Buffer.from(bytes)))),
    { minLength: 1, maxLength: 3 },
  )
  .map((parts): EncodedLine => ({
    operations: 0,
    parts,
    bytes: parts.reduce((sum, part) => sum + part.length, 0),
  }));
const text = (lines: readonly EncodedLine[]): Buffer => Buffer.concat(lines.flatMap(({ parts }) => parts));

describe('a body put together of pieces', () => {
  test('is one valid gzip member, with lines that several clients share', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(line, { minLength: 1, maxLength: 8 }), async (lines) => {
        for (const body of [lines, lines.toReversed()]) {
          const sum = createBodySum('gzip');
          const pieces: Buffer[] = [bodyStart('gzip')!];
          for (const each of body) {
            sum.add(each);
            pieces.push(await deflateLine(each));
          }
          pieces.push(sum.end()!);
          expect(gunzipSync(Buffer.concat(pieces)).equals(text(body))).toBe(true);
        }
        expect(await deflateLine(lines[0]!)).toBe(await deflateLine(lines[0]!));
      }),
      { numRuns: 60 },
    );
  });

  test('is one zstd frame, however its bursts are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(line, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 }),
        async (bursts) => {
          const stream = createZstdStream();
          const pieces = await Promise.all(bursts.map((lines) => stream.compress(lines)));
          stream.close();
          const body = Buffer.concat([...pieces, createBodySum('zstd').end()!]);
          const magic = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);
          expect(body.subarray(0, 4).equals(magic)).toBe(true);
          // Node reads the first frame only: were there more, this would be less.
          expect(zstdDecompressSync(body).equals(text(bursts.flat()))).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });
});

test('zstd is not shared because Node reads the first of several frames only (ADR 0009)', () => {
  const frames = ['first', 'second'].map((part) => zstdCompressSync(Buffer.from(part)));
  expect(zstdDecompressSync(Buffer.concat(frames)).toString()).toBe('first');
});

describe('a compressed stream', () => {
  let harness: Harness;
  afterEach(() => harness.close());

  test.each([
    ['gzip', 'bson'],
    ['gzip', 'ndjson'],
    ['zstd', 'bson'],
    ['zstd', 'ndjson'],
  ] as const)('%s, %s: every line can be read as soon as it was sent', async (acceptEncoding, encoding) => {
    harness = await startHarness();
    const row = (id: string, bytes: number) =>
      ({
        definition: GLOBAL,
        key: '[]',
        op: 'PUT',
        id,
        data: JSON.stringify({ id, text: 'x'.repeat(bytes) }),
      }) as const;
    harness.commit({ changes: [row('large', 300_000), row('small', 1)] });
    const client = harness.client('u1', { acceptEncoding, encoding });
    const response = await client.connect();
    expect(response.headers['content-encoding']).toBe(acceptEncoding);
    await client.until(() => client.visible.size === 2);
    for (let round = 0; round < 20; round++) {
      harness.commit({ changes: [row(`r${round}`, round * 5000)] });
      await client.until(() => client.visible.has(`items/r${round}`));
    }
    harness.worker.sessions.endAll('shutting down');
    // The decompressor checks the end of the body too.
    await client.ended;
    await harness.atRest();
  });

  test('zstd for 100 clients at a time; others get gzip or nothing, until one goes (ADR 0009, G9)', async () => {
    harness = await startHarness();
    const connect = async (acceptEncoding: string) => {
      const client = harness.client('u1', { acceptEncoding });
      const { headers } = await client.connect();
      return { client, encoding: headers['content-encoding'] };
    };
    const all = await Promise.all(Array.from({ length: 100 }, () => connect('zstd')));
    expect(new Set(all.map(({ encoding }) => encoding))).toEqual(new Set(['zstd']));
    expect((await connect('zstd')).encoding).toBe(undefined);
    expect((await connect('zstd, gzip;q=0.5')).encoding).toBe('gzip');
    all[0]!.client.disconnect();
    await expect.poll(() => harness.worker.figures().sessions).toBe(101);
    expect((await connect('zstd, gzip;q=0.5')).encoding).toBe('zstd');
    expect((await connect('zstd')).encoding).toBe(undefined);
  });

  test('who does not ask gets none', async () => {
    harness = await startHarness();
    const response = await harness.client('u1').connect();
    expect(response.headers['content-encoding']).toBe(undefined);
    expect(response.headers).toMatchObject({
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': '*',
      'content-type': BSON,
    });
  });
});
