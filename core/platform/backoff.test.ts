import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBackoff, retryForever } from './backoff.ts';
import { createFakeClock } from './clock.ts';

const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('backoff', () => {
  test('waits stay within half and all of a doubling bound, and start over after a success', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.integer({ min: 1, max: 100_000 }),
        fc.array(fc.record({ random: fraction, success: fc.boolean() }), { maxLength: 100 }),
        (initialMs, maxMs, steps) => {
          let random = 0;
          const backoff = createBackoff({ clock: createFakeClock(), random: () => random, initialMs, maxMs });
          let failures = 0;
          for (const step of steps) {
            if (step.success) {
              backoff.reset();
              failures = 0;
            }
            random = step.random;
            const bound = Math.min(maxMs, initialMs * 2 ** failures);
            const wait = backoff.next();
            expect(wait).toBeGreaterThanOrEqual(bound / 2);
            expect(wait).toBeLessThanOrEqual(bound);
            expect(backoff.failures).toBe(++failures);
          }
        },
      ),
    );
  });
});

describe('retryForever', () => {
  test('retries until success and tells of each failure (R-12)', async () => {
    const clock = createFakeClock(0);
    const failures: unknown[] = [];
    let calls = 0;
    const result = retryForever(
      async () => {
        if (++calls <= 20) throw new Error(`failure ${calls}`);
        return 'connected';
      },
      {
        clock,
        random: () => 0.5,
        signal: new AbortController().signal,
        onFailure: (error) => failures.push((error as Error).message),
      },
    );
    await clock.advance(60 * 60_000);
    await expect(result).resolves.toBe('connected');
    expect(failures).toHaveLength(20);
  });

  test('an abort ends the wait at once with its reason; a fatal error is thrown', async () => {
    const clock = createFakeClock(0);
    const controller = new AbortController();
    const reason = new Error('stopping');
    const failing = async (): Promise<never> => {
      throw new Error('down');
    };
    const retrying = retryForever(failing, { clock, random: () => 0, signal: controller.signal });
    retrying.catch(() => undefined);
    await clock.advance(1);
    controller.abort(reason);
    await expect(retrying).rejects.toBe(reason);
    expect(clock.waiting).toBe(0);
    const fatal = retryForever(failing, {
      clock,
      random: () => 0,
      signal: new AbortController().signal,
      isRetryable: () => false,
    });
    await expect(fatal).rejects.toThrow('down');
  });
});
