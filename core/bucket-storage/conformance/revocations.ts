import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import type { RecordedRevocation, Revocation } from '../revocation-store.ts';
import { type StorageFactory, withInstance } from './factory.ts';

const MOST = 1000;
const HOUR_MS = 3_600_000;
const later = (): number => Date.now() + HOUR_MS;
const entry = (key: string, more: Partial<Revocation> = {}): Revocation => ({
  key,
  issuedBeforeMs: 1000,
  expiresMs: later(),
  ...more,
});
const keysOf = (entries: readonly Revocation[]): string[] => entries.map(({ key }) => key);

/** The deny list of client tokens. */
export function revocations(factory: StorageFactory): void {
  describe('revocations', () => {
    test('other processes read what was recorded, once and in order, and nothing while there is nothing new', () =>
      withInstance(factory, async ({ storage, open }) => {
        const { revocations: other } = await open();
        expect(await other.after(0, 10)).toEqual([]);
        const [a, b, c] = [
          entry('sub:"a"'),
          entry('jti:"\\u0000 ☃"', { issuedBeforeMs: null }),
          entry('sub#c'),
        ] as const;
        for (const each of [a, b, c]) await storage.revocations.revoke(each, MOST);
        const first = await other.after(0, 2);
        expect(first).toEqual([
          { ...a, revision: first[0]!.revision },
          { ...b, revision: first[1]!.revision },
        ]);
        const rest = await other.after(first[1]!.revision, 2);
        expect(rest).toEqual([{ ...c, revision: rest[0]!.revision }]);
        expect(await other.after(rest[0]!.revision, 2)).toEqual([]);
      }));

    test('of the same key the later times count, and it comes again', () =>
      withInstance(factory, async ({ storage }) => {
        const store = storage.revocations;
        const expiresMs = later();
        await store.revoke(entry('a', { issuedBeforeMs: 5000, expiresMs }), MOST);
        await store.revoke(entry('b'), MOST);
        const seen = (await store.after(0, 10)).at(-1)!.revision;
        await store.revoke(entry('a', { issuedBeforeMs: 4000, expiresMs: expiresMs + 1 }), MOST);
        expect(await store.after(seen, 10)).toMatchObject([
          { key: 'a', issuedBeforeMs: 5000, expiresMs: expiresMs + 1 },
        ]);
        await store.revoke(entry('a', { issuedBeforeMs: 6000, expiresMs }), MOST);
        expect(await store.after(seen, 10)).toMatchObject([
          { key: 'a', issuedBeforeMs: 6000, expiresMs: expiresMs + 1 },
        ]);
        expect(keysOf(await store.after(0, 10))).toEqual(['b', 'a']);
      }));

    test('an expired one is not read any more, and gives its place to others; revisions go on', () =>
      withInstance(factory, async ({ open }) => {
        const clock = createFakeClock(Date.now());
        const { revocations: store } = await open(undefined, clock);
        for (const key of ['a', 'b', 'c']) await store.revoke(entry(key, { expiresMs: clock.now() + HOUR_MS }), 3);
        const seen = (await store.after(0, 10)).at(-1)!.revision;
        await expect(store.revoke(entry('d'), 3)).rejects.toMatchObject({ code: 'PSYNC_S4108' });
        // One that is known may still be changed.
        await store.revoke(entry('c', { expiresMs: clock.now() + 2 * HOUR_MS }), 3);
        await clock.advance(HOUR_MS);
        expect(keysOf(await store.after(0, 10))).toEqual(['c']);
        for (const key of ['d', 'e']) await store.revoke(entry(key, { expiresMs: clock.now() + HOUR_MS }), 3);
        expect(keysOf(await store.after(0, 10))).toEqual(['c', 'd', 'e']);
        expect((await store.after(seen, 10)).every(({ revision }) => revision > seen)).toBe(true);
      }));

    test('whoever reads while others write misses nothing', () =>
      withInstance(factory, async ({ storage, open }) => {
        const [second, reader] = [await open(), await open()];
        const wanted = Array.from({ length: 60 }, (_, at) => `key ${at}`);
        let writing = true;
        const writers = Promise.all(
          wanted.map((key, at) => (at % 2 === 0 ? storage : second).revocations.revoke(entry(key), MOST)),
        ).finally(() => (writing = false));
        const seen: RecordedRevocation[] = [];
        const read = async (): Promise<void> => {
          seen.push(...(await reader.revocations.after(seen.at(-1)?.revision ?? 0, 7)));
        };
        while (writing) await read();
        await writers;
        for (let before = -1; before < seen.length;) {
          before = seen.length;
          await read();
        }
        expect(keysOf(seen).toSorted()).toEqual(wanted.toSorted());
        const revisions = seen.map(({ revision }) => revision);
        expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
      }));
  });
}
