import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import type { Kube, KubeObject, WatchEvent } from './contract.ts';
import { createInformer } from './informer.ts';
import { KubeError } from './kube-error.ts';
import { CONFIG_MAPS } from './resource-types.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };
interface Thing extends KubeObject {
  readonly value: number;
}

/** Objects with a history, of which only the newest changes are kept; watches break off whenever they are told to. */
function history(keep: number) {
  let version = 1;
  const objects = new Map<string, Thing>();
  const changes: { version: number; event: WatchEvent }[] = [];
  let wake = Promise.withResolvers<void>();
  let breaks: Error | 'end' | null = null;
  let lists = 0;
  const note = (type: WatchEvent['type'], object: Thing): void => {
    changes.push({ version, event: { type, object } });
    if (changes.length > keep) changes.shift();
    wake.resolve();
    wake = Promise.withResolvers();
  };
  const kube: Pick<Kube, 'list' | 'watch'> = {
    async list() {
      lists++;
      if (breaks instanceof Error) throw breaks;
      return { items: [...objects.values()], resourceVersion: String(version) };
    },
    async *watch(_type, { resourceVersion, signal }) {
      let at = Number(resourceVersion);
      for (;;) {
        if (changes.length === keep && at < changes[0]!.version - 1)
          throw new KubeError('Expired', 'too old', { status: 410 });
        const next = changes.find((change) => change.version > at);
        if (next !== undefined) {
          at = next.version;
          yield next.event;
          continue;
        }
        if (breaks !== null) {
          if (breaks !== 'end') throw breaks;
          return;
        }
        const aborted = new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => resolve(), { once: true }),
        );
        await Promise.race([wake.promise, aborted]);
        if (signal.aborted) return;
      }
    },
  };
  return {
    kube,
    objects,
    lists: () => lists,
    set(name: string, value: number) {
      const object = { metadata: { namespace: 'n', name, resourceVersion: String(++version) }, value };
      const type = objects.has(name) ? 'MODIFIED' : 'ADDED';
      objects.set(name, object);
      note(type, object);
    },
    remove(name: string) {
      const object = objects.get(name);
      if (object === undefined) return;
      objects.delete(name);
      note('DELETED', { ...object, metadata: { ...object.metadata, resourceVersion: String(++version) } });
    },
    break(how: Error | 'end' | null) {
      breaks = how;
      wake.resolve();
      wake = Promise.withResolvers();
    },
  };
}

describe('informer', () => {
  test('shows in the end what is there, and tells of every object that differs, through ends, errors and 410', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom('set', 'remove'), name: fc.constantFrom('a', 'b', 'c'), value: fc.nat(9) }),
      fc.record({ do: fc.constantFrom('end', 'error', 'heal'), name: fc.constant(''), value: fc.nat(3000) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), fc.integer({ min: 1, max: 5 }), async (steps, keep) => {
        const clock = createFakeClock();
        const server = history(keep);
        const told = new Map<string, number | null>();
        const informer = createInformer<Thing>({
          kube: server.kube,
          type: CONFIG_MAPS,
          selection: { namespace: 'n' },
          clock,
          random: () => 0.5,
          log,
          onChange({ metadata }) {
            told.set(metadata.name!, informer.cache.get({ namespace: 'n', name: metadata.name! })?.value ?? null);
          },
        });
        const stop = new AbortController();
        const done = informer.run(stop.signal);
        for (const { do: what, name, value } of steps) {
          if (what === 'set') server.set(name, value);
          else if (what === 'remove') server.remove(name);
          else server.break(what === 'end' ? 'end' : what === 'error' ? new KubeError('Unreachable', 'gone') : null);
          if (value % 2 === 0) await clock.advance(name === '' ? value : 0);
        }
        server.break(null);
        await clock.advance(100_000);
        await informer.synced;
        const present = Object.fromEntries([...server.objects].map(([name, { value }]) => [name, value]));
        expect(
          Object.fromEntries([...informer.cache.all()].map(({ metadata, value }) => [metadata.name, value])),
        ).toEqual(present);
        for (const [name, value] of told) expect(value).toBe(present[name] ?? null);
        stop.abort();
        await done;
      }),
    );
  });

  test('goes on after the last version: an ended watch needs no new list', async () => {
    const clock = createFakeClock();
    const server = history(100);
    server.set('a', 1);
    const options = {
      kube: server.kube,
      type: CONFIG_MAPS,
      selection: { namespace: 'n' },
      clock,
      random: () => 0.5,
      log,
    };
    const informer = createInformer<Thing>({ ...options, onChange: () => undefined });
    const stop = new AbortController();
    const done = informer.run(stop.signal);
    await clock.advance(10);
    for (let round = 0; round < 10; round++) {
      server.break('end');
      await clock.advance(1);
      server.set('a', round);
      server.break(null);
      await clock.advance(60_000);
    }
    expect(server.lists()).toBe(1);
    expect(informer.cache.get({ namespace: 'n', name: 'a' })?.value).toBe(9);
    stop.abort();
    await done;
  });

  test('an optional kind that the cluster lacks counts as empty, and is found when it is installed', async () => {
    const clock = createFakeClock();
    const server = history(100);
    server.set('a', 1);
    server.break(new KubeError('NotFound', 'no such kind', { status: 404 }));
    const options = {
      kube: server.kube,
      type: CONFIG_MAPS,
      selection: { namespace: 'n' },
      clock,
      random: () => 0.5,
      log,
    };
    const informer = createInformer<Thing>({ ...options, optional: true, onChange: () => undefined });
    const stop = new AbortController();
    const done = informer.run(stop.signal);
    await informer.synced;
    expect([...informer.cache.all()]).toEqual([]);
    server.break(null);
    await clock.advance(90_000);
    expect([...informer.cache.all()].length).toBe(1);
    stop.abort();
    await done;
  });
});
