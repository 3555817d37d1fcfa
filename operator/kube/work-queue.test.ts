import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import { createWorkQueue } from './work-queue.ts';

type Step =
  | { readonly do: 'add' | 'addAfter' | 'finish' | 'fail'; readonly key: string; readonly ms: number }
  | { readonly do: 'pass'; readonly key: string; readonly ms: number };

const step = fc.record({
  do: fc.constantFrom('add', 'addAfter', 'finish', 'fail', 'pass'),
  key: fc.constantFrom('a', 'b', 'c'),
  ms: fc.integer({ min: 0, max: 500 }),
}) as fc.Arbitrary<Step>;

describe('work queue', () => {
  test('one worker a key, never more than allowed, and every wish is followed by a look that began after it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 3 }),
        async (steps, concurrency) => {
          const clock = createFakeClock();
          const running = new Map<string, { end: (error?: Error) => void }>();
          const wished = new Set<string>();
          const queue = createWorkQueue({
            clock,
            random: () => 0.5,
            concurrency,
            work: (key) => {
              expect(running.has(key)).toBe(false);
              expect(running.size).toBeLessThan(concurrency);
              wished.delete(key);
              const { promise, resolve, reject } = Promise.withResolvers<null>();
              running.set(key, {
                end(error) {
                  running.delete(key);
                  if (error) reject(error);
                  else resolve(null);
                },
              });
              return promise;
            },
            onFailure: (key) => void wished.add(key),
          });
          const stop = new AbortController();
          const done = queue.run(stop.signal);
          for (const { do: what, key, ms } of steps) {
            if (what === 'add' || what === 'addAfter') {
              wished.add(key);
              if (what === 'add') queue.add(key);
              else queue.addAfter(key, ms);
            } else if (what === 'finish') running.get(key)?.end();
            else if (what === 'fail') running.get(key)?.end(new Error('failed'));
            await clock.advance(what === 'pass' ? ms : 0);
          }
          for (let rounds = 0; (wished.size > 0 || running.size > 0) && rounds < 20; rounds++) {
            for (const { end } of running.values()) end();
            await clock.advance(200_000);
          }
          expect([...wished]).toEqual([]);
          expect(queue.depth).toBe(0);
          expect(clock.waiting).toBe(0);
          stop.abort();
          await done;
        },
      ),
    );
  });

  test('failures of one key wait longer and longer, a success starts over, other keys are not held up', async () => {
    const clock = createFakeClock(0);
    const waits: number[] = [];
    let fails = true;
    const looks: string[] = [];
    const queue = createWorkQueue({
      clock,
      random: () => 1 - Number.EPSILON,
      concurrency: 1,
      async work(key) {
        looks.push(`${key}@${clock.monotonic()}`);
        if (key === 'bad' && fails) throw new Error('no');
        return null;
      },
      onFailure: (_key, _error, _failures, waitMs) => waits.push(Math.round(waitMs)),
      longestWaitMs: 1000,
    });
    const stop = new AbortController();
    const done = queue.run(stop.signal);
    queue.add('bad');
    queue.add('good');
    await clock.advance(3000);
    expect(waits).toEqual([200, 400, 800, 1000, 1000]);
    expect(looks.slice(0, 2)).toEqual(['bad@0', 'good@0']);
    fails = false;
    await clock.advance(1000);
    fails = true;
    queue.add('bad');
    await clock.advance(0);
    expect(waits.at(-1)).toBe(200);
    stop.abort();
    await done;
    expect(clock.waiting).toBe(0);
  });

  test('a stop waits for what is being worked on and begins nothing new', async () => {
    const clock = createFakeClock();
    const { promise, resolve } = Promise.withResolvers<null>();
    const looks: string[] = [];
    const queue = createWorkQueue({
      clock,
      random: () => 0,
      concurrency: 1,
      work(key) {
        looks.push(key);
        return promise;
      },
      onFailure: () => undefined,
    });
    const stop = new AbortController();
    let ended = false;
    const done = queue.run(stop.signal).then(() => (ended = true));
    queue.add('a');
    queue.add('b');
    stop.abort();
    await clock.advance(1000);
    expect(ended).toBe(false);
    resolve(null);
    await done;
    queue.add('c');
    expect(looks).toEqual(['a']);
  });
});
