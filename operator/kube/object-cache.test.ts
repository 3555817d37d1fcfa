import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KubeObject } from './contract.ts';
import { createObjectCache } from './object-cache.ts';
import { isOlder } from './resource-version.ts';

interface Labelled extends KubeObject {
  readonly tags: readonly string[];
}

const object = fc.record({
  name: fc.constantFrom('a', 'b', 'c'),
  version: fc.integer({ min: 1, max: 200 }),
  tags: fc.uniqueArray(fc.constantFrom('x', 'y'), { maxLength: 2 }),
});

test('the newest counts in whatever order it comes, and indexes say what the objects say', () => {
  const step = fc.record({ do: fc.constantFrom('put', 'remove', 'retain'), object });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const cache = createObjectCache<Labelled>({ tag: ({ tags }) => tags });
      const model = new Map<string, { version: number; tags: readonly string[] }>();
      for (const { do: what, object } of steps) {
        const { name, version, tags } = object;
        const made: Labelled = { metadata: { namespace: 'n', name, resourceVersion: String(version) }, tags };
        const present = model.get(name);
        if (what === 'retain') {
          cache.retain([made]);
          for (const other of model.keys()) if (other !== name) model.delete(other);
        } else if (present === undefined || version >= present.version) {
          if (what === 'put') model.set(name, { version, tags });
          else model.delete(name);
          if (what === 'put') expect(cache.put(made)).toBe(true);
          else cache.remove(made);
        } else if (what === 'put') expect(cache.put(made)).toBe(false);
        else expect(cache.remove(made)).toBeUndefined();
        for (const tag of ['x', 'y']) {
          const expected = [...model].filter(([, { tags }]) => tags.includes(tag)).map(([name]) => name);
          expect(
            cache
              .by('tag', tag)
              .map(({ metadata }) => metadata.name)
              .toSorted(),
          ).toEqual(expected.toSorted());
        }
        expect([...cache.all()].length).toBe(model.size);
      }
    }),
  );
});

test('resource versions are numbers of any length; what is no number is never older (KEP-5504)', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 1n }), fc.bigInt({ min: 1n }), (a, b) => {
      expect(isOlder(String(a), String(b))).toBe(a < b);
    }),
  );
  for (const odd of [undefined, '', '0', 'abc', '-1']) {
    expect(isOlder(odd, '5')).toBe(false);
    expect(isOlder('5', odd)).toBe(false);
  }
});
