import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock, realClock } from './clock.ts';

describe('fake clock', () => {
  test('timers fire in order of due time, then of creation, at their due time', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(50), { maxLength: 12 }),
        fc.array(fc.nat(20), { maxLength: 8 }),
        async (due, steps) => {
          const clock = createFakeClock(0);
          const fired: { id: number; at: number }[] = [];
          due.forEach((ms, id) => clock.setTimer(ms, () => fired.push({ id, at: clock.now() })));
          for (const step of steps) await clock.advance(step);
          const total = steps.reduce((sum, step) => sum + step, 0);
          const expected = due
            .map((at, id) => ({ id, at }))
            .filter(({ at }) => steps.length > 0 && at <= total)
            .toSorted((a, b) => a.at - b.at || a.id - b.id);
          expect(fired).toEqual(expected);
          expect(clock.waiting).toBe(due.length - expected.length);
          expect(clock.monotonic()).toBe(total);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('a chain of sleeps runs within one advance', async () => {
    const clock = createFakeClock(0);
    const times: number[] = [];
    const chain = (async () => {
      for (let i = 0; i < 3; i++) {
        await clock.sleep(10);
        times.push(clock.now());
      }
    })();
    await clock.advance(35);
    await chain;
    expect(times).toEqual([10, 20, 30]);
  });

  test('cancelled timers do not fire', async () => {
    const clock = createFakeClock();
    let fired = false;
    clock.setTimer(5, () => (fired = true)).cancel();
    await clock.advance(10);
    expect(fired).toBe(false);
  });
});

describe.each([
  ['fake', () => createFakeClock()],
  ['real', () => realClock],
] as const)('%s clock', (_name, create) => {
  test('sleep rejects with the reason of the signal, before and while it waits', async () => {
    const clock = create();
    const reason = new Error('stopping');
    await expect(clock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const sleeping = clock.sleep(60_000, controller.signal);
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
  });
});

test('the real clock does not fire a very long timer at once', async () => {
  let fired = false;
  const timer = realClock.setTimer(2 ** 40, () => (fired = true));
  await realClock.sleep(5);
  timer.cancel();
  expect(fired).toBe(false);
});
