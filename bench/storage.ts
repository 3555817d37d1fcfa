/**
 * Bucket storage alone: flushes of about 16 MB, commits of two operations, reads of chunks, totals of many buckets. Prints one JSON line.
 *
 *     STORAGE=mongodb|postgresql SECONDS=10 node bench/storage.ts
 */
import { randomBytes } from 'node:crypto';
import { activate, commitAt, operationOf, type ActiveSource } from '#core/bucket-storage/conformance/content.ts';
import type { BucketRef, BucketStorage, Chunk, FlushContent } from '#core/bucket-storage/contract.ts';
import { open as openMongodb } from '#core/bucket-storage/mongodb/opener.fixture.ts';
import { open as openPostgres } from '#core/bucket-storage/postgres/opener.fixture.ts';
import { encodeOperations } from '#core/protocol/operations.ts';
import { mongodb } from '#test/services/mongodb.ts';
import { postgres } from '#test/services/postgres.ts';
import { percentile, report } from './harness.ts';

const STORAGE = process.env['STORAGE'] ?? 'mongodb';
const SECONDS = Number(process.env['SECONDS'] ?? 10);
const BUCKETS = 200;
const PER_CHUNK = 100;
const CHUNKS_PER_FLUSH = 400;
/** Half of it does not compress. */
const dataOfRow = (): string =>
  JSON.stringify({
    title: 'A title like all the others of its kind',
    note: randomBytes(90).toString('base64'),
    done: false,
    list: 'list-1',
    position: 17,
    at: '2026-11-21 10:00:00Z',
    owner: 'owner of the row, more or less the same everywhere',
  });

const server = STORAGE === 'mongodb' ? await mongodb() : await postgres();
await using database = await server.createDatabase();
const storage = await (STORAGE === 'mongodb' ? openMongodb : openPostgres)({ url: database.url });
await storage.migrate();
const active = await activate(storage);
const flushes = await bigFlushes(active);
const small = await smallCommits(active);
const reads = await readChunks(storage);
const totals = await readTotals(storage, active);
report('storage', { storage: STORAGE, ...flushes, ...small, ...reads, ...totals });
await storage.close();

function bucket(index: number): BucketRef {
  return { definition: active.id('b'), key: `["user-${index % BUCKETS}"]` };
}

/** Chunks of one flush. The same bytes again and again: op ids in them do not matter here. */
function contentFrom(chunks: readonly { bytes: Uint8Array; bucket: BucketRef }[]): (firstOp: number) => FlushContent {
  return (firstOp) => ({
    lookups: [],
    chunks: chunks.map((item, index): Chunk => {
      const first = firstOp + index * PER_CHUNK;
      const lastOp = first + PER_CHUNK - 1;
      const totals = { lastOp, count: PER_CHUNK, checksum: 1 };
      return { ...item.bucket, firstOp: first, lastOp, count: PER_CHUNK, checksum: 1, totals, operations: item.bytes };
    }),
  });
}

async function bigFlushes({ writer, stream }: ActiveSource) {
  const operations = (): Uint8Array =>
    encodeOperations(
      Array.from({ length: PER_CHUNK }, (_, at) =>
        operationOf({ ...bucket(0), id: `row-${at}`, data: dataOfRow() }, 1_000_000 + at),
      ),
    );
  const chunks = Array.from({ length: CHUNKS_PER_FLUSH }, (_, index) => ({
    bytes: operations(),
    bucket: bucket(index),
  }));
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
  const times: number[] = [];
  const started = performance.now();
  while (performance.now() - started < SECONDS * 1000) {
    const before = performance.now();
    const batch = {
      stream: stream.id,
      operations: CHUNKS_PER_FLUSH * PER_CHUNK,
      build: contentFrom(chunks),
      rowStates: [],
    };
    await writer.flush({ ...batch, commit: commitAt(`p${times.length}`) });
    times.push(performance.now() - before);
  }
  const seconds = (performance.now() - started) / 1000;
  return {
    flushMegabytes: bytes / 1e6,
    flushP50Ms: percentile(times, 0.5),
    operationsPerSecond: (times.length * CHUNKS_PER_FLUSH * PER_CHUNK) / seconds,
    megabytesPerSecond: (times.length * bytes) / 1e6 / seconds,
  };
}

async function smallCommits({ writer, stream }: ActiveSource) {
  const times: number[] = [];
  const started = performance.now();
  while (performance.now() - started < SECONDS * 1000) {
    const build = (firstOp: number): FlushContent => {
      const operations = [0, 1].map((at) =>
        operationOf({ ...bucket(0), id: `row-${at}`, data: dataOfRow() }, firstOp + at),
      );
      const totals = { lastOp: firstOp + 1, count: 2, checksum: 1 };
      const chunk = {
        ...bucket(times.length),
        firstOp,
        lastOp: firstOp + 1,
        count: 2,
        checksum: 1,
        totals,
        operations: encodeOperations(operations),
      };
      return { chunks: [chunk], lookups: [] };
    };
    const before = performance.now();
    await writer.flush({
      stream: stream.id,
      operations: 2,
      build,
      rowStates: [],
      commit: commitAt(`s${times.length}`),
    });
    times.push(performance.now() - before);
  }
  return {
    commitP50Ms: percentile(times, 0.5),
    commitP99Ms: percentile(times, 0.99),
    commitsPerSecond: times.length / SECONDS,
  };
}

/** Eight buckets at a time, in pages of 1 MB. */
async function readChunks({ reader }: BucketStorage) {
  const { op } = (await reader.checkpoint())!;
  const deadline = performance.now() + SECONDS * 1000;
  let bytes = 0;
  let pages = 0;
  const started = performance.now();
  const readers = Array.from({ length: 8 }, async (_, index) => {
    for (let at = index; performance.now() < deadline; at++) {
      let after = 0;
      for (let more = true; more && performance.now() < deadline;) {
        const page = await reader.chunks(bucket(at), after, op, 1_000_000);
        for (const chunk of page.chunks) bytes += chunk.operations.length;
        after = page.chunks.at(-1)?.lastOp ?? op;
        pages++;
        ({ more } = page);
      }
    }
  });
  await Promise.all(readers);
  const seconds = (performance.now() - started) / 1000;
  return { readMegabytesPerSecond: bytes / 1e6 / seconds, pagesPerSecond: pages / seconds };
}

async function readTotals({ reader }: BucketStorage, { id }: ActiveSource) {
  const { op } = (await reader.checkpoint())!;
  const buckets = Array.from({ length: 1000 }, (_, at): BucketRef => ({ definition: id('b'), key: `["user-${at}"]` }));
  const times: number[] = [];
  for (let round = 0; round < 20; round++) {
    const before = performance.now();
    await reader.totals(buckets, op);
    times.push(performance.now() - before);
  }
  return { totalsOf1000BucketsMs: percentile(times, 0.5) };
}
