import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rowStateKey, rowStatePrefix, type RowStateWrite, type SourceWriter } from '../contract.ts';
import { type ActiveSource, activate, commitAt, spec, write } from './content.ts';
import { type Bench, type StorageFactory, withInstance } from './factory.ts';

const RUNS = Number(process.env['MILLRACE_CONFORMANCE_RUNS'] ?? 12);
const MANY = 1500;

const keyOf = (group: number, row: number | string): string => rowStateKey(group, 2, 0, String(row));
const stateOf = (key: string): string => `["${key}"]`;
const asNew = (key: string, state = stateOf(key)): RowStateWrite => ({ key, state, previous: null, isNew: true });

/** Row states of a first copy may be stored together: what happens to one of them must not be noticed by others. */
export function newRowStates(factory: StorageFactory): void {
  describe('states of many new rows', () => {
    const copied = async (bench: Bench, specs = [spec('bucket', 'b')]) => {
      const active = await activate(bench.storage, specs);
      const group = active.version.version;
      const keys = Array.from({ length: MANY }, (_, row) => keyOf(group, row));
      await write(active.writer, active.stream.id, { rowStates: keys.map((key) => asNew(key)) }, commitAt('copied'));
      return { ...active, group, keys };
    };

    test('are read back, by the next writer too', () =>
      withInstance(factory, async (bench) => {
        const { writer, group, keys } = await copied(bench);
        const asked = [...keys, keyOf(group, 'unknown'), keyOf(group + 1, 0), keyOf(group, 1), 'x'];
        const expected = [...keys.map(stateOf), null, null, stateOf(keyOf(group, 1)), null];
        expect(await writer.readRowStates(asked)).toEqual(expected);
        const next = await (await bench.open()).takeOver('s1', 'next');
        expect(await next.readRowStates(asked)).toEqual(expected);
        expect(await next.readRowStates([keys[7]!])).toEqual([stateOf(keys[7]!)]);
      }));

    test('of any characters and sizes, of several tables in one flush, with changes of other rows', () =>
      withInstance(factory, async ({ storage }) => {
        const { writer, stream } = await activate(storage);
        const names = ['ü/ö', '€ uro', '🙂', '"quoted"', "it's", 'tab\t', '', '/', 'x'.repeat(500)];
        const plain = Array.from({ length: 70 }, (_, at) => `row ${at}`);
        const tables = [1, 2, 3].flatMap((table) =>
          [...plain, ...names].map((name) => asNew(rowStateKey(1, table, 0, name), `state of ${table} ${name}`)),
        );
        const few = plain.slice(0, 5).map((name) => asNew(rowStateKey(1, 4, 0, name)));
        const large = plain.map((name, at) => asNew(rowStateKey(1, 5, 0, name), 'ß'.repeat(at * 100)));
        const changed = plain.map((name) => ({ key: rowStateKey(1, 6, 0, name), state: 'changed', previous: null }));
        const all: RowStateWrite[] = [...tables, ...few, ...changed, ...large];
        await write(writer, stream.id, { rowStates: all }, commitAt('p1'));
        expect(await writer.readRowStates(all.map(({ key }) => key))).toEqual(all.map(({ state }) => state));
      }));

    test('are changed, removed, and written again', () =>
      withInstance(factory, async (bench) => {
        const { writer, stream, group, keys } = await copied(bench);
        const [changed, removed, again, plain] = keys as [string, string, string, string];
        const other = keyOf(group, 'other');
        const commit = async (key: string, state: string | null, position: string, by: SourceWriter): Promise<void> => {
          const [previous] = await by.readRowStates([key]);
          await write(by, stream.id, { rowStates: [{ key, state, previous: previous! }] }, commitAt(position));
        };
        await commit(changed, 'one', 'p1', writer);
        await commit(removed, null, 'p2', writer);
        await commit(again, null, 'p3', writer);
        await commit(other, 'other', 'p4', writer);
        await commit(again, 'again', 'p5', writer);
        const asked = [changed, removed, again, plain, other];
        const expected = ['one', null, 'again', stateOf(plain), 'other'];
        expect(await writer.readRowStates(asked)).toEqual(expected);
        const next = await (await bench.open()).takeOver('s1', 'next');
        expect(await next.readRowStates(asked)).toEqual(expected);
        await commit(removed, 'back', 'p6', next);
        await commit(changed, null, 'p7', next);
        await commit(again, null, 'p8', next);
        await commit(other, null, 'p9', next);
        expect(await next.readRowStates(asked)).toEqual([null, 'back', null, stateOf(plain), null]);
      }));

    test('are put back when the transaction that touched them was not finished', () =>
      withInstance(factory, async (bench) => {
        const { writer, stream, group, keys } = await copied(bench);
        const [changed, removed, gone, twice] = keys as [string, string, string, string];
        await write(
          writer,
          stream.id,
          { rowStates: [{ key: gone, state: null, previous: stateOf(gone) }] },
          commitAt('p1'),
        );
        const fresh = Array.from({ length: 100 }, (_, at) => keyOf(group, `fresh ${at}`));
        await write(writer, stream.id, {
          rowStates: [
            { key: changed, state: 'lost', previous: stateOf(changed) },
            { key: removed, state: null, previous: stateOf(removed) },
            { key: gone, state: 'lost', previous: null },
            { key: twice, state: null, previous: stateOf(twice) },
            ...fresh.map((key) => asNew(key)),
          ],
        });
        await write(writer, stream.id, { rowStates: [{ key: twice, state: 'lost', previous: stateOf(twice) }] });
        const asked = [changed, removed, gone, twice, fresh[0]!, keys[5]!];
        expect(await writer.readRowStates(asked)).toEqual([
          'lost',
          null,
          'lost',
          'lost',
          stateOf(fresh[0]!),
          stateOf(keys[5]!),
        ]);
        const next = await (await bench.open()).takeOver('s1', 'next');
        const before = [stateOf(changed), stateOf(removed), null, stateOf(twice), null, stateOf(keys[5]!)];
        expect(await next.readRowStates(asked)).toEqual(before);
        // What was undone may come again.
        await write(next, stream.id, { rowStates: fresh.map((key) => asNew(key, 'again')) }, commitAt('p2'));
        expect(await next.readRowStates(fresh)).toEqual(fresh.map(() => 'again'));
      }));

    test('of an unfinished transaction stay when it is committed', () =>
      withInstance(factory, async (bench) => {
        const { writer, stream, group, keys } = await copied(bench);
        const fresh = [...Array(200).keys()].map((at) => keyOf(group, `fresh ${at}`));
        await write(writer, stream.id, {
          rowStates: [
            { key: keys[0]!, state: null, previous: stateOf(keys[0]!) },
            ...fresh.slice(0, 100).map((key) => asNew(key)),
          ],
        });
        await write(writer, stream.id, { rowStates: fresh.slice(100).map((key) => asNew(key)) }, commitAt('p1'));
        const next = await (await bench.open()).takeOver('s1', 'next');
        expect(await next.readRowStates([keys[0]!, ...fresh])).toEqual([null, ...fresh.map(stateOf)]);
      }));

    test('are dropped by prefix with what happened to them, and may come again', () =>
      withInstance(factory, async (bench) => {
        const { writer, stream, group, keys } = await copied(bench);
        const kept = Array.from({ length: 100 }, (_, row) => rowStateKey(group, 20, 0, String(row)));
        const rowStates = [
          { key: keys[0]!, state: null, previous: stateOf(keys[0]!) },
          { key: keys[1]!, state: 'changed', previous: stateOf(keys[1]!) },
          ...kept.map((key) => asNew(key)),
        ];
        await write(writer, stream.id, { rowStates }, commitAt('p1'));
        await writer.dropRowStates(rowStatePrefix(group, 2, 0));
        expect(await writer.readRowStates([...keys, ...kept])).toEqual([...keys.map(() => null), ...kept.map(stateOf)]);
        await write(writer, stream.id, { rowStates: keys.map((key) => asNew(key, 'second')) }, commitAt('p2'));
        const next = await (await bench.open()).takeOver('s1', 'next');
        expect(await next.readRowStates(keys)).toEqual(keys.map(() => 'second'));
      }));

    test('go when their version is cleared, and count in the sizes', () =>
      withInstance(factory, async (bench) => {
        const { storage } = bench;
        const empty = (await storage.figures()).rowStateBytes;
        const { writer, stream, keys, version } = await copied(bench);
        const removed = { key: keys[0]!, state: null, previous: stateOf(keys[0]!) };
        await write(writer, stream.id, { rowStates: [removed] }, commitAt('p1'));
        expect((await storage.figures()).rowStateBytes - empty).toBeGreaterThan(MANY * 10);
        while (await storage.clearStopped(1000));
        expect(await writer.readRowStates(keys.slice(0, 3))).toEqual([null, stateOf(keys[1]!), stateOf(keys[2]!)]);
        const specs = [spec('bucket', 'next')];
        const next = await storage.configs.deploy({ content: '2', plan: '2', definitions: specs, sources: ['s1'] });
        const to = (await writer.streams()).find((item) => item.version === next.version)!;
        const own = Array.from({ length: 100 }, (_, row) => keyOf(next.version, row));
        await write(writer, to.id, { rowStates: own.map((key) => asNew(key)) }, commitAt('p1'));
        await writer.switchOver({ version: next.version, from: stream.id, to: to.id });
        while (await storage.clearStopped(1000));
        expect(next.version).not.toBe(version.version);
        expect(await writer.readRowStates([...keys, ...own])).toEqual([...keys.map(() => null), ...own.map(stateOf)]);
      }));

    test(
      'always are as in a map, whatever is changed, removed, lost and taken over',
      { timeout: 600_000 },
      async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 14 }), (steps) =>
            withInstance(factory, (bench) => compareWithMap(bench, steps)),
          ),
          { numRuns: RUNS, interruptAfterTimeLimit: 500_000, markInterruptAsFailure: false },
        );
      },
    );
  });
}

