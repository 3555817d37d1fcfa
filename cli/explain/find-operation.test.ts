import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeStorage, type FakeChange } from '../../api-worker/testing/fake-storage.ts';
import { encodeOperations, type Operation } from '#core/protocol/operations.ts';
import { findOperation, type WantedRow } from './find-operation.ts';

const BUCKET = { definition: 1, key: '["a"]' };
const OTHER = { definition: 1, key: '["b"]' };
const wanted = (id: string): WantedRow => ({ texts: [id], matches: ({ objectId }) => objectId === id });
const PLENTY = 100_000_000;

const change = fc.record({
  bucket: fc.constantFrom(BUCKET, BUCKET, OTHER),
  op: fc.constantFrom('PUT' as const, 'PUT' as const, 'REMOVE' as const),
  // ids that are part of one another
  id: fc.constantFrom('r', 'r1', 'r10', '1', 'ö', ''),
});
const commits = fc.array(fc.array(change, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 20 });

describe('the newest operation of a row in a bucket', () => {
  test('is found as of every commit, however chunks, pages and windows lie', async () => {
    let found = 0;
    await fc.assert(
      fc.asyncProperty(commits, fc.nat(4), fc.nat(3), fc.nat(5), async (list, perChunk, perRead, window) => {
        const storage = createFakeStorage({ operationsPerChunk: perChunk + 1, chunksPerRead: perRead + 1 });
        const newest = new Map<string, number>();
        let op = 0;
        for (const changes of list) {
          const made = changes.map(({ bucket, ...rest }): FakeChange => ({ ...bucket, ...rest }));
          for (const { key, id } of made) {
            op++;
            if (key === BUCKET.key) newest.set(id, op);
          }
          storage.commit({ changes: made });
          for (const id of ['r', 'r1', 'r10', '1', 'ö', '', 'none']) {
            const budget = { bytes: PLENTY };
            const answer = await findOperation(storage.reader, BUCKET, op, wanted(id), budget, window + 1);
            if (!newest.has(id)) {
              expect(answer).toEqual({ state: 'absent', clearedUpTo: null });
              continue;
            }
            found++;
            expect(answer).toMatchObject({ state: 'found', operation: { opId: newest.get(id), objectId: id } });
          }
        }
      }),
      { numRuns: 60 },
    );
    expect(found).toBeGreaterThan(100);
  });

  test('is not looked for when the budget is used up; recent ones need little of it', async () => {
    const storage = createFakeStorage({ operationsPerChunk: 10 });
    const data = 'x'.repeat(1000);
    for (let at = 0; at < 50; at++) {
      const changes = Array.from({ length: 10 }, (_, row) => ({
        ...BUCKET,
        op: 'PUT' as const,
        id: `${at}-${row}`,
        data,
      }));
      storage.commit({ changes });
    }
    const search = async (id: string, bytes: number): Promise<string> => {
      const budget = { bytes };
      const { state } = await findOperation(storage.reader, BUCKET, storage.op, wanted(id), budget, 10);
      return `${state}, ${Math.round((bytes - budget.bytes) / 1000)} KB read`;
    };
    expect(await search('49-3', PLENTY)).toMatch(/^found, 1\d KB/);
    expect(await search('0-0', PLENTY)).toMatch(/^found, 5\d\d KB/);
    expect(await search('0-0', 20_000)).toMatch(/^unfinished, \d+ KB/);
    expect(await search('49-3', 0)).toBe('unfinished, 0 KB read');
  });

  test('what was compacted is told (S-420)', async () => {
    const storage = createFakeStorage();
    storage.commit({
      changes: [
        { ...BUCKET, op: 'PUT', id: 'r' },
        { ...BUCKET, op: 'REMOVE', id: 'r' },
      ],
    });
    const { chunks } = await storage.reader.chunks(BUCKET, 0, 2, 1000);
    const clear: Operation = {
      ...{ opId: 2, op: 'CLEAR', objectType: null, objectId: null, subkey: null, checksum: 7, data: null },
    };
    const compacted = chunks.map((chunk) => ({
      ...chunk,
      firstOp: 2,
      count: 1,
      operations: encodeOperations([clear]),
    }));
    storage.replaceChunks(BUCKET.definition, BUCKET.key, compacted);
    const budget = { bytes: PLENTY };
    expect(await findOperation(storage.reader, BUCKET, 2, wanted('r'), budget)).toEqual({
      state: 'absent',
      clearedUpTo: 2,
    });
  });

  test('an empty bucket has none', async () => {
    const { reader } = createFakeStorage();
    expect(await findOperation(reader, BUCKET, 10, wanted('r'), { bytes: 1 })).toEqual({
      state: 'absent',
      clearedUpTo: null,
    });
  });
});
