import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { BucketRef } from '../contract.ts';
import { rowStateKey } from '../contract.ts';
import {
  activate,
  collect,
  commitAt,
  definitionId,
  emptyBatch,
  readBucket,
  rowsFor,
  spec,
  visibleOp,
  write,
} from './content.ts';
import { type StorageFactory, withInstance } from './factory.ts';

/** Migrations, clearing, sizes, removal (O-7, O-78…O-82, O-134). */
export function schema(factory: StorageFactory): void {
  describe('migrations', () => {
    test('five processes that start together run each migration once (O-80)', async () => {
      const instance = await factory.createInstance();
      const storages = await Promise.all(Array.from({ length: 5 }, () => factory.open({ url: instance.url })));
      try {
        await expect(storages[0]!.assertMigrated()).rejects.toThrow(/PSYNC_S1005.*\b0*1/);
        const applied = (await Promise.all(storages.map((storage) => storage.migrate()))).flatMap(
          (result) => result.applied,
        );
        expect(applied.length).toBeGreaterThan(0);
        expect(new Set(applied).size).toBe(applied.length);
        await Promise.all(storages.map((storage) => storage.assertMigrated()));
        expect(await storages[1]!.migrate()).toEqual({ applied: [] });
        await activate(storages[2]!);
      } finally {
        await Promise.allSettled(storages.map((storage) => storage.close()));
        await instance.drop();
      }
    });
  });

  describe('clearing', () => {
    test('removes data that no live version uses and keeps the rest (O-134)', () =>
      withInstance(factory, async ({ storage }) => {
        const {
          writer,
          stream,
          version: first,
          id,
        } = await activate(storage, [spec('bucket', 'kept'), spec('bucket', 'gone'), spec('lookup', 'lost')]);
        const [kept, gone] = ['kept', 'gone'].map((name): BucketRef => ({ definition: id(name), key: '[]' }));
        const lookups = Array.from({ length: 50 }, (_, at) => ({
          lookup: id('lost'),
          key: `[${at}]`,
          row: 'r',
          values: '[]',
        }));
        const rows = [...rowsFor(kept!, 'k', 300), ...rowsFor(gone!, 'g', 3000)];
        const keyOf = (group: number) => rowStateKey(group, 1, 1, 'x');
        const rowStates = [{ key: keyOf(first.version), state: 'first', previous: null }];
        await write(writer, stream.id, { rows, lookups, rowStates, chunkSize: 1 }, commitAt('p1'));
        expect(await storage.clearStopped(10_000)).toBe(false);
        const specs = [spec('bucket', 'kept'), spec('bucket', 'fresh')];
        const plan = JSON.stringify(specs);
        const second = await storage.configs.deploy({ content: plan, plan, definitions: specs, sources: ['s1'] });
        const to = (await writer.streams()).find((item) => item.version === second.version)!;
        const fresh: BucketRef = { definition: definitionId(second, 'fresh'), key: '[]' };
        const freshStates = [{ key: keyOf(second.version), state: 'second', previous: null }];
        await write(writer, to.id, { rows: rowsFor(fresh, 'f', 20), rowStates: freshStates }, commitAt('p1'));
        // While the first version is active nothing of it goes.
        await storage.clearStopped(10_000);
        expect(await collect(writer.scanDefinition(gone!.definition))).toHaveLength(3000);
        await writer.switchOver({ version: second.version, from: stream.id, to: to.id });
        let rounds = 0;
        while (await storage.clearStopped(20)) rounds++;
        expect(rounds).toBeLessThan(5000);
        expect(await collect(writer.scanDefinition(gone!.definition))).toEqual([]);
        expect(await collect(writer.scanLookup(id('lost')))).toEqual([]);
        const op = await visibleOp(storage);
        expect(await readBucket(storage.reader, kept!, op)).toHaveLength(300);
        expect(await readBucket(storage.reader, fresh, op)).toHaveLength(20);
        // Row states of the first version describe the definition that was kept.
        expect(await writer.readRowStates([keyOf(first.version), keyOf(second.version)])).toEqual(['first', 'second']);
        await write(writer, to.id, { rows: rowsFor(kept!, 'more', 1) }, commitAt('p2'));
        // The next one keeps nothing of the first: its row states go as well.
        const third = await storage.configs.deploy({
          content: '3',
          plan: '3',
          definitions: [spec('bucket', 'fresh')],
          sources: ['s1'],
        });
        expect(third.state).toBe('active');
        while (await storage.clearStopped(1000)) rounds++;
        expect(await writer.readRowStates([keyOf(first.version), keyOf(second.version)])).toEqual([null, 'second']);
        expect((await storage.configs.live()).map((item) => item.version)).toEqual([third.version]);
      }));

    test('also removes what a replaced or failed version had processed', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer } = await activate(storage, [spec('bucket', 'kept')]);
        const ended: number[] = [];
        for (const name of ['replaced', 'failed']) {
          const specs = [spec('bucket', 'kept'), spec('bucket', name)];
          const plan = JSON.stringify(specs);
          const version = await storage.configs.deploy({ content: plan, plan, definitions: specs, sources: ['s1'] });
          const to = (await writer.streams()).find((item) => item.version === version.version)!;
          ended.push(definitionId(version, name));
          await write(
            writer,
            to.id,
            { rows: rowsFor({ definition: ended.at(-1)!, key: '[]' }, 'r', 20) },
            commitAt('p0'),
          );
          await write(writer, to.id, { rows: rowsFor({ definition: ended.at(-1)!, key: '[]' }, 'open', 20) });
          if (name === 'failed') await storage.configs.fail(version.version, 'broken');
        }
        while (await storage.clearStopped(1000));
        for (const definition of ended) expect(await collect(writer.scanDefinition(definition))).toEqual([]);
        const next = await storage.takeOver('s1', 'next');
        expect(await next.streams()).toHaveLength(1);
      }));
  });

  describe('sizes and removal', () => {
    test('the three parts of hosted data grow with what is stored (O-82)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const before = await storage.figures();
        // Text that does not shrink to nothing.
        const rows = Array.from({ length: 200 }, (_, at) => ({
          definition: id('b'),
          key: '[]',
          id: `r${at}`,
          data: JSON.stringify({ text: randomBytes(2500).toString('hex') }),
        }));
        const lookups = Array.from({ length: 2000 }, (_, at) => ({
          lookup: id('l'),
          key: `["${'y'.repeat(200)}${at}"]`,
          row: `r${at}`,
          values: '[[1]]',
        }));
        const rowStates = Array.from({ length: 2000 }, (_, at) => ({
          key: rowStateKey(1, 1, 1, `${'k'.repeat(200)}${at}`),
          state: 's'.repeat(50),
          previous: null,
        }));
        await write(writer, stream.id, { rows, lookups, rowStates }, commitAt('p1'));
        const after = await storage.figures();
        expect(after.operationBytes - before.operationBytes).toBeGreaterThan(100_000);
        expect(after.parameterBytes - before.parameterBytes).toBeGreaterThan(20_000);
        expect(after.rowStateBytes - before.rowStateBytes).toBeGreaterThan(20_000);
      }));

    test('destroy removes everything of the instance (O-7)', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { writer, stream, id } = await activate(storage);
        await write(writer, stream.id, { rows: rowsFor({ definition: id('b'), key: '[]' }, 'r', 3) }, commitAt('p1'));
        await storage.destroy();
        const again = await open();
        await expect(again.assertMigrated()).rejects.toThrow(/PSYNC_S1005/);
        expect((await again.migrate()).applied.length).toBeGreaterThan(0);
        expect(await again.reader.checkpoint()).toBeNull();
        expect(await again.configs.live()).toEqual([]);
        await expect(writer.flush(emptyBatch(stream.id, commitAt('p2')))).rejects.toThrow(/PSYNC_S/);
      }));
  });
}
