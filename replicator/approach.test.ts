import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#core/platform/clock.ts';
import { createApproach, type Approaching } from './approach.ts';

const TICK_MS = 50;
const compare = (a: string, b: string): number => Number(a) - Number(b);
const stream = (id: number, position: () => number | null, idle: () => boolean = () => false): Approaching => ({
  id,
  runner: {
    get position() {
      const committed = position();
      return { committed: committed === null ? null : String(committed) };
    },
    caughtUp: (target) => idle() && Number(position()) >= Number(target),
  },
});

const at = (id: number, position: number | null): Approaching => stream(id, () => position);

/** Looks every tick at a former stream that is where the time is, and at one behind it; when the former one may be stopped, if ever. */
async function waitedFor(position: (ms: number) => number, withinMs: number): Promise<number | null> {
  const clock = createFakeClock();
  const start = clock.monotonic();
  const elapsed = (): number => clock.monotonic() - start;
  const approach = createApproach(clock);
  const former = stream(1, elapsed);
  const next = stream(2, () => position(elapsed()));
  for (; elapsed() < withinMs; await clock.advance(TICK_MS)) if (approach.near(former, next, compare)) return elapsed();
  return null;
}

describe('the new stream is never idle, as its source is always written to', () => {
  test('a little behind all the time: it takes over as soon as it has been seen to be', async () => {
    expect(await waitedFor((ms) => ms - 30, 60_000)).toBeLessThanOrEqual(100);
    expect(await waitedFor((ms) => ms - 900, 60_000)).toBeLessThanOrEqual(1000);
  });

  test('behind and gaining: not before it is close', async () => {
    // a minute behind, twice as fast as the source is written to
    const waited = await waitedFor((ms) => Math.min(ms, -60_000 + 2 * ms), 600_000);
    expect(waited).toBeGreaterThan(55_000);
    expect(waited).toBeLessThan(70_000);
  });

  test('five seconds behind for good: it takes over, late rather than never', async () => {
    expect(await waitedFor((ms) => ms - 5000, 60_000)).toBeLessThan(11_000);
  });

  test('half a minute behind for good, or falling behind from there: the former one is not stopped', async () => {
    expect(await waitedFor((ms) => ms - 30_000, 600_000)).toBeNull();
    expect(await waitedFor((ms) => ms * 0.5 - 30_000, 600_000)).toBeNull();
  });

  test('whatever it does, it takes over only within ten seconds of the former stream', async () => {
    const steps = fc.array(
      fc.record({ forMs: fc.integer({ min: 50, max: 5000 }), speed: fc.double({ min: 0, max: 4, noNaN: true }) }),
      {
        minLength: 1,
        maxLength: 40,
      },
    );
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 0, max: 60_000 }), async (history, behind) => {
        const position = (ms: number): number => {
          let at = -behind;
          let left = ms;
          let from = 0;
          for (const { forMs, speed } of history) {
            const during = Math.min(left, forMs);
            from += during;
            at = Math.min(from, at + during * speed);
            left -= during;
            if (left <= 0) return at;
          }
          return at;
        };
        const total = history.reduce((sum, { forMs }) => sum + forMs, 0);
        const waited = await waitedFor(position, total);
        if (waited !== null) expect(position(waited)).toBeGreaterThanOrEqual(waited - 10_000 - TICK_MS);
      }),
    );
  });
});

test('an idle source: at once, as the new stream stands where the former one does', () => {
  const approach = createApproach(createFakeClock());
  const former = at(1, 7);
  const idle = (id: number, position: number): Approaching =>
    stream(
      id,
      () => position,
      () => true,
    );
  expect(approach.near(former, idle(2, 7), compare)).toBe(true);
  expect(approach.near(former, idle(3, 6), compare)).toBe(false);
});

test('nothing is known of where they stand: not yet', async () => {
  const clock = createFakeClock();
  const approach = createApproach(clock);
  const nowhere = at(1, null);
  expect(approach.near(nowhere, at(2, 7), compare)).toBe(false);
  const former = at(1, 7);
  expect(approach.near(former, nowhere, compare)).toBe(false);
  await clock.advance(TICK_MS);
  expect(approach.near(former, nowhere, compare)).toBe(false);
});

test('another stream begins anew: what the one before it reached says nothing of it', async () => {
  const clock = createFakeClock();
  const approach = createApproach(clock);
  const former = at(1, 7);
  expect(approach.near(former, at(2, 7), compare)).toBe(false);
  await clock.advance(TICK_MS);
  expect(approach.near(former, at(3, 7), compare)).toBe(false);
  await clock.advance(TICK_MS);
  expect(approach.near(former, at(3, 7), compare)).toBe(true);
});
