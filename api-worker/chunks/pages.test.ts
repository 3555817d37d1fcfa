/** Pages of growing buckets, read by clients with and without deflate, in any order, through a cache that is too small for them (S-2, G9). */
import { inflateRawSync, constants } from 'node:zlib';
import { deserialize } from 'bson';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { BucketReader, Chunk } from '#core/bucket-storage/contract.ts';
import { bsonEncoding } from '#core/protocol/encoding/bson.ts';
import type { EncodedLine } from '#core/protocol/lines.ts';
import { encodeOperations, type Operation } from '#core/protocol/operations.ts';
import { deflateLine } from '../deflate/lines.ts';
import type { HeldBucket } from '../feed/held-buckets.ts';
import { hasMoreThan, type Page } from './page.ts';
import { createChunkPages, type ChunkPages } from './pages.ts';

interface Bucket {
  readonly held: HeldBucket;
  readonly chunks: Chunk[];
  readonly operations: Operation[];
}
interface Data {
  readonly bucket: string;
  readonly after: string;
  readonly has_more: boolean;
  readonly next_after: string;
  readonly data: readonly { readonly op_id: string; readonly data: string }[];
}

const held = (definition: number): HeldBucket => ({
  ...{ definition, key: '[]', name: `1#b${definition}[]`, totals: null },
  holders: new Set(),
});

/** One chunk of consecutive operations, of rows with so many bytes. */
function append(
  { held: { definition, key }, chunks, operations }: Bucket,
  from: number,
  sizes: readonly number[],
): void {
  const added = sizes.map((size, index): Operation => {
    const opId = from + index;
    const data = JSON.stringify({ id: opId, text: `${opId} `.repeat(size / 4) });
    return { ...{ opId, op: 'PUT', objectType: 't', objectId: `${opId}`, subkey: 's' }, checksum: opId, data };
  });
  operations.push(...added);
  const lastOp = from + sizes.length - 1;
  const checksum = operations.reduce((sum, { opId }) => sum + opId, 0);
  chunks.push({
    ...{ definition, key, firstOp: from, lastOp, count: added.length, checksum: 0 },
    totals: { lastOp, count: operations.length, checksum },
    operations: encodeOperations(added),
  });
}

function readerOf(buckets: readonly Bucket[]): Pick<BucketReader, 'chunks'> & { reads: number } {
  return {
    reads: 0,
    chunks(bucket, after, upTo, maxBytes) {
      this.reads++;
      const found = buckets[bucket.definition]!.chunks.filter(
        ({ lastOp, firstOp }) => lastOp > after && firstOp <= upTo,
      );
      let bytes = 0;
      const chunks = found.filter(({ operations }, index) => index === 0 || (bytes += operations.length) <= maxBytes);
      return Promise.resolve({ chunks, more: chunks.length < found.length });
    },
  };
}

const readPage = (
  pages: ChunkPages,
  deflated: boolean,
  bucket: HeldBucket,
  after: number,
  upTo: number,
): Promise<Page> =>
  new Promise((resolve, reject) => {
    const encoding = deflated ? bsonEncoding : null;
    const page = pages.read(bucket, after, upTo, 20_000, encoding, (result) =>
      result.page === undefined ? reject(result.error) : resolve(result.page),
    );
    if (page !== null) resolve(page);
  });

/** As the client has it: what it takes is all that is asked for. */
async function received(line: EncodedLine, deflated: boolean): Promise<Data> {
  const plain = deflated
    ? inflateRawSync(await deflateLine(line), { finishFlush: constants.Z_SYNC_FLUSH })
    : Buffer.concat(line.parts);
  expect(plain.length).toBe(line.bytes);
  return (deserialize(plain) as { data: Data }).data;
}

/** Everything after a position, page by page, as a session sends it. */
async function download(
  pages: ChunkPages,
  { held: bucket, operations }: Bucket,
  after: number,
  upTo: number,
  deflated: boolean,
) {
  let position = after;
  for (let isLast = false; !isLast;) {
    const page = await readPage(pages, deflated, bucket, position, upTo);
    isLast = !hasMoreThan(page, upTo);
    const lines = pages.lines(page, bsonEncoding, !isLast);
    for (const [index, line] of lines.entries()) {
      const data = await received(line, deflated);
      const next = Number(data.next_after);
      const expected = operations.filter(({ opId }) => opId > position && opId <= next);
      expect(data.data.map((one) => [one.op_id, one.data])).toEqual(expected.map((one) => [`${one.opId}`, one.data]));
      expect(data).toMatchObject({ bucket: bucket.name, after: `${position}` });
      expect(data.has_more).toBe(!isLast || index < lines.length - 1);
      position = next;
    }
    expect(page.last?.lastOp).toBe(position);
  }
  expect(position).toBe(upTo);
}

type Step =
  | { readonly kind: 'append'; readonly bucket: number; readonly sizes: readonly number[] }
  | {
      readonly kind: 'read';
      readonly bucket: number;
      readonly from: number;
      readonly to: number;
      readonly deflated: boolean;
    }
  | { readonly kind: 'forget' };
const bucketIndex = fc.nat(1);
const sizes = fc.array(fc.constantFrom(4, 40, 400, 4000, 12_000), { minLength: 1, maxLength: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('append' as const), bucket: bucketIndex, sizes }) },
  {
    weight: 9,
    arbitrary: fc.record({
      ...{ kind: fc.constant('read' as const), bucket: bucketIndex },
      // Most clients begin at the beginning, or where a chunk ended, and go to the end.
      ...{ from: fc.constantFrom(0, 0, 0, 1, 2, 3), to: fc.constantFrom(0, 0, 1, 2), deflated: fc.boolean() },
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const) }) },
);