type Step =
  | {
      readonly kind: 'flush';
      /** Rows that come, per table. */
      readonly fresh: readonly number[];
      /** Of rows that came: which, and how they go on. */
      readonly changes: readonly { readonly at: number; readonly state: string | null }[];
      readonly final: boolean;
    }
  | { readonly kind: 'take-over'; readonly inProcess: boolean };

const TABLES = 2;
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('flush' as const),
      fresh: fc.tuple(fc.constantFrom(0, 0, 3, 64, 100), fc.constantFrom(0, 0, 63, 65, 200)),
      changes: fc.array(
        fc.record({ at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), state: change() }),
        { maxLength: 20 },
      ),
      final: fc.integer({ min: 0, max: 2 }).map((number) => number > 0),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('take-over' as const), inProcess: fc.boolean() }) },
);
function change(): fc.Arbitrary<string | null> {
  return fc.oneof(
    fc.constant(null),
    fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => `x${text}`),
  );
}

async function compareWithMap(bench: Bench, steps: readonly Step[]): Promise<void> {
  const active: ActiveSource = await activate(bench.storage);
  let { writer } = active;
  let [committed, present] = [new Map<string, string | null>(), new Map<string, string | null>()];
  let rows = 0;
  let position = 0;
  const compare = async (): Promise<void> => {
    const keys = [...present.keys(), keyOf(1, 'never')];
    const states = await writer.readRowStates(keys);
    expect(Object.fromEntries(keys.map((key, at) => [key, states[at]]))).toEqual({
      ...Object.fromEntries(present),
      [keyOf(1, 'never')]: null,
    });
  };
  for (const item of steps) {
    if (item.kind === 'take-over') {
      const storage = item.inProcess ? bench.storage : await bench.open();
      writer = await storage.takeOver('s1', 'next');
      // Rows of the lost transaction are still asked for: they have no state.
      present = new Map([...present].map(([key]) => [key, committed.get(key) ?? null]));
    } else {
      const writes = new Map<string, RowStateWrite>();
      const known = [...present.keys()];
      for (const { at, state } of item.changes) {
        const key = known[Math.floor(at * known.length)];
        if (key !== undefined) writes.set(key, { key, state, previous: committed.get(key) ?? null });
      }
      const fresh = item.fresh.flatMap((count, table) =>
        Array.from({ length: count }, () => asNew(rowStateKey(1, table % TABLES, 0, `row ${rows++}`))),
      );
      const rowStates = [...fresh, ...writes.values()];
      for (const { key, state } of rowStates) present.set(key, state);
      await write(writer, active.stream.id, { rowStates }, item.final ? commitAt(`p${++position}`) : undefined);
      if (item.final) committed = new Map(present);
    }
    await compare();
  }
}
