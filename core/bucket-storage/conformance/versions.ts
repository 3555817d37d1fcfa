import { describe, expect, test } from 'vitest';
import type { BucketRef, BucketStorage } from '../contract.ts';
import type { DefinitionSpec, DeployedVersion } from '../sync-config-store.ts';
import {
  activate,
  activateAll,
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

const deploy = (
  storage: BucketStorage,
  definitions: readonly DefinitionSpec[],
  force?: readonly string[],
): Promise<DeployedVersion> => {
  const plan = JSON.stringify(definitions);
  const sources = [...new Set(definitions.map((item) => item.source))];
  return storage.configs.deploy({ content: `text of ${plan}`, plan, definitions, sources, ...(force && { force }) });
};
const specs = [spec('bucket', 'b'), spec('lookup', 'l')];
const ascending = (a: number, b: number): number => a - b;

/** Deployed versions of the sync config (O-127, O-128, O-133, O-118, S-431…S-436). */
export function versions(factory: StorageFactory): void {
  describe('versions', () => {
    test('the first version is processed, then active; its stream reports its definitions', () =>
      withInstance(factory, async ({ storage, open }) => {
        const version = await deploy(storage, specs);
        expect(version).toMatchObject({ state: 'processing', error: null, activatedMs: null, definitions: specs });
        expect(version.definitions.every((item) => item.since === version.version)).toBe(true);
        expect(await storage.configs.active()).toBeNull();
        expect(await storage.reader.checkpoint()).toBeNull();
        const writer = await storage.takeOver('s1', 'test');
        const [stream] = await writer.streams();
        expect(stream).toMatchObject({
          source: 's1',
          version: version.version,
          slot: '',
          position: null,
          progress: null,
          committedOp: 0,
        });
        expect(stream!.definitions.toSorted(ascending)).toEqual(
          version.definitions.map((item) => item.id).toSorted(ascending),
        );
        const bucket: BucketRef = { definition: definitionId(version, 'b'), key: '[]' };
        expect((await write(writer, stream!.id, { rows: rowsFor(bucket, 'r', 3) }, commitAt('p1'))).notice).toBeNull();
        expect(await storage.reader.checkpoint()).toBeNull();
        const { active, notice } = await writer.switchOver({ version: version.version, from: null, to: stream!.id });
        expect(active).toBe(true);
        expect(notice).toMatchObject({ version: version.version, buckets: null, lookups: null });
        const other = await open();
        expect(await other.reader.checkpoint()).toEqual({ version: version.version, op: notice!.op });
        expect(await readBucket(other.reader, bucket, notice!.op)).toHaveLength(3);
        expect(await other.configs.active()).toMatchObject({
          version: version.version,
          state: 'active',
          plan: version.plan,
          content: version.content,
        });
        expect((await other.configs.active())!.activatedMs).not.toBeNull();
      }));

    test('an unchanged plan changes nothing, whatever its state (O-128)', () =>
      withInstance(factory, async ({ storage, open }) => {
        const both = await Promise.all([
          deploy(storage, specs),
          (await open()).configs.deploy({
            content: 'x',
            plan: JSON.stringify(specs),
            definitions: specs,
            sources: ['s1'],
          }),
        ]);
        expect(both[0].version).toBe(both[1].version);
        const { version } = await activate(storage, specs);
        await deploy(storage, specs);
        const revision = await storage.configs.revision();
        const again = await deploy(storage, specs);
        expect(again).toMatchObject({ version: version.version, state: 'active' });
        expect(await storage.configs.revision()).toBe(revision);
        expect(await storage.configs.live()).toHaveLength(1);
      }));

    test('other words for the same plan: the version is the same, its text and label are the new ones', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { version } = await activate(storage, specs);
        const { plan } = version;
        const same = { plan, definitions: specs, sources: ['s1'] };
        const revision = await storage.configs.revision();
        const said = await storage.configs.deploy({ ...same, content: 'with a comment', label: 'two' });
        expect(said).toMatchObject({
          version: version.version,
          state: 'active',
          content: 'with a comment',
          label: 'two',
        });
        expect(said.definitions).toEqual(version.definitions);
        expect(await storage.configs.revision()).toBeGreaterThan(revision);
        const other = await (await open()).configs.deploy({ ...same, content: 'without' });
        expect(other).toMatchObject({ version: version.version, content: 'without', label: 'two' });
        // back to the active plan, from another one that is processed
        await deploy(storage, [spec('bucket', 'other')]);
        expect(await storage.configs.deploy({ ...same, content: 'again' })).toMatchObject({
          version: version.version,
          content: 'again',
        });
        expect(await storage.configs.processing()).toBeNull();
        expect(await storage.configs.live()).toHaveLength(1);
      }));

    test('unchanged definitions are kept, only new ones are processed, and both take over together', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, version: first, id } = await activate(storage, [...specs, spec('bucket', 'dropped')]);
        const kept: BucketRef = { definition: id('b'), key: '[]' };
        await write(writer, stream.id, { rows: rowsFor(kept, 'old', 2) }, commitAt('p1'));
        const second = await deploy(storage, [spec('bucket', 'new'), ...specs]);
        expect(second.version).toBeGreaterThan(first.version);
        expect(second.state).toBe('processing');
        expect(definitionId(second, 'b')).toBe(kept.definition);
        expect(second.definitions.find((item) => item.identity === 'b')).toMatchObject({ since: first.version });
        expect(second.definitions.find((item) => item.identity === 'new')).toMatchObject({ since: second.version });
        const to = (await writer.streams()).find((item) => item.version === second.version)!;
        expect(to.definitions).toEqual([definitionId(second, 'new')]);
        const added: BucketRef = { definition: definitionId(second, 'new'), key: '[]' };
        await write(writer, to.id, { rows: rowsFor(added, 'copied', 4) }, commitAt('p1'));
        const before = await visibleOp(storage);
        const live = await write(writer, stream.id, { rows: rowsFor(kept, 'live', 1) }, commitAt('p2'));
        expect(live.notice).toMatchObject({ version: first.version, previous: before });
        await write(writer, to.id, { rows: rowsFor(added, 'live', 1) }, commitAt('p2'));
        const result = await writer.switchOver({ version: second.version, from: stream.id, to: to.id });
        expect(result.active).toBe(true);
        expect(result.notice).toMatchObject({ version: second.version, previous: live.notice!.op, buckets: null });
        expect(await storage.reader.checkpoint()).toEqual({ version: second.version, op: result.notice!.op });
        expect((await storage.configs.get(first.version))!.state).toBe('stopped');
        const streams = await writer.streams();
        expect(streams.map((item) => item.id)).toEqual([to.id]);
        expect(streams[0]!.definitions.toSorted(ascending)).toEqual(
          second.definitions.map((item) => item.id).toSorted(ascending),
        );
        // The new stream writes the kept definition; totals go on.
        const after = await write(
          writer,
          to.id,
          { rows: [...rowsFor(kept, 'x', 1), ...rowsFor(added, 'x', 1)] },
          commitAt('p3'),
        );
        expect(after.notice!.buckets!.map((bucket) => bucket.count).toSorted(ascending)).toEqual([4, 6]);
        await expect(writer.flush(emptyBatch(stream.id, commitAt('p4')))).rejects.toThrow(/PSYNC_S1020/);
        expect((await storage.configs.abandonedStreams('s1')).map((item) => item.id)).toEqual([stream.id]);
        await storage.configs.forgetStream(stream.id);
        expect(await storage.configs.abandonedStreams('s1')).toEqual([]);
      }));

    test('a version without anything new is active at once and uses the active streams', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, version: first, id } = await activate(storage, [...specs, spec('bucket', 'dropped')]);
        const op = await visibleOp(storage);
        const second = await deploy(storage, specs);
        expect(second).toMatchObject({ state: 'active' });
        expect(second.streams.map((item) => item.id)).toEqual([stream.id]);
        const checkpoint = await storage.reader.checkpoint();
        expect(checkpoint!.version).toBe(second.version);
        expect(checkpoint!.op).toBeGreaterThanOrEqual(op);
        expect((await storage.configs.get(first.version))!.state).toBe('stopped');
        const result = await write(
          writer,
          stream.id,
          { rows: rowsFor({ definition: id('b'), key: '[]' }, 'r', 1) },
          commitAt('p1'),
        );
        expect(result.notice!.version).toBe(second.version);
        await expect(
          write(writer, stream.id, { rows: rowsFor({ definition: id('dropped'), key: '[]' }, 'r', 1) }, commitAt('p2')),
        ).rejects.toThrow(/PSYNC_S/);
        expect(await storage.configs.abandonedStreams('s1')).toEqual([]);
      }));

    test('a newer deployment replaces one that is still processing, and its stream is abandoned (O-127)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream } = await activate(storage);
        const second = await deploy(storage, [...specs, spec('bucket', 'second')]);
        const third = await deploy(storage, [...specs, spec('bucket', 'third')]);
        expect((await storage.configs.get(second.version))!.state).toBe('stopped');
        expect((await storage.configs.processing())!.version).toBe(third.version);
        expect((await storage.configs.live()).map((item) => [item.version, item.state])).toEqual([
          [stream.version, 'active'],
          [third.version, 'processing'],
        ]);
        expect(await storage.configs.abandonedStreams('s1')).toMatchObject([{ version: second.version }]);
        expect((await writer.streams()).map((item) => item.version)).toEqual([stream.version, third.version]);
        // Back to what is active: nothing is processed any more.
        const back = await deploy(storage, specs);
        expect(back).toMatchObject({ version: stream.version, state: 'active' });
        expect(await storage.configs.processing()).toBeNull();
        expect((await storage.configs.get(third.version))!.state).toBe('stopped');
      }));

    test('forced sources keep nothing (O-118, R-103)', () =>
      withInstance(factory, async ({ storage }) => {
        const sources = await activateAll(storage, [spec('bucket', 'a', 's1'), spec('bucket', 'b', 's2')]);
        const { version: first, writer, stream } = sources.get('s1')!;
        const second = await deploy(storage, [spec('bucket', 'a', 's1'), spec('bucket', 'b', 's2')], ['s1']);
        expect(second).toMatchObject({ state: 'processing', plan: first.plan });
        expect(definitionId(second, 'a')).not.toBe(definitionId(first, 'a'));
        expect(definitionId(second, 'b')).toBe(definitionId(first, 'b'));
        const to = (await writer.streams()).find((item) => item.version === second.version)!;
        await write(
          writer,
          to.id,
          { rows: rowsFor({ definition: definitionId(second, 'a'), key: '[]' }, 'r', 2) },
          commitAt('p9'),
        );
        // The old slot is lost: there is no common position.
        expect(await writer.switchOver({ version: second.version, from: null, to: to.id })).toMatchObject({
          active: true,
        });
        expect((await storage.configs.active())!.streams.map((item) => item.source).toSorted()).toEqual(['s1', 's2']);
        expect((await storage.configs.abandonedStreams('s1')).map((item) => item.id)).toEqual([stream.id]);
        expect(await storage.configs.abandonedStreams('s2')).toEqual([]);
      }));

    test('a version that fails shows its error, the active one keeps serving, a newer deployment is accepted (O-133)', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, version: first, id } = await activate(storage);
        const second = await deploy(storage, [...specs, spec('bucket', 'second')]);
        const revision = await storage.configs.revision();
        await storage.configs.fail(second.version, 'no such table');
        expect(await storage.configs.revision()).toBeGreaterThan(revision);
        expect(await storage.configs.processing()).toBeNull();
        expect((await storage.configs.active())!.version).toBe(first.version);
        const live = await storage.configs.live();
        expect(live.map((item) => [item.version, item.state, item.error])).toEqual([
          [first.version, 'active', null],
          [second.version, 'errored', 'no such table'],
        ]);
        expect((await writer.streams()).map((item) => item.id)).toEqual([stream.id]);
        expect(await storage.configs.abandonedStreams('s1')).toMatchObject([{ version: second.version }]);
        await write(writer, stream.id, { rows: rowsFor({ definition: id('b'), key: '[]' }, 'r', 1) }, commitAt('p1'));
        // O-128: a restart with the same plan does not try again by itself; force does.
        expect(await deploy(storage, [...specs, spec('bucket', 'second')])).toMatchObject({
          version: second.version,
          state: 'errored',
        });
        const third = await deploy(storage, [...specs, spec('bucket', 'second')], ['s1']);
        expect(third.state).toBe('processing');
        expect((await storage.configs.live()).map((item) => item.version)).toEqual([first.version, third.version]);
      }));

    test('switching over needs both streams at the same position, with nothing unpublished', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream, id } = await activate(storage);
        const second = await deploy(storage, [...specs, spec('bucket', 'second')]);
        const to = (await writer.streams()).find((item) => item.version === second.version)!;
        const change = { version: second.version, from: stream.id, to: to.id };
        await write(writer, to.id, {}, commitAt('other'));
        await expect(writer.switchOver(change)).rejects.toThrow(/PSYNC_S0001/);
        await write(writer, to.id, {}, commitAt('p0'));
        await write(writer, stream.id, { rows: rowsFor({ definition: id('b'), key: '[]' }, 'r', 1) });
        await expect(writer.switchOver(change)).rejects.toThrow(/PSYNC_S0001/);
        await write(writer, stream.id, {}, commitAt('p0'));
        expect(await writer.switchOver(change)).toMatchObject({ active: true });
        expect(await writer.switchOver(change)).toMatchObject({ active: true });
      }));

    test('a version of two sources becomes active with the last of them', () =>
      withInstance(factory, async ({ storage }) => {
        const old = [spec('bucket', 'a', 's1'), spec('bucket', 'b', 's2')];
        const sources = await activateAll(storage, old);
        const [one, two] = [sources.get('s1')!, sources.get('s2')!];
        const first = one.version.version;
        const second = await deploy(storage, [...old, spec('bucket', 'a2', 's1'), spec('bucket', 'b2', 's2')]);
        const target = async (writer: typeof one.writer) =>
          (await writer.streams()).find((item) => item.version === second.version)!;
        const [toOne, toTwo] = [await target(one.writer), await target(two.writer)];
        for (const [{ writer }, to, identity] of [
          [one, toOne, 'a2'],
          [two, toTwo, 'b2'],
        ] as const) {
          await write(
            writer,
            to.id,
            { rows: rowsFor({ definition: definitionId(second, identity), key: '[]' }, 'r', 3) },
            commitAt('p0'),
          );
        }
        const partial = await one.writer.switchOver({ version: second.version, from: one.stream.id, to: toOne.id });
        expect(partial.active).toBe(false);
        expect((await storage.configs.active())!.version).toBe(first);
        // From now on the new stream feeds the active version.
        const kept: BucketRef = { definition: one.id('a'), key: '[]' };
        const live = await write(one.writer, toOne.id, { rows: rowsFor(kept, 'live', 1) }, commitAt('p1'));
        expect(live.notice).toMatchObject({ version: first });
        expect(await readBucket(storage.reader, kept, live.notice!.op)).toHaveLength(1);
        const done = await two.writer.switchOver({ version: second.version, from: two.stream.id, to: toTwo.id });
        expect(done).toMatchObject({ active: true, notice: { version: second.version } });
        const abandoned = await Promise.all(['s1', 's2'].map((source) => storage.configs.abandonedStreams(source)));
        expect(abandoned.flat().map((item) => item.id)).toEqual([one.stream.id, two.stream.id]);
        const op = await visibleOp(storage);
        for (const identity of ['a2', 'b2']) {
          expect(
            await readBucket(storage.reader, { definition: definitionId(second, identity), key: '[]' }, op),
          ).toHaveLength(3);
        }
      }));

    test('no version becomes active inside a transaction of another source (G1)', () =>
      withInstance(factory, async ({ storage }) => {
        const old = [spec('bucket', 'a', 's1'), spec('bucket', 'b', 's2')];
        const sources = await activateAll(storage, old);
        const [one, two] = [sources.get('s1')!, sources.get('s2')!];
        const second = await deploy(storage, [...old, spec('bucket', 'a2', 's1')]);
        const to = (await one.writer.streams()).find((item) => item.version === second.version)!;
        const added: BucketRef = { definition: definitionId(second, 'a2'), key: '[]' };
        await write(two.writer, two.stream.id, { rows: rowsFor({ definition: two.id('b'), key: '[]' }, 'open', 2) });
        await write(one.writer, to.id, { rows: rowsFor(added, 'r', 3) }, commitAt('p0'));
        const before = await storage.reader.checkpoint();
        const result = await one.writer.switchOver({ version: second.version, from: one.stream.id, to: to.id });
        expect(result).toEqual({ active: false, notice: null });
        expect(await storage.reader.checkpoint()).toEqual(before);
        const { notice } = await write(two.writer, two.stream.id, {}, commitAt('p1'));
        expect(notice).toMatchObject({ version: second.version, previous: before!.op, buckets: null });
        expect(await storage.reader.checkpoint()).toEqual({ version: second.version, op: notice!.op });
        expect(await readBucket(storage.reader, added, notice!.op)).toHaveLength(3);
        expect((await storage.configs.active())!.version).toBe(second.version);
      }));
  });
}