async function run(steps: readonly Step[], cacheBytes: number): Promise<{ readonly hits: number }> {
  const buckets = [0, 1].map((index): Bucket => ({ held: held(index), chunks: [], operations: [] }));
  const pages = createChunkPages({ reader: readerOf(buckets), concurrency: 2, cacheBytes, deflatedFrom: 0 });
  let next = 1;
  for (const one of steps) {
    if (one.kind === 'forget') pages.forget();
    else if (one.kind === 'append') {
      append(buckets[one.bucket]!, next, one.sizes);
      next += one.sizes.length;
    } else {
      const bucket = buckets[one.bucket]!;
      const ends = [0, ...bucket.chunks.map(({ lastOp }) => lastOp)];
      const upTo = ends.at(-1 - one.to) ?? 0;
      // The last but one of them: within a chunk.
      const after = one.from === 3 ? (bucket.chunks.at(-1)?.firstOp ?? 0) : (ends.at(one.from) ?? 0);
      if (after < upTo) await download(pages, bucket, after, upTo, one.deflated);
    }
    expect(pages.figures().bytes).toBeLessThanOrEqual(cacheBytes);
  }
  return pages.figures();
}

describe('pages', () => {
  test.each([0, 4000, 20_000, 200_000])(
    'every client gets what it asked for, with a cache of %i bytes',
    async (bytes) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(step, { minLength: 4, maxLength: 40 }),
          async (steps) => void (await run(steps, bytes)),
        ),
        { numRuns: 150 },
      );
    },
  );

  /** 20 chunks of 9 KB, three to a page. */
  const largeBucket = (definition = 0): Bucket => {
    const bucket: Bucket = { held: held(definition), chunks: [], operations: [] };
    for (let from = 1; from <= 200; from += 10) {
      append(
        bucket,
        from,
        Array.from({ length: 10 }, () => 800),
      );
    }
    return bucket;
  };
  const plainBytes = ({ chunks }: Bucket): number => chunks.reduce((sum, { operations }) => sum + operations.length, 0);

  test('what clients with deflate have read stays for the next of them when its plain bytes do not fit; others read anew', async () => {
    const bucket = largeBucket();
    const reader = readerOf([bucket]);
    const cacheBytes = plainBytes(bucket) * 0.8;
    const pages = createChunkPages({ reader, concurrency: 2, cacheBytes, deflatedFrom: 0 });
    await download(pages, bucket, 0, 200, true);
    const first = reader.reads;
    expect(first).toBe(7);
    for (let client = 0; client < 3; client++) await download(pages, bucket, 0, 200, true);
    expect(reader.reads).toBe(first);
    const page = await readPage(pages, true, bucket.held, 0, 200);
    expect(page.runs).toBe(null);
    expect(() => pages.lines(page, bsonEncoding, true)[0]!.parts).toThrow('deflate blocks only');
    await download(pages, bucket, 0, 200, false);
    expect(reader.reads).toBeGreaterThan(first + 3);
  });

  test('of a page without plain bytes nothing can be cut: an older checkpoint reads anew', async () => {
    const [bucket, other] = [largeBucket(0), largeBucket(1)];
    const reader = readerOf([bucket, other]);
    const cacheBytes = plainBytes(bucket) * 0.8;
    const pages = createChunkPages({ reader, concurrency: 2, cacheBytes, deflatedFrom: 0 });
    await download(pages, bucket, 0, 200, true);
    await download(pages, other, 0, 200, false);
    const before = reader.reads;
    await download(pages, bucket, 0, 200, true);
    expect(reader.reads).toBe(before);
    await download(pages, bucket, 0, 190, true);
    expect(reader.reads).toBe(before + 1);
  });

  test.each([4, 0.8])('all that is kept is counted (a cache of %d times the bytes)', async (share) => {
    const bucket = largeBucket();
    const cacheBytes = share * plainBytes(bucket);
    const pages = createChunkPages({ reader: readerOf([bucket]), concurrency: 2, cacheBytes, deflatedFrom: 0 });
    await download(pages, bucket, 0, 200, true);
    await download(pages, bucket, 0, 200, true);
    let kept = 0;
    for (let after = 0; after < 200;) {
      const page = await readPage(pages, true, bucket.held, after, 200);
      for (const run of page.runs ?? []) kept += run.operations.length;
      for (const line of pages.lines(page, bsonEncoding, hasMoreThan(page, 200))) {
        kept += (await deflateLine(line)).length;
        // Small chunks were copied into one line.
        if (page.runs !== null) kept += line.bytes;
      }
      after = page.last!.lastOp;
    }
    const { bytes } = pages.figures();
    expect(bytes).toBeGreaterThanOrEqual(kept);
    expect(bytes).toBeLessThan(kept + 7 * 2000);
  });

  test('after compaction nothing of it is left', async () => {
    const bucket: Bucket = { held: held(0), chunks: [], operations: [] };
    const reader = readerOf([bucket]);
    append(bucket, 1, [40, 4000]);
    for (const cacheBytes of [1_000_000, 3000]) {
      const pages = createChunkPages({ reader, concurrency: 2, cacheBytes, deflatedFrom: 0 });
      const before = reader.reads;
      for (let round = 1; round <= 3; round++) {
        await download(pages, bucket, 0, 2, true);
        expect(reader.reads).toBe(before + round);
        pages.forget();
        expect(pages.figures().bytes).toBe(0);
      }
    }
  });
});
