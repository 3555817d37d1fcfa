import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import type { BucketStorage, ReachedWriteCheckpoint } from '../contract.ts';
import { activate, activateAll, commitAt, emptyBatch, spec, visibleOp, write } from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

const pair = { userId: 'user "1"', clientId: 'c/1' };
const reachedNow = async (storage: BucketStorage, op?: number): Promise<bigint | null> =>
  (await storage.writeCheckpoints.reached([pair], op ?? (await visibleOp(storage))))[0]!;

/** Write checkpoints (S-459…S-491). */
export function writeCheckpoints(factory: StorageFactory): void {
  describe('write checkpoints', () => {
    test('numbers increase strictly per user and client, however many ask at once (S-464)', () =>
      withInstance(factory, async ({ storage, open }) => {
        await activate(storage);
        const other = await open();
        const numbers = await Promise.all(
          Array.from({ length: 40 }, (_, at) =>
            (at % 2 === 0 ? storage : other).writeCheckpoints.create(pair.userId, pair.clientId),
          ),
        );
        expect(new Set(numbers).size).toBe(40);
        const greatest = numbers.reduce((a, b) => (a > b ? a : b));
        expect(await storage.writeCheckpoints.create(pair.userId, pair.clientId)).toBeGreaterThan(greatest);
        expect(numbers.every((number) => number > 0n)).toBe(true);
      }));

    test('a requested number is recorded when it is greater, otherwise nothing changes (S-478, S-483)', () =>
      withInstance(factory, async ({ storage }) => {
        await activate(storage);
        const { create, request } = storage.writeCheckpoints;
        const first = await request(pair.userId, pair.clientId, 8n);
        expect(first).toEqual({ id: 8n, created: true });
        expect(await request(pair.userId, pair.clientId, 8n)).toEqual({ id: 8n, created: false });
        expect(await request(pair.userId, pair.clientId, 3n)).toEqual({ id: 8n, created: false });
        const next = await create(pair.userId, pair.clientId);
        expect(next).toBeGreaterThan(8n);
        expect(await request(pair.userId, pair.clientId, next - 1n)).toEqual({ id: next, created: false });
        const big = 2n ** 63n - 2n;
        expect(await request(pair.userId, pair.clientId, big)).toEqual({ id: big, created: true });
        expect(await request('other', pair.clientId, 1n)).toEqual({ id: 1n, created: true });
      }));

    test('unresolved ones come oldest first, and are reached as of the commit that passes them (S-465, S-466)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream } = await activate(storage);
        const { create, unresolved } = storage.writeCheckpoints;
        const asked: ReachedWriteCheckpoint[] = [];
        for (const clientId of ['a', 'b', pair.clientId]) {
          asked.push({ userId: pair.userId, clientId, checkpoint: await create(pair.userId, clientId) });
        }
        expect(await unresolved('s1', 2)).toEqual(asked.slice(0, 2));
        expect(await unresolved('s1', 10)).toEqual(asked);
        const before = await visibleOp(storage);
        expect(await reachedNow(storage)).toBeNull();
        const commit = commitAt('p1', { reachedWriteCheckpoints: asked.slice(1), announce: true });
        const { notice } = await writer.flush(emptyBatch(stream.id, commit));
        expect(notice!.writeCheckpoints).toEqual(asked.slice(1));
        expect(await storage.reader.noticesAfter(before, 10)).toEqual([notice]);
        expect(await reachedNow(storage)).toBe(asked[2]!.checkpoint);
        expect(await reachedNow(storage, before)).toBeNull();
        expect(await unresolved('s1', 10)).toEqual(asked.slice(0, 1));
        const pairs = [{ userId: pair.userId, clientId: 'a' }, pair, { userId: 'x', clientId: 'a' }];
        expect(await storage.writeCheckpoints.reached(pairs, notice!.op)).toEqual([null, asked[2]!.checkpoint, null]);
      }));

    test('a number asked for while an older one is being resolved stays unresolved; older checkpoints report the older one', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream } = await activate(storage);
        const resolve = async (checkpoint: bigint, position: string): Promise<number> => {
          const reached = [{ ...pair, checkpoint }];
          const commit = commitAt(position, { reachedWriteCheckpoints: reached, announce: true });
          return (await writer.flush(emptyBatch(stream.id, commit))).notice!.op;
        };
        const older = await storage.writeCheckpoints.create(pair.userId, pair.clientId);
        const newer = await storage.writeCheckpoints.create(pair.userId, pair.clientId);
        const one = await resolve(older, 'p1');
        expect(await storage.writeCheckpoints.unresolved('s1', 10)).toEqual([{ ...pair, checkpoint: newer }]);
        const two = await resolve(newer, 'p2');
        expect(await storage.writeCheckpoints.unresolved('s1', 10)).toEqual([]);
        expect(await reachedNow(storage, one)).toBe(older);
        expect(await reachedNow(storage, two)).toBe(newer);
        expect(await reachedNow(storage, two + 1000)).toBe(newer);
      }));

    test('with several sources a number is reached when all have passed it', () =>
      withInstance(factory, async ({ storage }) => {
        const sources = await activateAll(storage, [spec('bucket', 'a', 's1'), spec('bucket', 'b', 's2')]);
        const number = await storage.writeCheckpoints.create(pair.userId, pair.clientId);
        const reached = { reachedWriteCheckpoints: [{ ...pair, checkpoint: number }], announce: true };
        for (const tag of ['s1', 's2']) {
          const { writer, stream } = sources.get(tag)!;
          expect(await storage.writeCheckpoints.unresolved(tag, 10)).toEqual([{ ...pair, checkpoint: number }]);
          expect(await reachedNow(storage)).toBeNull();
          const { notice } = await writer.flush(emptyBatch(stream.id, commitAt('p1', reached)));
          expect(await storage.writeCheckpoints.unresolved(tag, 10)).toEqual([]);
          // Workers complete what the notice lists.
          expect(notice!.writeCheckpoints).toEqual(tag === 's1' ? [] : [{ ...pair, checkpoint: number }]);
        }
        expect(await reachedNow(storage)).toBe(number);
      }));

    test('a request waits only for sources of the active version', () =>
      withInstance(factory, async ({ storage }) => {
        const specs = [spec('bucket', 'a', 's1'), spec('bucket', 'b', 's2')];
        const { writer, stream } = (await activateAll(storage, specs)).get('s1')!;
        const number = await storage.writeCheckpoints.create(pair.userId, pair.clientId);
        const reached = { reachedWriteCheckpoints: [{ ...pair, checkpoint: number }], announce: true };
        await writer.flush(emptyBatch(stream.id, commitAt('p1', reached)));
        expect(await reachedNow(storage)).toBeNull();
        // s2 is no longer used; nobody will ever resolve for it.
        const plan = JSON.stringify(specs.slice(0, 1));
        await storage.configs.deploy({ content: plan, plan, definitions: specs.slice(0, 1), sources: ['s1'] });
        for (const request of await storage.writeCheckpoints.unresolved('s1', 10)) {
          await writer.flush(
            emptyBatch(stream.id, commitAt('p2', { reachedWriteCheckpoints: [request], announce: true })),
          );
        }
        expect(await reachedNow(storage)).toBe(number);
      }));

    test('custom ones count from the checkpoint that contains their row (S-487), never before', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream } = await activate(storage);
        const custom = (checkpoint: bigint) => [{ ...pair, checkpoint }];
        await write(writer, stream.id, { custom: custom(5n) }, commitAt('p1', { announce: true }));
        const one = await visibleOp(storage);
        expect(await reachedNow(storage)).toBe(5n);
        await write(writer, stream.id, { custom: custom(6n), rows: [], lookups: [] });
        expect(await reachedNow(storage, Number.MAX_SAFE_INTEGER)).toBe(5n);
        const { notice } = await write(writer, stream.id, { custom: custom(7n) }, commitAt('p2', { announce: true }));
        expect(notice!.writeCheckpoints).toEqual(custom(7n));
        expect(await reachedNow(storage, one)).toBe(5n);
        expect(await reachedNow(storage)).toBe(7n);
        expect(await storage.writeCheckpoints.create(pair.userId, pair.clientId)).toBeGreaterThan(7n);
      }));

    test('custom ones of a version that is being processed count when it is active', () =>
      withInstance(factory, async ({ storage }) => {
        const first = await activate(storage);
        const specs = [spec('bucket', 'new')];
        const plan = JSON.stringify(specs);
        const second = await storage.configs.deploy({ content: plan, plan, definitions: specs, sources: ['s1'] });
        const { writer } = first;
        const to = (await writer.streams()).find((item) => item.version === second.version)!;
        await write(writer, to.id, { custom: [{ ...pair, checkpoint: 4n }] }, commitAt('p0', { announce: true }));
        const { notice } = await writer.flush(emptyBatch(first.stream.id, commitAt('p0', { announce: true })));
        expect(await reachedNow(storage, notice!.op)).toBeNull();
        await writer.switchOver({ version: second.version, from: first.stream.id, to: to.id });
        expect(await reachedNow(storage)).toBe(4n);
      }));

    test('records that nobody touches expire; numbers keep increasing all the same (O-61, S-464)', () =>
      withInstance(factory, async ({ storage, open }) => {
        await activate(storage);
        const clock = createFakeClock(Date.now());
        const { writeCheckpoints: store } = await open(undefined, clock);
        const old = await store.create(pair.userId, pair.clientId);
        await clock.advance(2 * 60 * 60_000);
        await store.create('recent', 'c');
        expect(await store.expire(60 * 60_000)).toBe(1);
        expect(await store.expire(60 * 60_000)).toBe(0);
        expect(await store.unresolved('s1', 10)).toMatchObject([{ userId: 'recent' }]);
        expect(await store.create(pair.userId, pair.clientId)).toBeGreaterThan(old);
      }));
  });
}
